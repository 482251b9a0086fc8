"""Real i-PI runs of analytic models, with what is known exactly about them.

i-PI evaluates the models through its own plug-in interface (drivers/mlobs_pes.py), which costs no
socket; every atom is an independent copy of the same small system, which gives the statistics.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms
from report import ROOT, Figure

from mlobs_client.analysis.response.dielectric import dielectric_from_relaxation
from mlobs_client.analysis.response.permittivity import permittivity_from_fluctuations
from mlobs_client.analysis.response.polarization import polarization_against_field
from mlobs_client.analysis.response.reweighting import reweight
from mlobs_client.analysis.vibrations.infrared import infrared_from_currents
from mlobs_client.analysis.vibrations.spectra import SpectrumSettings
from mlobs_client.ipi import read_beads
from mlobs_client.results.estimate import Estimate
from mlobs_client.results.statistics import mean
from mlobs_client.structure import Array
from mlobs_client.studies.runs import Run
from mlobs_client.units import (
    ANGSTROM,
    DALTON,
    EV,
    INVERSE_CM,
    KELVIN,
    SPEED_OF_LIGHT,
)

T = 300.0 * KELVIN
MEV = EV / 1000.0
N_COPIES = 64
BOX = 40.0  # angstrom; the models do not notice it
SIGMAS = 3.0
"""How many standard errors a figure may be away from its reference."""
LARGEST_ERROR = 0.1
"""Of the reference: what is known worse than that agrees with anything."""


@dataclass(frozen=True)
class Simulation:
    """One run of independent copies.

    Attributes:
        toy: the [potential] of the client file, as TOML, and whatever else it needs.
        start: of every copy, bohr.
        mass: of every copy, electron masses.
        beads: 1 is classical.
        n_steps: number of steps.
        timestep: fs.
        begin: a checkpoint of another run to go on from, in place of ``start``.
        checkpoints: steps between two that are kept; 0 keeps none.
        seed: of the random numbers.
    """

    toy: str
    start: tuple[float, float, float] = (0.0, 0.0, 0.0)
    mass: float = 1.008 * DALTON
    beads: int = 1
    n_steps: int = 20000
    timestep: float = 0.5
    begin: Path | None = None
    checkpoints: int = 0
    seed: int = 7

    def run(self, folder: Path) -> Run:
        """Write the inputs, run i-PI, return its outputs."""
        folder.mkdir(parents=True)
        sites = np.tile(np.array(self.start) / ANGSTROM, (N_COPIES, 1))
        atoms = Atoms("H" * N_COPIES, sites, cell=[BOX] * 3, pbc=False)
        ase.io.write(folder / "init.xyz", atoms, format="extxyz")
        (folder / "client.toml").write_text(
            f'structure = "init.xyz"\nvirial = "none"\n{self.toy}\n'
            '[observables]\nextras = ["dipole"]\n'
        )
        (folder / "input.xml").write_text(self._xml())
        with (folder / "i-pi.log").open("w") as log:
            command = [Path(sys.executable).with_name("i-pi"), "input.xml"]
            subprocess.run(command, cwd=folder, check=True, stdout=log, stderr=log)
        return Run(folder / "simulation")

    def _xml(self) -> str:
        checkpoint = (
            f"<checkpoint filename='kept' stride='{self.checkpoints}' overwrite='False'/>"
            if self.checkpoints
            else ""
        )
        return f"""<simulation verbosity='quiet'>
  <output prefix='simulation'>
    <properties filename='out' stride='5'>[step, time, kinetic_cv, potential]</properties>
    <trajectory filename='pos' stride='20'>positions</trajectory>
    <trajectory filename='vel' stride='5'>v_centroid</trajectory>
    <trajectory filename='dipole' stride='5' extra_type='dipole'>extras</trajectory>
    {checkpoint}
  </output>
  <total_steps>{self.n_steps}</total_steps>
  <prng><seed>{self.seed}</seed></prng>
  <ffdirect name='toy' pbc='False'><pes>custom</pes>
    <pes_path>{ROOT / "drivers" / "mlobs_pes.py"}</pes_path>
    <parameters>{{client: client.toml}}</parameters>
    <batch_size>{self.beads}</batch_size></ffdirect>
  <system>
    <initialize nbeads='{self.beads}'>{self._beginning()}</initialize>
    <forces><force forcefield='toy'/></forces>
    <ensemble><temperature units='kelvin'>300</temperature></ensemble>
    <motion mode='dynamics'><fixcom>False</fixcom><dynamics mode='nvt'>
      <timestep units='femtosecond'>{self.timestep}</timestep>
      <thermostat mode='pile_l'><tau units='femtosecond'>100</tau></thermostat>
    </dynamics></motion>
  </system>
