"""Inputs of i-PI as people write them, by what they do, each with the files that it needs.

Written after the kinds of examples that come with i-PI 3.3.1: one water molecule takes the place
of their systems, and few steps that of their many.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
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
        path.parent.mkdir(exist_ok=True)
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

GOOD: dict[str, Input] = {
    "ffsocket": Input(outputs=trajectory("positions{angstrom}", cell_units="angstrom")),
    "ffsocket: inet, a client that sends its dipole": Input(
        ff="<ffsocket name='mlobs' mode='inet' pbc='false'> <address> localhost </address> "
        "<port> 31417 </port> <timeout> 600 </timeout> </ffsocket>",
        outputs=extras("dipole"),
        clients={"client.toml": client(INET, '"dipole"')},
    ),
    "ffsocket: one client for each bead": Input(
        ff=ffsocket(more="matching='lock'"), beads=4, n_clients=4
    ),
    "ffdirect": Input(ff=ffdirect(), beads=2, motion=dynamics("nvt", PILE)),
    "ffdirect: a potential of i-PI beside ours": Input(
        ff=ffsocket() + "<ffdirect name='direct'> <pes> dummy </pes> </ffdirect>",
        forces=force() + force("direct"),
    ),
    "ffcommittee": Input(
        ff=committee("", ffsocket("one"), ffsocket("two", "two")),
        forces=force("committee"),
        outputs=extras("committee_pot") + extras("committee_uncertainty")
        + extras("committee_force") + extras("committee_virial"),
        clients=TWO,
    ),
    "ffcommittee: weighted baseline, contracted": Input(
        ff=committee(
            "<baseline_name> base </baseline_name> <alpha> 1.5 </alpha> <baseline_uncertainty "
            "units='electronvolt'> 0.1 </baseline_uncertainty> <active_thresh> 0.05 "
            "</active_thresh>",
            ffsocket("base"), ffsocket("one", "one"), ffsocket("two", "two"),
        ),
        forces=force(
            "committee", "nbeads='1'", f"<interpolate_extras> {CONTRACTED} </interpolate_extras>"
        ),
        outputs=extras("committee_pot") + extras("baseline_pot") + extras("wb_mixing"),
        beads=4,
        motion=dynamics("nvt", PILE),
        clients={**TWO, "one.toml": client("one")},
    ),
    "ffcommittee: an observable of its members": Input(
        ff=committee("", ffsocket("one"), ffsocket("two", "two")),
        forces=force("committee"),
        outputs=extras("committee_dipole"),
        clients={n: t.replace("extras = []", 'extras = ["dipole"]') for n, t in TWO.items()},
    ),
    "ffrotations: a grid": Input(
        ff=rotations(
            ffsocket("inner"),
            "<grid_order> 3 </grid_order> <grid_mode> lebedev </grid_mode> "
            "<inversion> True </inversion>",
        ),
        forces=force("turned"),
        outputs=extras("o3grid_pots"),
    ),
    "ffrotations: at random, beside another": Input(
        ff=rotations(ffsocket("inner"), "<random> True </random>") + ffsocket("two", "two"),
        forces=force("two") + force("turned", "weight='0.5'"),
        outputs=extras("o3grid_pots", "extras_component_raw(1)"),
        clients=TWO,
    ),
    "ffcavphsocket": Input(
        ff=cavity(""), files={"w.xyz": PHOTONS}, motion=dynamics("nvt", LANGEVIN)
    ),
    "ffcavphsocket: one photon for both directions": Input(
        ff=cavity("<ph_rep> dense </ph_rep>"), files={"w.xyz": PHOTON}
    ),
    "nve": Input(outputs=trajectory("velocities") + trajectory("forces{ev/ang}", "f")),
    "nve: momenta in extxyz": Input(
        outputs=trajectory("positions", "p", format="ase") + trajectory("momenta", "m"),
        names="step, kinetic_md{electronvolt}, atom_x{angstrom}(atom=1; bead=0)",
    ),
    "nvt": Input(motion=dynamics("nvt", SVR), names=f"{STATE}, kinetic_md, kinetic_md(H)"),
    "nvt: path integral": Input(
        beads=4,
        motion=dynamics("nvt", PILE),
        names=f"{STATE}, kinetic_cv, kinetic_cv(O), r_gyration{{angstrom}}",
        outputs=trajectory("x_centroid{angstrom}", "xc") + trajectory("positions", bead="3"),
    ),
    "npt": Input(
        motion=dynamics("npt", barostat("isotropic")),
        ensemble=PRESSURE,
        names=f"{STATE}, pressure_md{{megapascal}}, volume{{angstrom3}}, density{{g/cm3}}",
        clients=NPT,
    ),
    "npt: a flexible cell": Input(
        motion=dynamics("npt", barostat("flexible")),
        ensemble=PRESSURE,
        names=f"{STATE}, cell_abcABC, virial_md",
        clients=NPT,
    ),
    "npt: stochastic rescaling": Input(
        motion=dynamics("npt", RESCALING),
        ensemble=PRESSURE,
        clients=NPT,
    ),
    "nst": Input(
        motion=dynamics("nst", barostat("anisotropic", H0)),
        ensemble=STRESS,
        names=f"{STATE}, stress_md{{gigapascal}}, cell_h{{angstrom}}",
        clients=NPT,
    ),
    "nst: of a ring polymer": Input(
        beads=2,
        motion=dynamics("nst", barostat("anisotropic", H0)),
        ensemble=STRESS,
        clients=NPT,
    ),
    "remd": Input(
        system=replicas("1, 300", "2, 400"), within=REMD, motion=dynamics("nvt", LANGEVIN),
        names=f"{STATE}, ensemble_temperature{{kelvin}}", **AT_TEMP,
    ),
    "remd: path integral in npt": Input(
        system=replicas("a, 300", "b, 350", "c, 400"), within=REMD, beads=2, clients=NPT,
        motion=dynamics("npt", PILE.join(barostat("isotropic").rsplit(LANGEVIN, 1))),
        init=AT_TEMP["init"], ensemble=f"{AT_TEMP['ensemble']} <pressure> 0 </pressure>",
    ),
    "trpmd": Input(
        beads=4,
        motion=dynamics("nvt", PILE.replace("</tau>", "</tau> <pile_lambda> 0.5 </pile_lambda>")),
        outputs=trajectory("v_centroid", "vc") + trajectory("x_centroid{angstrom}", "xc"),
    ),
    "trpmd: with a dipole for its spectrum": Input(
        beads=4,
        motion=dynamics(
            "nvt",
            "<thermostat mode='pile_l'> <tau units='femtosecond'> 1000 </tau> "
            "<pile_lambda> 0.5 </pile_lambda> </thermostat>",
        ),
        outputs=extras("dipole"),
        clients={"client.toml": client(extras='"dipole"')},
    ),
    "contraction": Input(
        beads=4, ff=SPLIT, clients=TWO, motion=dynamics("nvt", PILE),
        forces=force() + force("two", "nbeads='2'"),
    ),
    "contraction: to the centroid, with extras": Input(
        beads=4,
        forces=force(
            more="nbeads='1'", tags="<interpolate_extras> [ dipole ] </interpolate_extras>"
        ),
        outputs=extras("dipole"),
        clients={"client.toml": client(extras='"dipole"')},
    ),
    "mts": Input(
        ff=SPLIT, clients=TWO, beads=2,
        forces=force(tags="<mts_weights> [0, 1] </mts_weights>")
        + force("two", tags="<mts_weights> [1, 0] </mts_weights>"),
        motion=dynamics("nvt", f"<nmts> [1, 4] </nmts> {PILE}", "1.0"),
        names=f"{STATE}, pot_component_raw(0), pot_component_raw(1)",
        outputs=trajectory("forces_component_raw(0)", "f0"),
    ),
    "mts: a cheap inner force that is taken off again": Input(
        ff=ffsocket() + LJ,
        forces=force(tags="<mts_weights> [1, 0] </mts_weights>")
        + force("lj", tags="<mts_weights> [-1, 1] </mts_weights>"),
        motion=dynamics(tags="<nmts> [1, 2] </nmts>", dt="0.5"),
    ),
    "geometry optimisation": Input(
        motion=minimize("bfgs"), init=NO_VELOCITIES, ensemble="",
        names="step, potential{electronvolt}",
        outputs=trajectory("positions{angstrom}") + trajectory("forces", "f"), steps=60,
    ),
    "geometry optimisation: steepest descent": Input(
        motion=minimize("sd", "<ls_options> <tolerance> 1e-4 </tolerance> </ls_options>"),
        init=NO_VELOCITIES, ensemble="", names="step, potential",
    ),
    "neb": Input(
        beads=4, motion=neb("fire"), init=NO_VELOCITIES, ensemble="", head="mode='static'",
        names="step, bead_potentials", outputs=trajectory("positions{angstrom}"),
        files={"w.xyz": IMAGES},
    ),
    "neb: damped bfgs": Input(
        beads=4, motion=neb("damped_bfgs"), init=NO_VELOCITIES, ensemble="", head="mode='static'",
        names="step, bead_potentials{electronvolt}", files={"w.xyz": IMAGES},
    ),
    "phonons": Input(
        motion=vibrations("fd"), init=NO_VELOCITIES, ensemble="", head="mode='static'",
        names="step, potential", steps=9,
    ),
    "phonons: of a crystal": Input(
        motion=vibrations("fd").replace("poly", "crystal"), init=NO_VELOCITIES, ensemble="",
        head="mode='static'", names="step, potential", steps=9,
    ),
    "te-pigs": Input(
        beads=4, motion=dynamics("nvt", PILE),
        forces=force(more="weight='1'") + force(more="weight='0' nbeads='1'"),
        outputs=trajectory("x_centroid{ase}", "xc", cell_units="ase")
        + trajectory("f_centroid", "fc", format="ase")
        + trajectory("forces_component_raw(1)", "physical", format="ase"),
    ),
    "te-pigs: of another forcefield": Input(
        beads=4, motion=dynamics("nvt", PILE), ff=SPLIT, clients=TWO,
        forces=force() + force("two", "weight='0' nbeads='1'"),
        names=f"{STATE}, pot_component_raw(1)",
        outputs=trajectory("forces_component_raw(1)", "physical"),
    ),
    "integration at lambda 0": Input(
        ff=SPLIT, clients=TWO, motion=dynamics("nvt", LANGEVIN),
        forces=force(more="weight='1.0'") + force("two", "weight='0.0'"),
        names=f"{STATE}, pot_component_raw(0), pot_component_raw(1)",
    ),
    "integration at lambda 1": Input(
        ff=SPLIT, clients=TWO, motion=dynamics("nvt", LANGEVIN),
        forces=force(more="weight='0'") + force("two", "weight='1'"),
        names=f"{STATE}, pot_component_raw{{electronvolt}}(0), pot_component_raw(index=1)",
    ),
    "driven_dynamics": Input(
        motion=driven("<bec mode='driver'/> <asr_threshold> 1e-6 </asr_threshold>"),
        names="step, conserved, Efield, Eenvelope, dipole",
        outputs=trajectory("becx", "bx") + trajectory("Eforces", "ef"),
        clients={"client.toml": client(extras='"dipole", "born_charges"')},
    ),
    "driven_dynamics: with a thermostat": Input(
        motion=driven(
            f"<bec mode='driver'/> {LANGEVIN} <asr_threshold> 1e-6 </asr_threshold>", "eda-nvt"
        ),
        clients={"client.toml": client(extras='"born_charges"')},
    ),
    "Born charges of driven_dynamics without it": Input(
        outputs=trajectory("becx"), warnings=("nothing but NaN",)
    ),
    "replay": Input(
        motion="<motion mode='replay'> <file mode='xyz'> w.xyz </file> </motion>",
        files={"w.xyz": REPLAYED}, steps=2, names="step, potential", ensemble="",
        init=NO_VELOCITIES,
    ),
    "an input that is started from the folder above": Input(
        folder="data", warnings=("relative to the folder in which i-PI is started",)
    ),
}  # fmt: skip

PLAIN = GOOD["ffsocket"]
RING = replace(PLAIN, beads=4, motion=dynamics("nvt", PILE))
MACE = '[potential]\nkind = "mace"\nmodels = ["a.model"]\n'
FIELD = "[field]\nvector = [0, 0, 0.1]\nunit = 'V/angstrom'\n"
IN_A_FIELD = {"client.toml": client() + FIELD}
DIPOLE = {"client.toml": client(extras='"dipole"')}
BORN = "<bec mode='driver'/> <asr_threshold> 1e-6 </asr_threshold>"


def of_client(text: str) -> Input:
    return replace(PLAIN, clients={"client.toml": text})


def of_output(output: str, **others: object) -> Input:
    return replace(PLAIN, outputs=output, **others)  # type: ignore[arg-type]


BAD: dict[str, tuple[Input, str]] = {
    "a unit of a trajectory": (of_output(trajectory("positions{angstroms}")), "angstroms"),
    "a unit of another quantity": (of_output(trajectory("velocities{angstrom}")), "for kind velo"),
    "a unit of a property": (
        replace(PLAIN, names="step, potential{electronvolts}"),
        "'potential{electronvolts}'",
    ),
    "a unit of the cell": (
        of_output(trajectory("positions{angstrom}", cell_units="angstroms")),
        "angstroms is an undefined unit",
    ),
    "a unit in extxyz": (
        of_output(trajectory("positions{angstrom}", format="ase")),
        'Only "ase"',
    ),
    "velocities in pdb": (of_output(trajectory("velocities", format="pdb")), "PDB Standard"),
    "two outputs of one name": (
        of_output(trajectory("positions") + trajectory("velocities")),
        "2 outputs have filename='x'",
    ),
    "a bead that is not there": (
        replace(RING, outputs=trajectory("positions", bead="4")),
        "there is no bead 4",
    ),
    "a force that is not there": (
        replace(PLAIN, names="step, pot_component(1)"),
        "there is no force 1",
    ),
    "a component without its number": (
        of_output(trajectory("forces_component_raw")),
        "missing a required argument: 'index'",
    ),
    "a property that is not there": (replace(PLAIN, names="step, potenial"), "'potenial'"),
    "a trajectory that is not there": (of_output(trajectory("position")), "'position'"),
    "too few clients that keep their bead": (
        replace(RING, ff=ffsocket(more="matching='lock'"), n_clients=3),
        "for 4 there are 3",
    ),
    "a field without a dipole": (of_client(client(potential=MACE) + FIELD), "[field] needs dipole"),
    "a dipole that no model gives": (
        of_client(client(potential=MACE, extras='"dipole"')),
        "[observables] needs dipole",
    ),
    "an address that is too long": (
        replace(
            PLAIN, ff=ffsocket(address="a" * 99), clients={"client.toml": client("a" * 99)}
        ),
        "has 99 characters",
    ),
    "a setting of the file below a table": (
        of_client(client().replace("[socket]", '[socket]\nvirial = "none"')),
        "move it above the first [table]",
    ),
    "a force without a forcefield": (replace(PLAIN, forces=force("mlops")), "'mlops'"),
    "no force": (replace(PLAIN, forces=""), "nothing moves the atoms"),
    "two forcefields of one name": (
        replace(PLAIN, ff=ffsocket() + ffsocket(address="two"), clients=TWO),
        "two forcefields are called 'mlobs'",
    ),
    "two sockets at one address": (
        replace(PLAIN, ff=ffsocket() + ffsocket("two"), forces=force() + force("two")),
        "the same place tiny",
    ),
    "a dipole of driven_dynamics without it": (
        replace(PLAIN, names="step, dipole"),
        "exists with driven_dynamics only",
    ),
    "no Born charges for driven_dynamics": (
        replace(PLAIN, motion=driven(BORN)),
        'add "born_charges"',
    ),
    "a field on both sides": (
        replace(PLAIN, motion=driven(""), clients=IN_A_FIELD),
        "coupled twice",
    ),
    "wrapped positions in a field": (
        replace(PLAIN, ff=ffsocket().replace("false", "true"), clients=IN_A_FIELD),
        "write pbc='False'",
    ),
    "a run at its end": (
        replace(PLAIN, within="<step> 4 </step>"),
        "raise <total_steps>",
    ),
    "a structure that is not there": (
        replace(PLAIN, init=INIT.replace("w.xyz", "gone.xyz")),
        "gone.xyz",
    ),
    "a unit of time that is none": (
        replace(PLAIN, motion=dynamics().replace("femtosecond", "femtosecnd")),
        "secnd is an undefined unit",
    ),
    "a tag that is none": (replace(PLAIN, within="<total_stebs> 4 </total_stebs>"), "total_stebs"),
    "a temperature that is none": (
        replace(PLAIN, ensemble=ENSEMBLE.replace("300", "nan")),
        "<temperature> is nan",
    ),
    "a client at another address": (of_client(client("tyni")), "'tyni'"),
    "constant pressure without a virial": (
        replace(
            GOOD["npt"],
            clients={n: f'virial = "none"\n{t}' for n, t in GOOD["npt"].clients.items()},
        ),
        "needs a virial",
    ),
    "constant pressure of a molecule": (
        replace(GOOD["npt"], clients={"client.toml": client(potential=SPHERES)}),
        "is not periodic",
    ),
    "extras that nobody sends": (of_output(extras("dipole")), "no client sends it"),
    "extras of weight 0": (
        of_output(extras("dipole"), clients=DIPOLE, forces=force(more="weight='0'") + force("lj"),
                  ff=ffsocket() + LJ),
        "i-PI drops",
    ),
    "extras of contracted beads": (
        replace(
            RING, outputs=extras("dipole"), clients=DIPOLE, forces=force(more="nbeads='2'")
        ),
        "i-PI drops",
    ),
    "extras of two": (
        of_output(
            extras("dipole"), ff=SPLIT, forces=force() + force("two"),
            clients={**DIPOLE, "two.toml": client("two", '"dipole"')},
        ),
        "the last one wins",
    ),
    "extras of the other force": (
        of_output(
            extras("dipole", "extras_component_raw(1)"), ff=SPLIT,
            forces=force() + force("two"), clients={**TWO, **DIPOLE},
        ),
        "no client sends it",
    ),
    "a baseline of a committee without one": (
        replace(GOOD["ffcommittee"], outputs=extras("wb_mixing")),
        "with <baseline_name> only",
    ),
    "a member's observable by its own name": (
        replace(
            GOOD["ffcommittee: an observable of its members"], outputs=extras("dipole")
        ),
        "extra_type='committee_dipole'",
    ),
    "potentials of rotations without them": (
        of_output(extras("o3grid_pots")),
        "which neither i-PI makes",
    ),
    "an output between two evaluations": (
        of_output(
            extras("dipole"),
            clients={"client.toml": client(extras='"dipole"') + "every = { dipole = 4 }\n"},
        ),
        "KeyError",
    ),
    "more atoms than the client": (replace(PLAIN, files={"w.xyz": PHOTON}), "has 4 atoms"),
    "another order of atoms": (
        replace(PLAIN, files={"w.xyz": IPI_XYZ.replace(WATER, TURNED)}),
        "atom 1 is 'H'",
    ),
    "no photons for a cavity": (replace(GOOD["ffcavphsocket"], files={}), "2 atoms 'L'"),
    "a format of numbers that is none": (
        replace(PLAIN, floatformat="%d %d"),
        "floatformat='%d %d'",
    ),
}  # fmt: skip
"""Inputs that do not run, or not as meant, with a part of what the check says."""
