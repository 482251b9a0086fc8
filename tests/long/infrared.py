"""Infrared absorption of liquid water with classical and with quantum nuclei, in the real i-PI.

It is the first figure of README.md. What is interrupted goes on from where it was.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms
from report import Figure

from mlobs_client.analysis import SpectrumSettings, correct_timestep, infrared
from mlobs_client.errors import RecordError
from mlobs_client.ipi import input as ipi_input
from mlobs_client.plot import write
from mlobs_client.results import Curve, Provenance, Result
from mlobs_client.studies import RunSet
from mlobs_client.templates.water_box import fill
from mlobs_client.units import ANGSTROM, KELVIN

PER_SIDE = 4  # molecules on the lattice to start from
DENSITY = 0.9965  # g/cm^3, of water at 300 K and 1 bar
TEMPERATURE = 300.0  # K
STEPS_PER_PS = 2000
SKIP = 1.0  # ps, in which velocities and beads reach equilibrium
SETTINGS = SpectrumSettings(resolution=70.0, n_blocks=7)
SHOWN = (0.0, 4250.0)  # cm^-1
LONGEST_BOND = 1.6  # angstrom; beyond it a molecule has come apart


@dataclass(frozen=True)
class Dynamics:
    """One of the runs.

    Attributes:
        name: of its folder.
        length: ps.
        options: of ``mlobs init``.
        changes: texts of its files that are replaced.
    """

    name: str
    length: float
    options: Sequence[str]
    changes: Mapping[str, str]


@dataclass(frozen=True)
class Band:
    """A band, and where it is measured.

    Attributes:
        name: of the motion.
        low: lower end of the range in which it is looked for, cm^-1.
        high: upper end, cm^-1.
        maximum: highest measured absorption, cm^-1.
        middle: of the upper half of the measured band, by the estimator of ``Curve.peak``, cm^-1.
    """

    name: str
    low: float
    high: float
    maximum: float
    middle: float


# The potential with the smallest errors of clusters, whose bonds are long (potential.md), and the
# dipole model with small errors of Born charges (dipole.md); a committee takes three times as long.
MODELS = (
    "--model", "bundled:water/potential-3", "--dipole", "bundled:water/dipole-1",
    "--oxidation-numbers", "O=-2,H=1",
)  # fmt: skip
# dipoles only where they are written, for which one client answers all beads at once
FAST = {
    'kind = "mace"': 'kind = "mace"\ndtype = "float32"',
    "<batch_size> 8": "<batch_size> 16",
}
RUN = ("run", "input.xml", "client.toml", "--no-check", "--resume")
MELT = {"mode='svr'": "mode='langevin'", "> 500 </tau>": "> 100 </tau>"}
EQUILIBRATION = Dynamics("equilibration", 2.0, ["--ensemble", "nvt"], {**FAST, **MELT})
RUNS = {
    "classical": Dynamics("classical", 20.0, ["--ensemble", "nvt"], FAST),
    "TRPMD, 16 beads": Dynamics("trpmd", 6.5, ["--ensemble", "trpmd", "--beads", "16"], FAST),
}
# n alpha of H2O at 25 C: J. E. Bertie and Z. Lan, Appl. Spectrosc. 50, 1047 (1996)
BANDS = (
    Band("libration", 400.0, 1000.0, 619.0, 595.0),
    Band("bend", 1500.0, 1800.0, 1645.0, 1645.0),
    Band("stretch", 2800.0, 4000.0, 3394.0, 3373.0),
)


def infrared_of_water(folder: Path, stem: Path) -> list[Figure]:
    """Carry out runs, draw their spectra, and compare their bands with measured ones.

    Args:
        folder: of the runs, which are continued if they are there.
        stem: of the figure and its numbers, without a file extension.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if not (lattice := folder / "lattice.xyz").exists():
        ase.io.write(lattice, make_lattice(), format="extxyz")
    melted = simulate(EQUILIBRATION, lattice, folder)
    start = melted.with_name("simulation.pos_0.xyz")
    return compare({label: simulate(one, start, folder) for label, one in RUNS.items()}, stem)


def make_lattice() -> Atoms:
    """Molecules on a cubic lattice, each turned away from its neighbours."""
    per_molecule = 18.01528 / 0.602214076 / DENSITY  # angstrom^3
    spacing = per_molecule ** (1 / 3)
    sites = spacing * np.array(list(np.ndindex(3 * (PER_SIDE,))), dtype=float)
    return fill(PER_SIDE * spacing * np.eye(3), sites, np.random.default_rng(1), n_trials=30)


