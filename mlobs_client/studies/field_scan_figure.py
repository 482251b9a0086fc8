"""Collect the results of a field scan: estimates against the field, and distributions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from mlobs_client.analysis.response.polarization import linear_response
from mlobs_client.errors import ConfigError
from mlobs_client.results.curve import ESTIMATOR, NOTE, Curve
from mlobs_client.results.estimate import Estimate
from mlobs_client.results.provenance import Provenance
from mlobs_client.results.result import Points, Result
from mlobs_client.studies.field_scan import Point, Scan

AXIS: Final = ("electric field", "V/angstrom")

ESTIMATORS: Final = {
    "polarization": "polarization: mean over\nthe dipoles of all beads",
    "O-H length": "lengths, angles: each bead",
    "O-O": "lengths, angles: each bead",
    "P": "lengths, angles: each bead",
    "D": "diffusion: centroids",
    "MSD": "diffusion: centroids",
}
"""Phrases that say how beads are averaged, by the first words of the names of quantities."""

DRAWN: Final = (
    "polarization",
    "O-H length",
    "P1",
    "D from displacements",
    "D from velocities",
)
"""Quantities of a scan that the figure shows against the field."""

DISTRIBUTIONS: Final[tuple[Callable[[Point], Curve], ...]] = (
    lambda point: point.bonds,
    lambda point: replace(point.pairs, quantity="O-O distribution g(r)"),
    lambda point: point.orientation.distribution,
)


def against_field(curves: Sequence[Scan], provenance: Provenance | None = None) -> Result:
    """Return all estimates against the field: polarization, lengths, angles, diffusion.

    A line shows the linear response that the fluctuations at zero field predict; it starts at the
    polarization at zero field. The figure shows :data:`DRAWN`.

    Args:
        curves: scan of each number of beads.
        provenance: origin of the runs.

    Raises:
        ConfigError: there is no scan, or a scan has no points.
    """
    _check(curves)
    numbers = {name: one for curve in curves for name, one in _numbers(curve)}
    points = (one for curve in curves for one in (*_linear_response(curve), *_points(curve)))
    return Result(
        "a liquid in static fields",
        points=tuple(points),
        numbers=numbers,
        provenance=provenance or Provenance(),
    )


def distributions(curves: Sequence[Scan], provenance: Provenance | None = None) -> Result:
    """Return distributions of O-H lengths, O-O distances and orientations in each field.

    Args:
        curves: scan of each number of beads.
        provenance: origin of the runs.

    Raises:
        ConfigError: there is no scan, or a scan has no points.
    """
    _check(curves)
    return Result(
        "a liquid in static fields",
        tuple(
            replace(
                of_point(point),
                label=f"{curve.label}, {point.field:g} V/angstrom",
                details={
                    "field (V/angstrom)": point.field,
                    ESTIMATOR: f"every one of {curve.label}"
                    if curve.n_beads > 1
                    else "classical nuclei",
                },
            )
            for of_point in DISTRIBUTIONS
            for curve in curves
            for point in curve.points
        ),
        provenance=provenance or Provenance(),
    )


def _check(curves: Sequence[Scan]) -> None:
    if not curves or not all(curve.points for curve in curves):
        raise ConfigError("no run of a field scan was given to plot")


def _numbers(curve: Scan) -> Iterator[tuple[str, Estimate]]:
    if curve.susceptibility is not None:
        yield f"susceptibility from fluctuations at zero field, {curve.label}", curve.susceptibility
    if curve.polarization is not None:
        yield from curve.polarization.numbers(curve.label).items()


def _linear_response(curve: Scan) -> Iterator[Points]:
    """Yield the line of the linear response if it and the polarization at zero field are known."""
    at_zero = next((one.polarization for one in curve.points if one.field == 0.0), None)
    if at_zero is None or curve.susceptibility is None:
        return
    line = tuple(
        linear_response(at_zero, curve.susceptibility, point.field) for point in curve.points
    )
    note = "dashed: linear response,\nfluctuations at zero field"
    fields = np.array([point.field for point in curve.points])
    yield Points("polarization", *AXIS, fields, line, curve.label, {NOTE: note}, is_line=True)


def _points(curve: Scan) -> Iterator[Points]:
    """Yield all estimates of a scan, and the time and the number of its runs."""
    for name in curve.rows[0]:
        known = [
            (point.field, one)
            for point, row in zip(curve.points, curve.rows, strict=True)
            if (one := row[name]) is not None
        ]
        if known:
            # in the figure, two of them share an axis
            label = curve.label + (", from velocities" if name == "D from velocities" else "")
            details = dict(_details(curve, name))
            at, estimates = (tuple(column) for column in zip(*known, strict=True))
            yield Points(name, *AXIS, np.array(at), estimates, label, details)
    fields = np.array([point.field for point in curve.points])
    counts = {
        "time": [Estimate(one.duration, 0.0, "ps", one.n_runs) for one in curve.points],
        "runs": [Estimate(one.n_runs, 0.0, "1", one.n_runs) for one in curve.points],
    }
    for name, exact in counts.items():
        yield Points(name, *AXIS, fields, tuple(exact), curve.label)


def _details(curve: Scan, name: str) -> Iterator[tuple[str, str | float]]:
    """Yield details of how one quantity was computed, with their names."""
    of_beads = (text for begin, text in ESTIMATORS.items() if name.startswith(begin))
    yield ESTIMATOR, "classical nuclei" if curve.n_beads == 1 else next(of_beads)
    if name == "polarization" and curve.polarization is not None:
        yield "chi squared of a line through all fields", curve.polarization.chi_squared
    if name == "D over D at zero field":
        yield "arrest", str(curve.arrest)
    if name.startswith("D from"):
        for point in curve.points:
            low, high = point.displacements.window
            yield f"lags at {point.field:g} V/angstrom (ps)", f"{low:.6g} to {high:.6g}"
