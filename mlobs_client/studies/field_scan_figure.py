"""A liquid in static fields: numbers against field, and the distributions behind them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from matplotlib.axes import Axes

from mlobs_client.errors import ConfigError
from mlobs_client.plot.figure import (
    COLORS,
    MARKERS,
    Plot,
    add_legend,
    draw_points,
    explain_points,
    new_figure,
    pretty,
)
from mlobs_client.results.curve import ESTIMATOR, Curve
from mlobs_client.results.result import Provenance, Result
from mlobs_client.studies.field_scan import Point, Scan
from mlobs_client.units import INVERSE_EPSILON_0, MICROCOULOMB_PER_CM2, VOLT_PER_ANGSTROM

FIELD: Final = "field (V/angstrom)"
UNITS: Final = {
    "polarization": "uC/cm^2",
    "O-H length": "angstrom",
    "O-O peak": "angstrom",
    "D from displacements": "angstrom^2/ps",
    "D from velocities": "angstrom^2/ps",
    "D of an infinite cell": "angstrom^2/ps",
}
"""Of the columns; the others have none."""

OF_BEADS: Final = (
    "polarization: mean of the dipoles of all beads; distances and orientations: every "
    "bead; diffusion: centroids"
)
"""Which estimators of path integrals the columns have."""

PER_SUSCEPTIBILITY: Final = VOLT_PER_ANGSTROM / (INVERSE_EPSILON_0 * MICROCOULOMB_PER_CM2)
"""epsilon_0 in uC/cm^2 per V/angstrom."""

DRAWN: Final = (
    "polarization",
    "O-H length",
    "P1",
    "D from displacements",
    "D from velocities",
)
"""What the figure against the field shows, of the rows of a curve."""

DISTRIBUTIONS: Final[tuple[Callable[[Point], Curve], ...]] = (
    lambda point: point.bonds,
    lambda point: replace(point.pairs, quantity="O-O distribution g(r)"),
    lambda point: point.orientation.distribution,
)


def plot_field_scan(curves: Sequence[Scan]) -> Plot:
    """Draw polarization, O-H length, orientation and diffusion against the field.

    Dashed in the first panel: the linear response that the fluctuations at zero field predict,
    from the polarization there. In the last one, triangles are from velocities. Open symbols have
    no error.

    Args:
        curves: classical and quantum ones.

    Raises:
        ConfigError: no curve.
    """
    _check(curves)
    figure, (polarization, length, cosine, diffusion) = new_figure(4)
    for i, curve in enumerate(curves):
        color, marker = COLORS[i % len(COLORS)], MARKERS[i % len(MARKERS)]
        _draw_linear_response(polarization, curve, color)
        for axes, name in (
            (polarization, "polarization"),
            (length, "O-H length"),
            (cosine, "P1"),
            (diffusion, "D from displacements"),
        ):
            _draw_points(axes, curve, name, color, marker)
        _draw_points(diffusion, curve, "D from velocities", color, "<>^v"[i % 4])
        diffusion.plot([], [], color=color, marker=marker, linestyle="none", label=curve.label)
    polarization.set_ylabel(f"$P$ / {pretty('uC/cm^2')}")
    length.set_ylabel(r"$\langle r_\mathrm{OH} \rangle$ / Å")
    cosine.set_ylabel(r"$\langle \cos\theta \rangle$")
    diffusion.set_ylabel(f"$D$ / {pretty('angstrom^2/ps')}")
    diffusion.set_xlabel(f"electric field / {pretty('V/angstrom')}")
    every = [one for curve in curves for row in curve.rows for name in DRAWN if (one := row[name])]
    add_legend(figure, diffusion, explain_points(every), n_columns=max(2, len(curves)))
    return Plot(figure, _columns(curves), {curve.label: _summary(curve) for curve in curves})


def distributions(curves: Sequence[Scan], provenance: Provenance | None = None) -> Result:
    """Distributions of O-H lengths, O-O distances and orientations, a curve for each field.

    Args:
        curves: classical and quantum ones.
        provenance: where they come from.

    Raises:
        ConfigError: no curve.
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


def _draw_linear_response(axes: Axes, curve: Scan, color: str) -> None:
    at_zero = next((one.polarization for one in curve.points if one.field == 0.0), None)
    if at_zero is None or curve.susceptibility is None:
        return
    fields = np.array([point.field for point in curve.points])
    slope = curve.susceptibility * PER_SUSCEPTIBILITY
    line = at_zero.value + slope.value * fields
    band = slope.error * np.abs(fields)
    axes.plot(fields, line, color=color, linestyle="--", linewidth=0.8)
    axes.fill_between(fields, line - band, line + band, color=color, alpha=0.2, linewidth=0)


def _draw_points(axes: Axes, curve: Scan, name: str, color: str, marker: str) -> None:
    known = [
        (point.field, estimate)
        for point, row in zip(curve.points, curve.rows, strict=True)
        if (estimate := row[name]) is not None
    ]
    fields = np.array([field for field, _ in known])
    draw_points(axes, fields, [one for _, one in known], color, marker)


def _columns(curves: Sequence[Scan]) -> dict[str, list[str | float]]:
    columns: dict[str, list[str | float]] = {}
    for curve in curves:
        for point, row in zip(curve.points, curve.rows, strict=True):
            cells: dict[str, str | float] = {
                "curve": curve.label,
                FIELD: point.field,
                "runs": point.n_runs,
                "time (ps)": point.duration,
            }
            for name, estimate in row.items():
                unit = UNITS.get(name, "1")
                header = name if unit == "1" else f"{name} ({unit})"
                cells[header] = math.nan if estimate is None else estimate.value
                cells[f"{header} error"] = math.nan if estimate is None else estimate.error
            for header, cell in cells.items():
                columns.setdefault(header, []).append(cell)
    return columns


def _summary(curve: Scan) -> dict[str, object]:
    polarization, onset = curve.polarization, curve.onset
    return {
        "errors from": {
            name: list(dict.fromkeys(one.no_error or one.error_from for one in known))
            for name in curve.rows[0]
            if (known := [one for row in curve.rows if (one := row[name]) is not None])
        },
        "nuclei": "classical" if curve.n_beads == 1 else OF_BEADS,
        "susceptibility from fluctuations at zero field": None
        if curve.susceptibility is None
        else curve.susceptibility.as_json(),
        "susceptibility from the slope over all fields": None
        if polarization is None
        else polarization.susceptibility.as_json(),
        "chi_squared of the slope": None if polarization is None else polarization.chi_squared,
        "onset": None if onset is None else str(onset),
        "lags of the diffusion (ps)": {
            f"{point.field:g}": point.displacements.window for point in curve.points
        },
    }
