"""What the demo's legs say: conserved energies, spectra and polarization."""

from __future__ import annotations

import logging
from collections.abc import Sequence
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
from mlobs_client.plot import save, write
from mlobs_client.plot.figure import with_error
from mlobs_client.results.curve import Curve
from mlobs_client.results.estimate import Estimate
from mlobs_client.results.lines import drift
from mlobs_client.results.result import Points, Provenance, Result
from mlobs_client.structure import Array
from mlobs_client.studies import demo
from mlobs_client.studies.conserved_figure import plot_conserved
from mlobs_client.studies.recorded import read_recorded
from mlobs_client.studies.runs import MEMBERS, Dipoles, Run
from mlobs_client.units import EV, KELVIN, PICOSECOND, VOLT_PER_ANGSTROM

logger = logging.getLogger(__name__)

TEMPERATURE: Final = 300.0 * KELVIN
SKIPPED: Final = 0.15
"""Of every leg, while it finds its equilibrium: the beads start at one point."""
STRETCH: Final = (2800.0, 4200.0)
"""Where the O-H stretch is looked for, cm^-1."""
SHOWN: Final = (0.0, 4500.0)
"""Of the spectra, cm^-1."""


@dataclass(frozen=True)
class Row:
    """One line of the table at the end."""

    what: str
    value: Estimate


def analyse(folder: Path, settings: SpectrumSettings) -> tuple[list[Row], list[Path]]:
    """Make the table and the figures of a finished demo.

    Returns:
        The rows of the table, and the figures that were written.
    """
    runs = {leg: Run(folder / leg.name / "simulation") for leg in demo.LEGS}
    rows, figures = _conserved(runs, folder)
    for made_rows, made_figures in (
        _spectra(runs, folder, settings),
        _polarization(runs, folder),
    ):
        rows += made_rows
        figures += made_figures
    return rows, figures


Runs = dict[demo.Leg, Run]


def _conserved(runs: Runs, folder: Path) -> tuple[list[Row], list[Path]]:
    labels = {"no field": demo.CLASSICAL, "0.1 V/Å": demo.CLASSICAL_IN_FIELD}
    curves, rows, n_atoms = {}, [], 0
    for label, leg in labels.items():
        properties = runs[leg].properties
        times, conserved = properties["time"], properties["conserved"]
        curves[label] = (times, conserved)
        n_atoms = len(runs[leg].velocities().numbers)
        per_atom = 1e6 * conserved / EV / n_atoms
        slope = drift(times / PICOSECOND, per_atom, ("ps", "µeV/atom"))
        rows.append(Row(f"drift of the conserved energy, NVE, {label}", slope))
    save(plot_conserved(curves, n_atoms), folder / "conserved")
    return rows, [folder / "conserved.png"]


def _spectra(runs: Runs, folder: Path, settings: SpectrumSettings) -> tuple[list[Row], list[Path]]:
    legs = {"classical": demo.CLASSICAL, f"TRPMD, {demo.BEADS} beads": demo.QUANTUM}
    densities = {label: _vdos(runs[leg], settings) for label, leg in legs.items()}
    absorptions = {label: _infrared(runs[leg], leg, settings) for label, leg in legs.items()}
    rows = []
    for what, spectra in (("VDOS", densities), ("IR", absorptions)):
        for label, spectrum in spectra.items():
            try:
                stretch = spectrum.peak(*STRETCH)
            except RecordError as error:  # a quick look resolves no lines
                logger.warning("%s, %s: %s", what, label, error)
            else:
                rows.append(Row(f"O-H stretch in the {what}, {label}", stretch))
    curves = [
        replace(one.between(*SHOWN), label=label)
        for spectra in (absorptions, densities)
        for label, one in spectra.items()
    ]
    inputs = {path for leg in legs.values() for path in runs[leg].inputs}
    result = Result("vibrations of water", tuple(curves), provenance=Provenance.of(inputs))
    write(result, folder / "spectra")
    return rows, [folder / "spectra.png"]


def _vdos(run: Run, settings: SpectrumSettings) -> Curve:
    velocities = run.velocities()
    spacing = run.spacing(velocities.steps)
    velocities = replace(velocities, values=_equilibrated(velocities.values))
    return vdos([velocities.values], run.masses(velocities).values, spacing, settings)


def _infrared(run: Run, leg: demo.Leg, settings: SpectrumSettings) -> Curve:
    dipoles = _dipoles(run, leg)
    assert dipoles.members is not None  # the bundled models are committees
    return infrared(
        [_equilibrated(dipoles.mean)],
        run.spacing(dipoles.steps),
        run.volume,
        TEMPERATURE,
        settings=settings,
        members=[dipoles.members[:, len(dipoles.mean) - len(_equilibrated(dipoles.mean)) :]],
    )


def _polarization(runs: Runs, folder: Path) -> tuple[list[Row], list[Path]]:
    curves = {
        "classical": _curve(runs, demo.CLASSICAL_FIELDS),
        f"TRPMD, {demo.BEADS} beads": _curve(runs, (demo.QUANTUM, *demo.QUANTUM_FIELDS)),
    }
    rows = [
        Row(f"change of polarization at {field:g} V/Å, {label}", polarization)
        for label, curve in curves.items()
        for field, polarization in zip(curve.field, curve.polarization, strict=True)
    ]
    lines: list[Curve] = []
    points: list[Points] = []
    numbers: dict[str, Estimate] = {}
    for label, curve in curves.items():
        line, averages = curve.parts(f"{label}: χ = {with_error(curve.susceptibility)}")
        lines.append(line)
        points.append(averages)
        numbers |= curve.numbers(label)
    inputs = {path for run in runs.values() for path in run.inputs}
    result = Result(
        "polarization of water",
        tuple(lines),
        tuple(points),
        numbers,
        provenance=Provenance.of(inputs),
    )
    write(result, folder / "polarization")
    return rows, [folder / "polarization.png"]


def _curve(runs: Runs, legs: Sequence[demo.Leg]) -> PolarizationCurve:
    """Changes against the first leg, which begins at the same state without a field.

    The dipole of so short a run is still that of its start. At the same step, this start is in
    both runs, and their difference is what the field does. Without a field there is no
    polarization, by symmetry: the liquid is isotropic.
    """
    (at_rest, *in_fields) = [_dipoles(runs[leg], leg) for leg in legs]
    changes = []
    for one in in_fields:
        _, here, there = np.intersect1d(one.steps, at_rest.steps, return_indices=True)
        changes.append(_equilibrated(one.mean[here] - at_rest.mean[there]))
    fields = np.array([[0.0, 0.0, leg.field] for leg in legs[1:]])
    return polarization_against_field(
        fields * VOLT_PER_ANGSTROM, changes, runs[legs[0]].volume, paired=True
    )


def _dipoles(run: Run, leg: demo.Leg) -> Dipoles:
    if leg in demo.OBSERVED:
        joined = read_recorded(run, run.prefix.with_name("dipoles.h5"), "dipole")
        members = joined.values.get(MEMBERS["dipole"])
        return Dipoles.of(joined.steps, joined.values["dipole"], members)
    return run.dipoles()


def _equilibrated(samples: Array) -> Array:
    return samples[round(SKIPPED * len(samples)) :]
