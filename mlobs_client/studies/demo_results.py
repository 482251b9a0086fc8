"""Analyse the runs of the demo: conserved energies, spectra and polarization."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from mlobs_client.analysis.response.polarization import (
    PolarizationCurve,
    polarization_against_field,
)
from mlobs_client.analysis.vibrations.infrared import infrared
from mlobs_client.analysis.vibrations.spectra import SpectrumSettings
from mlobs_client.analysis.vibrations.vdos import vdos
from mlobs_client.errors import RecordError
from mlobs_client.plot import write
from mlobs_client.plot.figure import name_errors
from mlobs_client.results.curve import NOTE, Curve
from mlobs_client.results.estimate import Estimate
from mlobs_client.results.provenance import Provenance
from mlobs_client.results.result import Points, Result
from mlobs_client.studies.conserved_figure import conserved
from mlobs_client.studies.demo import read_lengths
from mlobs_client.studies.demo_plan import (
    BEADS,
    CLASSICAL_POLARIZATION,
    CLASSICAL_SPECTRA,
    CONSERVED,
    PARTS,
    QUANTUM_POLARIZATION,
    QUANTUM_SPECTRA,
    DemoRun,
    Part,
)
from mlobs_client.studies.run_set import RunSet
from mlobs_client.units import EV, KELVIN, VOLT_PER_ANGSTROM

logger = logging.getLogger(__name__)

TEMPERATURE: Final = 300.0 * KELVIN
SKIPPED: Final = 0.15
"""Fraction of a run that is left out at its start: beads start at one point, and equilibrate."""
BLOCKS: Final = 4
RESOLUTION: Final = 250.0
"""Resolution that four blocks of a whole run allow, cm^-1."""
TRPMD: Final = f"TRPMD, {BEADS} beads"
STRETCH: Final = (2800.0, 4200.0)
"""Range of the O-H stretch, cm^-1."""
SHOWN: Final = (0.0, 4500.0)
"""Range in which the spectra are shown, cm^-1."""


@dataclass(frozen=True)
class Row:
    """One row of the table that ends the demo."""

    what: str
    value: Estimate


def analyse(
    folder: Path, parts: Collection[Part] = PARTS, command: Sequence[str] = ()
) -> tuple[list[Row], list[Path]]:
    """Make the table and the figures of a finished demo.

    Args:
        folder: output of the demo, in which each run has a folder.
        parts: parts to show; a figure without any of them is not made.
        command: words of the command line, for the provenance of the figures.

    Returns:
        The rows of the table, and the paths of the figures that were written.

    Raises:
        RecordError: outputs of a run are missing, damaged or too short.
    """
    made = []
    if CONSERVED in parts:
        made.append(show_conserved(folder, CONSERVED.runs, command))
    for show, of_figure in FIGURES:
        kept = {label: part.runs for label, part in of_figure.items() if part in parts}
        if kept:
            made.append(show(folder, kept, command))
    return [row for rows, _ in made for row in rows], [figure for _, figure in made]


def _open(folder: Path, one: DemoRun, fraction: float = 0.0) -> RunSet:
    return RunSet((folder / one.name / "simulation",), fraction=fraction)


def _provenance(sets: Iterable[RunSet], command: Sequence[str]) -> Provenance:
    return Provenance.of({path for runs in sets for path in runs.inputs}, command)


def show_conserved(
    folder: Path, runs: Iterable[DemoRun], command: Sequence[str] = ()
) -> tuple[list[Row], Path]:
    """Show the conserved energy of these runs below their potential energy, which varies far more.

    Args:
        folder: output of the demo.
        runs: runs of :data:`~mlobs_client.studies.demo_plan.CONSERVED`.
        command: words of the command line, for the provenance of the figure.

    Returns:
        The rows of the table, and the path of the figure.

    Raises:
        RecordError: outputs of a run are missing, damaged or too short.
    """
    sets = {f"{run.field:g} V/Å" if run.field else "no field": _open(folder, run) for run in runs}
    tables = {label: one.runs[0].properties for label, one in sets.items()}
    n_atoms = len(next(iter(sets.values())).runs[0].velocities().numbers)
    result = conserved(
        {label: (table["time"], table["conserved"]) for label, table in tables.items()},
        n_atoms,
        "classical nuclei",
        _provenance(sets.values(), command),
    )
    potentials = [
        Curve.of_one_series(
            "potential energy from its start", "meV/atom", "time", "ps", curve.x,
            1000.0 * (table["potential"] - table["potential"][0]) / EV / n_atoms, curve.label,
        )
        for curve, table in zip(result.curves, tables.values(), strict=True)
    ]  # fmt: skip
    write(replace(result, curves=(*potentials, *result.curves)), folder / "conserved")
    rows = [
        Row(f"drift of the conserved energy, NVE, {label}", result.numbers[f"drift, {label}"])
        for label in sets
    ]
    return rows, folder / "conserved.png"


def _settings(n_steps: int) -> SpectrumSettings:
    """Choose a coarser resolution for shorter runs, and fewer blocks for a quick look."""
    scale = min(1.0, n_steps / CLASSICAL_SPECTRA.n_steps)
    n_blocks = BLOCKS if n_steps >= CLASSICAL_SPECTRA.least else 2
    return SpectrumSettings(resolution=RESOLUTION / scale, n_blocks=n_blocks)


def _spectra(
    folder: Path, labelled: Mapping[str, Sequence[DemoRun]], command: Sequence[str]
) -> tuple[list[Row], Path]:
    simulations = {label: runs[0] for label, runs in labelled.items()}
    lengths = read_lengths(folder)
    settings = _settings(min(lengths[run] for run in simulations.values()))
    sets = {label: _open(folder, one, SKIPPED) for label, one in simulations.items()}
    kinds: dict[str, Callable[[RunSet, SpectrumSettings], Curve]] = {"VDOS": _vdos, "IR": _infrared}
    found = {
        (what, label): replace(compute(runs, settings), label=label)
        for what, compute in kinds.items()
        for label, runs in sets.items()
    }
    rows = []
    for (what, label), spectrum in found.items():
        try:
            stretch = spectrum.peak(*STRETCH)
        except RecordError as error:  # a quick look resolves no lines
            logger.warning("%s, %s: %s", what, label, error)
        else:
            rows.append(Row(f"O-H stretch in the {what}, {label}", stretch))
    shown = [found[what, label].between(*SHOWN) for what in ("IR", "VDOS") for label in simulations]
    origin = _provenance(sets.values(), command)
    result = Result("vibrations of water", tuple(shown), provenance=origin)
    write(result, folder / "spectra")
    return rows, folder / "spectra.png"


def _vdos(runs: RunSet, settings: SpectrumSettings) -> Curve:
    samples = runs.velocities()
    found = vdos(samples.stretches, samples.masses.values, samples.spacing, settings)
    return samples.with_estimator(found)


def _infrared(runs: RunSet, settings: SpectrumSettings) -> Curve:
    samples = runs.dipoles()
    found = infrared(
        samples.stretches,
        samples.spacing,
        samples.volume,
        TEMPERATURE,
        settings=settings,
        members=samples.member_stretches,
    )
    return samples.with_estimator(found)


def _polarization(
    folder: Path, labelled: Mapping[str, Sequence[DemoRun]], command: Sequence[str]
) -> tuple[list[Row], Path]:
    sets = {label: [_open(folder, run) for run in runs] for label, runs in labelled.items()}
    last = min(int(runs.dipoles().steps[0][-1]) for several in sets.values() for runs in several)
    curves = {
        label: _curve(sets[label], [run.field for run in runs[1:]], last)
        for label, runs in labelled.items()
    }
    rows = [
        Row(f"change of polarization at {field:g} V/Å, {label}", polarization)
        for label, (curve, _) in curves.items()
        for field, polarization in zip(curve.field, curve.polarization, strict=True)
    ]
    lines: list[Curve] = []
    points: list[Points] = []
    numbers: dict[str, Estimate] = {}
    for label, (curve, estimator) in curves.items():
        chi = curve.susceptibility
        said = f"{label}: χ ≈ {chi.value:.2g}" if chi.no_error else f"{label}: χ = {chi.text}"
        line, averages = curve.parts(said, estimator)
        if not chi.no_error:
            note = name_errors("χ: ±1 standard error", [chi])
            line = replace(line, details={NOTE: note})
        lines.append(line)
        points.append(averages)
        numbers |= curve.numbers(label)
    result = Result(
        "polarization of water",
        tuple(lines),
        tuple(points),
        numbers,
        provenance=_provenance([one for several in sets.values() for one in several], command),
    )
    write(result, folder / "polarization")
    return rows, folder / "polarization.png"


def _curve(
    sets: Sequence[RunSet], fields: Sequence[float], last: int
) -> tuple[PolarizationCurve, str]:
    """Return the changes relative to the first run, which has no field, and their estimator.

    The dipole of so short a run still depends on its start, which all runs share. The start cancels
    in differences at the same step, and the effect of the field remains. It grows with time, so it
    is averaged over the same steps of all runs, until ``last``. Without a field there is no
    polarization, by symmetry: the liquid is isotropic.
    """
    (at_rest, *in_fields) = [runs.dipoles() for runs in sets]
    changes = []
    for one in in_fields:
        steps, here, there = np.intersect1d(one.steps[0], at_rest.steps[0], return_indices=True)
        averaged = (steps >= SKIPPED * last) & (steps <= last)
        changes.append((one.values[0][here] - at_rest.values[0][there])[averaged])
    along_z = np.array([[0.0, 0.0, field] for field in fields])
    found = polarization_against_field(
        along_z * VOLT_PER_ANGSTROM, changes, at_rest.volume, paired=True
    )
    return found, at_rest.estimator


FIGURES: Final = (
    (_spectra, {"classical": CLASSICAL_SPECTRA, TRPMD: QUANTUM_SPECTRA}),
    (_polarization, {"classical": CLASSICAL_POLARIZATION, TRPMD: QUANTUM_POLARIZATION}),
)
