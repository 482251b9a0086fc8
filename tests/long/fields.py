"""Real i-PI runs at a fixed displacement and, at constant pressure, in fields: exact answers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms
from exact import BOX, N_COPIES, Simulation, T, compare, equilibrated
from report import ROOT, Figure

from mlobs_client.evaluate.toys import PiezoelectricCrystal
from mlobs_client.ipi.properties import read_properties
from mlobs_client.results.statistics import mean
from mlobs_client.structure import Array
from mlobs_client.units import ANGSTROM

SPRING = 0.002  # Eh/bohr^2, soft: half of the field is screened
DISPLACEMENT = np.array([0.001, -0.002, 0.003])


def fixed_displacement(folder: Path) -> list[Figure]:
    """Field and fluctuations of the dipole of harmonic charges at a fixed displacement."""
    toy = (
        'pbc = [true, true, true]\n[potential]\nkind = "toy"\nname = "charged_oscillators"\n'
        f"[potential.parameters]\nsites = {[[0.0, 0.0, 0.0]] * N_COPIES}\n"
        f"charges = {[1, -1] * (N_COPIES // 2)}\nspring_constant = {SPRING}\n"
        f'[displacement]\nvector = {DISPLACEMENT.tolist()}\nunit = "atomic_unit"'
    )
    susceptibility = N_COPIES / SPRING
    depolarization = 4.0 * np.pi / (BOX * ANGSTROM) ** 3
    epsilon = 1.0 + depolarization * susceptibility
    run = Simulation(toy, n_steps=40000, timestep=1.0).run(folder)
    dipoles = equilibrated(run.dipoles().mean)
    figures = []
    for axis, component, fixed in zip("xyz", dipoles.T, DISPLACEMENT, strict=True):
        field = mean(1e3 * (fixed - depolarization * component), "1e-3 a.u.")
        name = f"field at a fixed displacement, {axis}"
        figures.append(compare(name, field, 1e3 * float(fixed) / epsilon, "D/eps"))
    exact = DISPLACEMENT * susceptibility / epsilon
    squared = np.mean((dipoles - exact) ** 2, axis=1) / (T * susceptibility)
    name = "fluctuations of the dipole, of those at a fixed field"
    figures.append(compare(name, mean(squared), 1.0 / epsilon, "1/eps"))
    return figures


# --- strain ---

CELL = np.diag([10.0, 10.0, 10.0])  # bohr
SITES = np.array([[x, y, z] for x in (2, 7) for y in (2, 7) for z in (2.0, 3.0, 7.0, 8.0)])
CHARGES = [-1, 1] * 8
MODULI = {"bulk_modulus": 0.002, "shear_modulus": 0.002}
CRYSTAL = {**MODULI, "spring_constant": 0.05, "softening": -1.5}
FIELD = np.array([0.0, 0.004, 0.008])


def strain_in_a_field(folder: Path) -> list[Figure]:
    """Isotropic strain of a piezoelectric crystal: against the field, along it, and at voltages."""
    conditions = {
        "without a field": (0.0 * FIELD, False),
        "at a fixed field": (FIELD, False),
        "at the opposite field": (-FIELD, False),
        "at fixed voltages": (FIELD, True),
    }
    figures = []
    for label, (field, reduced) in conditions.items():
        volumes = equilibrated(_volumes(folder / label.replace(" ", "-"), field, reduced=reduced))
        strain = mean(100.0 * (np.cbrt(volumes / np.linalg.det(CELL)) - 1.0), "%")
        exact = 100.0 * _mean_strain(field, reduced=reduced)
        figures.append(compare(f"strain {label}", strain, exact, "quadrature"))
    return figures


def _mean_strain(field: Array, *, reduced: bool) -> float:
    """Over the distribution of the volume; the ions are integrated out exactly."""
    crystal = PiezoelectricCrystal(SITES, CHARGES, CELL, **CRYSTAL)
    stretches = np.linspace(0.9, 1.1, 4001)
    energies = np.array(
        [crystal.free_energy(s * CELL, T, field / s if reduced else field) for s in stretches]
    )
    weights = stretches**2 * np.exp(-(energies - energies.min()) / T)  # dV = 3 s^2 ds
    assert max(weights[0], weights[-1]) < 1e-8 * weights.max()
    return float(weights @ stretches / weights.sum()) - 1.0


def _volumes(folder: Path, field: Array, *, reduced: bool) -> Array:
    """Volumes along a run, bohr^3."""
    folder.mkdir(parents=True)
    atoms = Atoms("Ar16", SITES / ANGSTROM, cell=CELL / ANGSTROM, pbc=True)
    ase.io.write(folder / "init.xyz", atoms, format="extxyz")
    parameters = {"sites": SITES.tolist(), "charges": CHARGES, "reference_cell": CELL.tolist()}
    lines = "\n".join(f"{name} = {value}" for name, value in {**parameters, **CRYSTAL}.items())
    (folder / "client.toml").write_text(
        'structure = "init.xyz"\n[potential]\nkind = "toy"\nname = "piezoelectric_crystal"\n'
        f"[potential.parameters]\n{lines}\n[field]\nvector = {field.tolist()}\n"
        f'unit = "atomic_unit"\nreduced = {str(reduced).lower()}\n'
    )
    (folder / "input.xml").write_text(NPT)
    with (folder / "i-pi.log").open("w") as log:
        command = [Path(sys.executable).with_name("i-pi"), "input.xml"]
        subprocess.run(command, cwd=folder, check=True, stdout=log, stderr=log)
    return np.asarray(read_properties(folder / "simulation.out")["volume"])


NPT = f"""<simulation verbosity='quiet'>
  <output prefix='simulation'>
    <properties filename='out' stride='5'>[step, volume]</properties>
  </output>
  <total_steps>60000</total_steps>
  <prng><seed>11</seed></prng>
  <ffdirect name='toy' pbc='False'><pes>custom</pes>
    <pes_path>{ROOT / "drivers" / "mlobs_pes.py"}</pes_path>
    <parameters>{{client: client.toml}}</parameters></ffdirect>
  <system>
    <initialize nbeads='1'>
      <file mode='ase'>init.xyz</file>
      <velocities mode='thermal' units='kelvin'>300</velocities>
    </initialize>
    <forces><force forcefield='toy'/></forces>
    <ensemble>
      <temperature units='kelvin'>300</temperature> <pressure>0</pressure>
    </ensemble>
    <motion mode='dynamics'><fixcom>False</fixcom><dynamics mode='npt'>
      <timestep units='femtosecond'>1.0</timestep>
      <barostat mode='isotropic'><tau units='femtosecond'>50</tau>
        <thermostat mode='langevin'><tau units='femtosecond'>50</tau></thermostat>
      </barostat>
      <thermostat mode='langevin'><tau units='femtosecond'>50</tau></thermostat>
    </dynamics></motion>
  </system>
</simulation>"""
