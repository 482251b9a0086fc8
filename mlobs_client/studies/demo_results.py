"""Analyse the runs of the demo: conserved energies, spectra and polarization."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
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
from mlobs_client.plot.figure import name_errors, with_error
from mlobs_client.results.curve import NOTE, Curve
from mlobs_client.results.estimate import Estimate
from mlobs_client.results.provenance import Provenance
from mlobs_client.results.result import Points, Result
from mlobs_client.studies import demo
from mlobs_client.studies.conserved_figure import conserved
from mlobs_client.studies.run_set import RunSet
from mlobs_client.units import KELVIN, VOLT_PER_ANGSTROM

logger = logging.getLogger(__name__)

TEMPERATURE: Final = 300.0 * KELVIN
SKIPPED: Final = 0.15
"""Fraction of a run that is left out at its start: beads start at one point, and equilibrate."""
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
    folder: Path, settings: SpectrumSettings, command: Sequence[str] = ()
) -> tuple[list[Row], list[Path]]:
    """Make the table and the figures of a finished demo.

    Args:
        folder: output of the demo, in which each run has a folder.
        settings: resolution and blocks of the spectra.
        command: words of the command line, for the provenance of the figures.

    Returns:
        The rows of the table, and the paths of the figures that were written.

    Raises:
        RecordError: outputs of a run are missing, damaged or too short.
    """
    rows, figures = _conserved(folder, command)
    others = _spectra(folder, settings, command), _polarization(folder, command)
    for made_rows, made_figures in others:
        rows += made_rows
        figures += made_figures
    return rows, figures


def _open(folder: Path, one: demo.DemoRun, fraction: float = 0.0) -> RunSet:
    prefix = folder / one.name / "simulation"
    records = (prefix.with_name("dipoles.h5"),) if one in demo.OBSERVED else ()
    return RunSet((prefix,), fraction=fraction, records=records)


def _provenance(sets: Iterable[RunSet], command: Sequence[str]) -> Provenance:
    return Provenance.of({path for runs in sets for path in runs.inputs}, command)


def _conserved(folder: Path, command: Sequence[str]) -> tuple[list[Row], list[Path]]:
    labels = {"no field": demo.CLASSICAL, "0.1 V/Å": demo.CLASSICAL_IN_FIELD}
    sets = {label: _open(folder, one) for label, one in labels.items()}
    tables = {label: one.runs[0].properties for label, one in sets.items()}
    result = conserved(
        {label: (table["time"], table["conserved"]) for label, table in tables.items()},
        len(sets["no field"].runs[0].velocities().numbers),
        "classical nuclei",
        _provenance(sets.values(), command),
    )
    write(result, folder / "conserved")
    rows = [
        Row(f"drift of the conserved energy, NVE, {label}", result.numbers[f"drift, {label}"])
        for label in labels
    ]
    return rows, [folder / "conserved.png"]


def _spectra(
    folder: Path, settings: SpectrumSettings, command: Sequence[str]
) -> tuple[list[Row], list[Path]]:
    simulations = {"classical": demo.CLASSICAL, f"TRPMD, {demo.BEADS} beads": demo.QUANTUM}
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
    return rows, [folder / "spectra.png"]


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


def _polarization(folder: Path, command: Sequence[str]) -> tuple[list[Row], list[Path]]:
    series = {
        "classical": demo.CLASSICAL_FIELDS,
        f"TRPMD, {demo.BEADS} beads": (demo.QUANTUM, *demo.QUANTUM_FIELDS),
    }
    sets = {
        label: [_open(folder, at_rest), *(_open(folder, one, SKIPPED) for one in in_fields)]
        for label, (at_rest, *in_fields) in series.items()
    }
    curves = {label: _curve(sets[label], simulations) for label, simulations in series.items()}
    rows = [
        Row(f"change of polarization at {field:g} V/Å, {label}", polarization)
        for label, (curve, _) in curves.items()
        for field, polarization in zip(curve.field, curve.polarization, strict=True)
    ]
    lines: list[Curve] = []
    points: list[Points] = []
    numbers: dict[str, Estimate] = {}
    for label, (curve, estimator) in curves.items():
        said = f"{label}: χ = {with_error(curve.susceptibility)}"
        line, averages = curve.parts(said, estimator)
        if not curve.susceptibility.no_error:
            note = name_errors("χ: ±1 standard error", [curve.susceptibility])
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
    return rows, [folder / "polarization.png"]


def _curve(
    sets: Sequence[RunSet], simulations: Sequence[demo.DemoRun]
) -> tuple[PolarizationCurve, str]:
    """Return the changes relative to the first run, which has no field, and their estimator.

    The dipole of so short a run still depends on its start, which all runs share. The start cancels
    in differences at the same step, and the effect of the field remains. Without a field there is
    no polarization, by symmetry: the liquid is isotropic.
    """
    (at_rest, *in_fields) = [runs.dipoles() for runs in sets]
    changes = []
    for one in in_fields:
        _, here, there = np.intersect1d(one.steps[0], at_rest.steps[0], return_indices=True)
        changes.append(one.values[0][here] - at_rest.values[0][there])
    fields = np.array([[0.0, 0.0, one.field] for one in simulations[1:]])
    found = polarization_against_field(
        fields * VOLT_PER_ANGSTROM, changes, at_rest.volume, paired=True
    )
    return found, at_rest.estimator
