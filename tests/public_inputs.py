"""Inputs of i-PI as people write them, by what they do, each with the files that it needs.

Written after the kinds of examples that come with i-PI 3.3.1: one water molecule takes the place
of their systems, and few steps that of their many.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from ipi_runs import DRIVER

CELL = "20.0 0.0 0.0 3.0 21.0 0.0 -2.0 4.0 22.0"  # lattice vectors as rows
WATER = "O 0.0 0.0 0.0\nH 0.757 0.586 0.0\nH -0.757 0.586 0.1\n"
TURNED = "".join(reversed(WATER.splitlines(keepends=True)))
STRUCTURE = f'3\nLattice="{CELL}" Properties=species:S:1:pos:R:3 pbc="F F F"\n{WATER}'
PERIODIC = STRUCTURE.replace("F F F", "T T T")
IPI_XYZ = f"3\n# CELL{{H}}: 20 3 -2 0 21 4 0 0 22 positions{{angstrom}} cell{{angstrom}}\n{WATER}"
PHOTONS = IPI_XYZ.replace("3\n", "5\n", 1) + "L 0.1 0 0\nL 0 0.1 0"  # no newline at its end
PHOTON = IPI_XYZ.replace("3\n", "4\n", 1) + "L 0.1 0.1 0\n"
REPLAYED = IPI_XYZ + IPI_XYZ.replace("0.757", "0.76")
IMAGES = "".join(IPI_XYZ.replace("0.757", f"0.7{k}7") for k in (5, 6, 7, 8))
TOY = '[potential]\nkind = "toy"\nname = "qtip4pf"\n'
SPHERES = (
    '[potential]\nkind = "ase"\ncalculator = "ase.calculators.lj.LennardJones"\n'
    "parameters = { sigma = 0.5, epsilon = 1e-4, rc = 1.5 }\n"
)
THERMOSTAT = "<thermostat mode='{}'> <tau units='femtosecond'> 50 </tau> </thermostat>"
LANGEVIN, PILE, SVR = (THERMOSTAT.format(mode) for mode in ("langevin", "pile_g", "svr"))
STATE = "step, time{picosecond}, conserved{electronvolt}, temperature{kelvin}, potential"


def client(address: str = "tiny", extras: str = "", potential: str = TOY, file: str = "w") -> str:
    """A client file."""
    return (
        f'structure = "{file}.extxyz"\n[socket]\naddress = "{address}"\n{potential}'
        f"[observables]\nextras = [{extras}]\n"
    )


def trajectory(what: str, name: str = "x", **attributes: str) -> str:
    said = "".join(f" {key}='{value}'" for key, value in attributes.items())
    return f"<trajectory filename='{name}' stride='2'{said}> {what} </trajectory>"


def extras(key: str, what: str = "extras") -> str:
    return trajectory(what, f"{key}-{what[:9]}", extra_type=key)


def ffsocket(name: str = "mlobs", address: str = "tiny", more: str = "", tags: str = "") -> str:
    return (
        f"<ffsocket name='{name}' mode='unix' pbc='false' {more}> <address> {address} </address> "
        f"{tags} </ffsocket>"
    )


def ffdirect(name: str = "mlobs") -> str:
    """The client file within i-PI."""
    return (
        f"<ffdirect name='{name}' pbc='false'> <pes> custom </pes> <pes_path> {DRIVER} </pes_path> "
        "<parameters> {client: client.toml} </parameters> </ffdirect>"
    )


def force(name: str = "mlobs", more: str = "", tags: str = "") -> str:
    return f"<force forcefield='{name}' {more}> {tags} </force>"


def dynamics(mode: str = "nve", tags: str = "", dt: str = "0.25") -> str:
    step = f"<timestep units='femtosecond'> {dt} </timestep>"
    return f"<motion mode='dynamics'> <dynamics mode='{mode}'> {step} {tags} </dynamics> </motion>"


def driven(tags: str, mode: str = "eda-nve") -> str:
    field = (
        "<efield> <amp> [0, 0.05, 0] </amp> <freq units='thz'> 115 </freq> "
        "<peak units='picosecond'> 0.2 </peak> <sigma units='picosecond'> 0.05 </sigma> </efield>"
    )
    return (
        f"<motion mode='driven_dynamics'> <driven_dynamics mode='{mode}'> "
        f"<timestep units='femtosecond'> 0.5 </timestep> {field} {tags} "
        "</driven_dynamics> </motion>"
    )


def barostat(mode: str, tags: str = "") -> str:
    return (
        f"<barostat mode='{mode}'> <tau units='femtosecond'> 200 </tau> {LANGEVIN} {tags} "
        f"</barostat> {LANGEVIN}"
    )


INIT = (
    "<file mode='xyz'> w.xyz </file> <velocities mode='thermal' units='kelvin'> 300 </velocities>"
)
ENSEMBLE = "<temperature units='kelvin'> 300 </temperature>"


@dataclass(frozen=True)
class Input:
    """An input, described by how it differs from the plainest one.

    Attributes:
        outputs: tags beside ``<properties>``.
        names: of properties.
        ff: the tags of forcefields.
        forces: their ``<force>``.
        motion: with its tag.
        beads: of the ring polymer.
        init: within ``<initialize>``.
        ensemble: within ``<ensemble>``.
        within: more tags of ``<simulation>``.
        head: attributes of ``<simulation>``.
        floatformat: of numbers.
        steps: of the run.
        system: around ``<system>``, with braces for what is within it.
        clients: client files by name; of files for n clients, n.
        files: all others by name, and where they differ from the usual ones.
        warnings: parts of what the check warns of, in their order.
        folder: where the input is, below the folder in which i-PI is started.
    """

    outputs: str = ""
    names: str = STATE
    ff: str = ffsocket()
    forces: str = force()
    motion: str = dynamics()
    beads: int = 1
    init: str = INIT
    ensemble: str = ENSEMBLE
    within: str = ""
    head: str = ""
    floatformat: str = "%25.17e"
    steps: int = 4
    system: str = ""
    clients: dict[str, str] = field(default_factory=lambda: {"client.toml": client()})
    n_clients: int = 1
    files: dict[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    folder: str = "."

    @property
    def xml(self) -> str:
        system = (
            f"<initialize nbeads='{self.beads}'> {self.init} </initialize> "
            f"<forces> {self.forces} </forces> <ensemble> {self.ensemble} </ensemble> {self.motion}"
        )
        return (
            f"<simulation verbosity='low' floatformat='{self.floatformat}' {self.head}> "
            "<output prefix='simulation'> "
            f"<properties stride='1' filename='out'> [ {self.names} ] </properties> "
            f"{self.outputs} </output> <total_steps> {self.steps} </total_steps> "
            f"<prng> <seed> 31415 </seed> </prng> {self.ff} "
            f"{self.system.format(system) if self.system else f'<system> {system} </system>'} "
            f"{self.within} </simulation>"
        )

    def write(self, folder: Path) -> tuple[Path, list[Path]]:
        """Write all files; return the input and the client files."""
        usual = {"w.extxyz": STRUCTURE, "periodic.extxyz": PERIODIC, "w.xyz": IPI_XYZ}
        path = folder / self.folder / "input.xml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.xml)
        for name, text in {**usual, **self.clients, **self.files}.items():
            (folder / name).write_text(text)
        return path, [folder / name for name in self.clients]


TWO = {"client.toml": client(), "two.toml": client("two")}
NPT = {"client.toml": client(potential=SPHERES, file="periodic")}
INET = 'localhost"\nmode = "inet"\nport = 31417 #'
PRESSURE = f"{ENSEMBLE} <pressure units='megapascal'> 1 </pressure>"
RESCALING = (
    "<barostat mode='stochastic-rescaling'> <tau units='femtosecond'> 200 </tau> "
    f"<compressibility> 1.3e4 </compressibility> </barostat> {LANGEVIN}"
)
H0 = "<h0 units='angstrom'> [20, 3, -2, 0, 21, 4, 0, 0, 22] </h0>"
STRESS = f"{ENSEMBLE} <stress units='megapascal'> [1, 0, 0, 0, 1, 0, 0, 0, 1] </stress>"
CHARGES = "<charge_array> [ -0.8, 0.4, 0.4 ] </charge_array>"


def cavity(tags: str) -> str:
    return (
        "<ffcavphsocket name='mlobs' mode='unix' pbc='False'> <address> tiny </address> "
        "<apply_photon> True </apply_photon> <E0> 4e-4 </E0> "
        f"<omega_c units='inversecm'> 3550 </omega_c> {CHARGES} {tags} </ffcavphsocket>"
    )


def replicas(*instances: str) -> str:
    said = " ".join(f"<instance> [ {one} ] </instance>" for one in instances)
    return (
        f"<system_template> <labels> [ IDX, TEMP ] </labels> {said} "
        "<template> <system prefix='IDX'> {} </system> </template> </system_template>"
    )


REMD = "<smotion mode='remd'> <remd> <stride> 1 </stride> </remd> </smotion>"
AT_TEMP = {
    "init": INIT.replace("300", "TEMP"),
    "ensemble": ENSEMBLE.replace("300", "TEMP"),
}


def committee(tags: str, *members: str) -> str:
    return f"<ffcommittee name='committee'> {tags} {' '.join(members)} </ffcommittee>"


def rotations(inner: str, tags: str = "") -> str:
    return f"<ffrotations name='turned' pbc='false'> {inner} {tags} </ffrotations>"


def minimize(mode: str, tags: str = "") -> str:
    return (
        f"<motion mode='minimize'> <optimizer mode='{mode}'> <tolerances> <energy> 5e-6 </energy> "
        f"<force> 5e-6 </force> <position> 1e-3 </position> </tolerances> {tags} "
        "</optimizer> </motion>"
    )


def neb(mode: str) -> str:
    return (
        f"<motion mode='neb'> <neb_optimizer mode='{mode}'> <stage> neb </stage> <tolerances> "
        "<energy units='electronvolt'> 1e-4 </energy> <force units='ev/ang'> 1e-2 </force> "
        "<position> 1e-3 </position> </tolerances> </neb_optimizer> </motion>"
    )


def vibrations(mode: str) -> str:
    return (
        f"<motion mode='vibrations'> <vibrations mode='{mode}'> <pos_shift> 0.01 </pos_shift> "
        "<energy_shift> 0.001 </energy_shift> <prefix> phonons </prefix> <asr> poly </asr> "
        "</vibrations> </motion>"
    )


NO_VELOCITIES = INIT.split("<velocities", maxsplit=1)[0]
SPLIT = ffsocket() + ffsocket("two", "two")
LJ = "<fflj name='lj'> <parameters> {eps: 1e-6, sigma: 4.0} </parameters> </fflj>"
CONTRACTED = "[committee_pot, committee_uncertainty, baseline_pot, wb_mixing]"