def simulate(dynamics: Dynamics, start: Path, folder: Path) -> Path:
    """Carry out a run, or what is missing of it; return the prefix of its outputs."""
    target, n_steps = folder / dynamics.name, round(STEPS_PER_PS * dynamics.length)
    if not (target / "input.xml").exists():
        words = ["--structure", str(start), *MODELS, *dynamics.options, "--no-models"]
        mlobs(["init", "liquid", dynamics.name, *words], folder)
        for path in (target / "client.toml", target / "input.xml"):
            text = re.sub(r"<total_steps> \d+", f"<total_steps> {n_steps}", path.read_text())
            for old, new in dynamics.changes.items():
                text = text.replace(old, new)
            path.write_text(text)
    restart = target / "RESTART"
    if not restart.exists():
        mlobs(RUN, target)
    elif ipi_input.read(restart).step < n_steps:
        mlobs([*RUN, "--steps", str(n_steps)], target)
    return target / "simulation"


def mlobs(words: Sequence[str], folder: Path) -> None:
    """Run a command of mlobs in a folder."""
    command = [sys.executable, "-m", "mlobs_client", *words]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)


def compare(prefixes: Mapping[str, Path], stem: Path) -> list[Figure]:
    """Draw the spectra of runs, and say where their bands are."""
    runs = {
        label: RunSet([prefix], skip=SKIP, temperature=TEMPERATURE)
        for label, prefix in prefixes.items()
    }
    curves = {label: absorption(one, label) for label, one in runs.items()}
    found = Provenance.of({path for one in runs.values() for path in one.inputs})
    named = {"/".join(Path(path).parts[-2:]): digest for path, digest in found.inputs.items()}
    shown = tuple(one.between(*SHOWN) for one in curves.values())
    title = "infrared absorption of liquid water"
    result = Result(title, shown, provenance=replace(found, inputs=named))
    write(result, stem, marks={"measured maxima": [band.maximum for band in BANDS]})
    about = [figure for label, one in runs.items() for figure in describe(label, one)]
    return [*bands(curves), *about]


def absorption(runs: RunSet, label: str) -> Curve:
    """The absorption, without the shift by the time step."""
    samples = runs.dipoles()
    kt = TEMPERATURE * KELVIN
    found = infrared(samples.stretches, samples.spacing, samples.volume, kt, settings=SETTINGS)
    corrected = correct_timestep(samples.with_estimator(found), runs.runs[0].timestep)
    return replace(corrected, label=label)


def bands(curves: Mapping[str, Curve]) -> list[Figure]:
    """Positions of the bands beside the measured ones, and a shift by quantum nuclei."""
    figures = []
    for band in BANDS:
        measured = f"measured: {band.middle:g}; highest at {band.maximum:g}"
        for label, curve in curves.items():
            name = f"{band.name}, {label}"
            try:
                found = curve.peak(band.low, band.high)
            except RecordError as error:  # a short run has no clear libration
                print(f"{name}: {error}")
            else:
                figures.append(Figure(name, found.value, found.error, found.unit, measured, None))
    return [*figures, stretch_shift(*curves.values())]


def stretch_shift(classical: Curve, quantum: Curve) -> Figure:
    """The difference of the O-H stretches."""
    band = BANDS[-1]
    before, after = (curve.peak(band.low, band.high) for curve in (classical, quantum))
    shift, error = after.value - before.value, float(np.hypot(before.error, after.error))
    reference = "below 0 by two errors: quantum nuclei soften it"
    name = f"{band.name}, quantum - classical"
    return Figure(name, shift, error, after.unit, reference, bool(shift < -2.0 * error))


def describe(label: str, runs: RunSet) -> list[Figure]:
    """The length of a run, and the longest bond of any bead: have all molecules stayed whole?"""
    (trajectory,) = runs.positions()
    length = (trajectory.steps[-1] - trajectory.steps[0]) / STEPS_PER_PS
    molecules = trajectory.values.reshape(*trajectory.values.shape[:2], -1, 3, 3)  # O H H
    bonds = np.linalg.norm(molecules[..., 1:, :] - molecules[..., :1, :], axis=-1) / ANGSTROM
    longest, name = float(bonds.max()), f"longest O-H bond, {label}"
    reference = f"below {LONGEST_BOND:g}: all molecules stay whole"
    return [
        Figure(f"length, {label}", float(length), None, "ps", f"after {SKIP:g} ps", None),
        Figure(name, longest, None, "angstrom", reference, longest < LONGEST_BOND),
    ]