</simulation>"""

    def _beginning(self) -> str:
        if self.begin is not None:
            return f"<file mode='chk'>{self.begin}</file>"
        masses = ", ".join(f"{self.mass:.10f}" for _ in range(N_COPIES))
        return f"""
      <file mode='ase'>init.xyz</file>
      <masses mode='manual'>[{masses}]</masses>
      <velocities mode='thermal' units='kelvin'>300</velocities>
    """


def oscillators(springs: Array, charge: int = 1, field: Array | None = None) -> str:
    """Client file of copies in one harmonic well, springs in Eh/bohr^2, field in a.u."""
    text = (
        '[potential]\nkind = "toy"\nname = "charged_oscillators"\n[potential.parameters]\n'
        f"sites = {[[0.0, 0.0, 0.0]] * N_COPIES}\ncharges = {[charge] * N_COPIES}\n"
        f"spring_constant = {springs.tolist()}"
    )
    if field is not None:
        text += f'\n[field]\nvector = {field.tolist()}\nunit = "atomic_unit"'
    return text


def harmonic_kinetic_energy(omega: Array, beads: int) -> float:
    """Exact <K> (Eh) of oscillators with a finite number of beads, summed over ``omega``."""
    k = np.arange(beads)
    ring = 2.0 * beads * T * np.sin(np.pi * k / beads)
    return float(0.5 * T * np.sum(omega[:, None] ** 2 / (omega[:, None] ** 2 + ring**2)))


def compare(name: str, found: Estimate, exact: float, source: str) -> Figure:
    """A figure that passes within a few standard errors of its reference, if these are small."""
    is_near = abs(found.value - exact) <= SIGMAS * found.error
    passed = bool(is_near and found.error <= LARGEST_ERROR * abs(exact))
    reference = f"{exact:.6g} ({source})"
    return Figure(name, found.value, found.error, found.unit, reference, passed)


def equilibrated(series: Array) -> Array:
    """All but the first tenth."""
    return series[len(series) // 10 :]


def quantum_oscillator(folder: Path) -> list[Figure]:
    """Kinetic energy of a quantum oscillator with the wavenumbers 3400, 1650, 500 cm^-1."""
    # 0.1 fs: with 0.5, the steps of the ring polymer's fastest modes resonate, and 2 % are wrong
    mass, beads = 1.008 * DALTON, 32
    omega = np.array([3400.0, 1650.0, 500.0]) * INVERSE_CM
    toy = oscillators(np.diag(mass * omega**2))
    simulation = Simulation(toy, mass=mass, beads=beads, n_steps=10000, timestep=0.1)
    run = simulation.run(folder)
    series = equilibrated(run.properties["kinetic_cv"]) / N_COPIES / MEV
    exact = harmonic_kinetic_energy(omega, beads) / MEV
    source = f"analytic, {beads} beads; 175.165 with infinitely many"
    return [compare("quantum oscillator, kinetic energy", mean(series, "meV"), exact, source)]


def double_well(folder: Path) -> list[Figure]:
    """Mean square position in a double well, classical and quantum."""
    figures = []
    for label, beads, exact in (("classical", 1, 3.87615), ("quantum", 32, 3.78937)):
        toy = '[potential]\nkind = "toy"\nname = "double_well"'
        n_steps = 40000 if beads == 1 else 8000
        simulation = Simulation(toy, (1.99641, 0.0, 0.0), 1836.0, beads, n_steps)
        positions = read_beads(simulation.run(folder / label).prefix.with_name("simulation.pos"))
        series = equilibrated((positions.values[..., 0] ** 2).mean(axis=(1, 2)))
        found = mean(series, "bohr^2")
        figures.append(compare(f"double well, <x^2>, {label}", found, exact, "DVR at 300 K"))
    return figures


def anharmonic_kinetic_energy(folder: Path) -> list[Figure]:
    """Quantum kinetic energy in the quartic Morse well, 1 eV/A^2 across."""
    mass, beads = 1837.4, 16
    toy = '[potential]\nkind = "toy"\nname = "morse_wall"'
    run = Simulation(toy, mass=mass, beads=beads, n_steps=12000).run(folder)
    across = np.full(2, np.sqrt(EV / ANGSTROM**2 / mass))
    exact = 14.4217 + harmonic_kinetic_energy(across, beads) / MEV
    series = equilibrated(run.properties["kinetic_cv"]) / N_COPIES / MEV
    found = mean(series, "meV")
    return [compare("Morse well, quantum kinetic energy", found, exact, "DVR and analytic")]


def dipole_in_a_field(folder: Path) -> list[Figure]:
    """Mean dipole of harmonic charges in a static field: K^-1 E per charge, with any mass."""
    springs = np.array([[0.10, 0.02, -0.01], [0.02, 0.15, 0.03], [-0.01, 0.03, 0.20]])
    field = np.array([0.002, -0.003, 0.004])
    exact = np.linalg.solve(springs, field)
    figures = []
    for label, beads, n_steps in (("classical", 1, 20000), ("8 beads", 8, 8000)):
        toy = oscillators(springs, charge=-1, field=field)
        run = Simulation(toy, beads=beads, n_steps=n_steps).run(folder / label)
        series = equilibrated(run.dipoles().mean) / N_COPIES
        for axis, along, value in zip("xyz", series.T, exact, strict=True):
            name = f"dipole in a field, {label}, {axis}"
            figures.append(compare(name, mean(along, "e bohr"), float(value), "K^-1 E"))
    return figures


def dielectric_constant(folder: Path) -> list[Figure]:
    """Of harmonic charges: fluctuations at rest, polarization in fields, relaxation after them."""
    springs = np.array([[0.10, 0.02, -0.01], [0.02, 0.15, 0.03], [-0.01, 0.03, 0.20]])
    fields = np.array([[-0.004, 0.0, 0.0], [0.0, 0.0, 0.0], [0.004, 0.0, 0.0]])
    legs = []
    for k, field in enumerate(fields):
        toy = oscillators(springs, charge=-1, field=field if field.any() else None)
        n_steps = 24000 if field.any() else 60000
        leg = Simulation(toy, n_steps=n_steps, checkpoints=2000, seed=7 + k)
        legs.append(leg.run(folder / f"{k}"))
    dipoles = [equilibrated(leg.dipoles().mean) for leg in legs]
    rest, volume = dipoles[1], legs[1].volume
    fluctuations = permittivity_from_fluctuations(rest, volume, T)
    along_x = Estimate(fluctuations.tensor[0, 0] - 1.0, fluctuations.errors[0, 0], "1", 10)
    response = polarization_against_field(fields, dipoles, volume).susceptibility
    between = np.array([0.001, 0.0, 0.0])
    reweighted = reweight(rest[:, 0] / N_COPIES, rest, between, T, unit="e bohr")
    relaxed = _relax(folder, springs, fields[[0, 2]], rest.mean(axis=0))
    of_one = float(np.linalg.inv(springs)[0, 0])
    exact = 4.0 * np.pi * N_COPIES * of_one / volume
    return [
        compare("dielectric constant - 1, fluctuations", along_x, exact, "4 pi n K^-1/V"),
        compare("dielectric constant - 1, fields", response, exact, "4 pi n K^-1/V"),
        compare("dielectric constant - 1, relaxation", relaxed, exact, "4 pi n K^-1/V"),
        compare("dipole, reweighted to 0.001 a.u.", reweighted.estimate, 0.001 * of_one, "K^-1 E"),
    ]


def _relax(folder: Path, springs: Array, fields: Array, rest: Array) -> Estimate:
    """Static dielectric constant, less 1, from runs that go on without a field, 10 from each."""
    runs, before = [], []
    for k, field in zip((0, 2), fields, strict=True):
        for start in range(2, 12):
            simulation = Simulation(
                oscillators(springs, charge=-1),
                n_steps=2000,
                begin=folder / f"{k}" / f"simulation.kept_{start}",
                seed=100 * k + start,
            )
            runs.append(simulation.run(folder / f"from-{k}-{start}"))
            before.append(field)
    function = dielectric_from_relaxation(
        [run.dipoles().mean for run in runs],
        np.array(before),
        rest,
        runs[0].spacing(runs[0].dipoles().steps),
        runs[0].volume,
        settings=SpectrumSettings(resolution=150.0),
    )
    return replace(function.static, value=function.static.value - 1.0)


def infrared_sum_rule(folder: Path) -> list[Figure]:
    """Integrated absorption of free charges in wells: 2 pi^2 sum(q^2/m) / (V c)."""
    mass = 1.008 * DALTON
    omega = np.array([3400.0, 1650.0, 800.0]) * INVERSE_CM
    toy = oscillators(np.diag(mass * omega**2))
    run = Simulation(toy, mass=mass, n_steps=20000).run(folder)
    velocities = run.velocities()
    currents = equilibrated(velocities.values.sum(axis=1))
    spectrum = infrared_from_currents(
        [currents],
        run.spacing(velocities.steps),
        run.volume,
        T,
        settings=SpectrumSettings(resolution=50.0),
    )
    found = spectrum.integral(0.0, 5000.0)
    # over omega, then per wavenumber: d(omega) = 2 pi c d(wavenumber) is INVERSE_CM in a.u.
    strength = 2.0 * np.pi**2 * N_COPIES / mass / run.volume / SPEED_OF_LIGHT
    centimetre = 1e8 * ANGSTROM
    exact = float(strength * centimetre / INVERSE_CM)
    return [compare("infrared sum rule", found, exact, "2 pi^2 sum(q^2/m)/(V c)")]
