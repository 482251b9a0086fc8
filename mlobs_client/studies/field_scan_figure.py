"""A liquid in static fields: numbers against field, and the distributions behind them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np
from matplotlib.axes import Axes

from mlobs_client.analysis.liquids.distributions import Distribution
from mlobs_client.errors import ConfigError
from mlobs_client.plot.figure import (
    COLORS,
    DASHES,
    MARKERS,
    Plot,
    add_legend,
    draw_points,
    explain_points,
    new_figure,
    pretty,
)
from mlobs_client.studies.field_scan import Curve, Point
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

DISTRIBUTIONS: Final[Mapping[str, Callable[[Point], Distribution]]] = {
    "O-H length": lambda point: point.bonds,
    "O-O distance": lambda point: point.pairs,
    "cos(theta)": lambda point: point.orientation.distribution,
}


def plot_field_scan(curves: Sequence[Curve]) -> Plot:
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
    polarization.set_ylabel(f"P / {pretty('uC/cm^2')}")
    length.set_ylabel(r"$\langle r_\mathrm{OH} \rangle$ / Å")
    cosine.set_ylabel(r"$\langle \cos\theta \rangle$")
    diffusion.set_ylabel(f"D / {pretty('angstrom^2/ps')}")
    diffusion.set_xlabel(f"electric field / {pretty('V/angstrom')}")
    every = [one for curve in curves for row in curve.rows for name in DRAWN if (one := row[name])]
    add_legend(figure, diffusion, explain_points(every), n_columns=max(2, len(curves)))
    return Plot(figure, _columns(curves), {curve.label: _summary(curve) for curve in curves})


def plot_distributions(curves: Sequence[Curve]) -> Plot:
    """Draw distributions of O-H lengths, O-O distances and orientations, one line for each field.

    Args:
        curves: classical and quantum ones.

    Raises:
        ConfigError: no curve.
    """
    _check(curves)
    figure, panels = new_figure(len(DISTRIBUTIONS), share_x=False)
    columns: dict[str, list[str | float]] = {
        name: [] for name in ("curve", FIELD, "quantity", "unit", "x", "density or g(r)", "error")
    }
    fields = sorted({point.field for curve in curves for point in curve.points})
    for axes, (name, of_point) in zip(panels, DISTRIBUTIONS.items(), strict=True):
        for i, curve in enumerate(curves):
            for point in curve.points:
                one = of_point(point)
                color = COLORS[fields.index(point.field) % len(COLORS)]
                axes.plot(one.centers, one.values, color=color, linestyle=DASHES[i % len(DASHES)])
                low, high = one.values - one.errors, one.values + one.errors
                axes.fill_between(one.centers, low, high, color=color, alpha=0.2, linewidth=0)
                _extend(columns, curve.label, point.field, name, one)
    panels[0].set_xlabel("O-H length / Å")
    panels[0].set_ylabel(r"density / Å$^{-1}$")
    panels[1].set_xlabel("O-O distance / Å")
    panels[1].set_xlim(left=_closest(curves))
    panels[1].set_ylabel(r"$g_\mathrm{OO}(r)$")
    panels[2].set_xlabel(r"$\cos\theta$")
    panels[2].set_ylabel("density")
    for field in fields:
        color = COLORS[fields.index(field) % len(COLORS)]
        panels[0].plot([], [], color=color, label=f"{field:g} {pretty('V/angstrom')}")
    for i, curve in enumerate(curves):
        panels[0].plot([], [], color="0.4", linestyle=DASHES[i % len(DASHES)], label=curve.label)
    add_legend(figure, panels[0], [], n_columns=3)
    summary = {
        curve.label: {f"{point.field:g}": point.pairs.error_from for point in curve.points}
        for curve in curves
    }
    return Plot(figure, columns, {"errors from": summary})


def _closest(curves: Sequence[Curve]) -> float:
    """The first bin of any radial distribution that is not empty."""
    pairs = [point.pairs for curve in curves for point in curve.points]
    return min(float(one.centers[np.argmax(one.values > 0.0)]) for one in pairs)


def _check(curves: Sequence[Curve]) -> None:
    if not curves or not all(curve.points for curve in curves):
        raise ConfigError("no run of a field scan was given to plot")


def _draw_linear_response(axes: Axes, curve: Curve, color: str) -> None:
    at_zero = next((one.polarization for one in curve.points if one.field == 0.0), None)
    if at_zero is None or curve.susceptibility is None:
        return
    fields = np.array([point.field for point in curve.points])
    slope = curve.susceptibility * PER_SUSCEPTIBILITY
    line = at_zero.value + slope.value * fields
    band = slope.error * np.abs(fields)
    axes.plot(fields, line, color=color, linestyle="--", linewidth=0.8)
    axes.fill_between(fields, line - band, line + band, color=color, alpha=0.2, linewidth=0)


def _draw_points(axes: Axes, curve: Curve, name: str, color: str, marker: str) -> None:
    known = [
        (point.field, estimate)
        for point, row in zip(curve.points, curve.rows, strict=True)
        if (estimate := row[name]) is not None
    ]
    fields = np.array([field for field, _ in known])
    draw_points(axes, fields, [one for _, one in known], color, marker)


def _columns(curves: Sequence[Curve]) -> dict[str, list[str | float]]:
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


def _summary(curve: Curve) -> dict[str, object]:
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


def _extend(
    columns: dict[str, list[str | float]], label: str, field: float, name: str, one: Distribution
) -> None:
    for x, value, error in zip(one.centers, one.values, one.errors, strict=True):
        cells: tuple[str | float, ...] = (
            label,
            field,
            name,
            one.unit,
            float(x),
            float(value),
            float(error),
        )
        for column, cell in zip(columns, cells, strict=True):
            columns[column].append(cell)
