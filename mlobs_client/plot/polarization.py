"""Polarization against field."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.lines import Line2D

from mlobs_client.analysis.response.polarization import PolarizationCurve
from mlobs_client.errors import ConfigError
from mlobs_client.plot.figure import (
    COLORS,
    DASHES,
    MARKERS,
    Plot,
    add_legend,
    draw_points,
    explain_points,
    extend,
    new_figure,
    pretty,
    with_error,
)


def plot_polarization(curves: Mapping[str, PolarizationCurve]) -> Plot:
    """Draw the mean polarization against the field, with errors and the linear response.

    Args:
        curves: by label.

    Raises:
        ConfigError: no curve.
    """
    if not curves:
        raise ConfigError("no polarization curve was given to plot")
    figure, (axes,) = new_figure()
    columns: dict[str, list[str | float]] = {
        "curve": [],
        "field (V/angstrom)": [],
        "polarization (uC/cm^2)": [],
        "error (uC/cm^2)": [],
    }
    for i, (label, curve) in enumerate(curves.items()):
        color = COLORS[i % len(COLORS)]
        values = np.array([one.value for one in curve.polarization])
        errors = np.array([one.error for one in curve.polarization])
        text = rf"{label}: $\chi$ = {with_error(curve.susceptibility)}"
        draw_points(
            axes, curve.field, curve.polarization, color, MARKERS[i % len(MARKERS)], label=text
        )
        ends = np.array([curve.field.min(), curve.field.max()])
        if curve.paired:
            ends = np.array([min(0.0, ends[0]), max(0.0, ends[1])])
        line = curve.intercept.value + curve.slope.value * ends
        axes.plot(ends, line, color=color, linestyle=DASHES[i % len(DASHES)], linewidth=0.8)
        extend(columns, label, curve.field, values, errors)
    axes.set_xlabel(f"electric field / {pretty('V/angstrom')}")
    symmetric = [Line2D([], [], linestyle="none", label="lines through 0 by symmetry")]
    extra = symmetric if all(curve.paired for curve in curves.values()) else []
    what = "change of polarization" if extra else "polarization"
    axes.set_ylabel(f"{what} / {pretty('uC/cm^2')}")
    every = [one for curve in curves.values() for one in curve.polarization]
    add_legend(figure, axes, [*extra, *explain_points(every)], n_columns=1)
    summary = {label: _curve_summary(curve) for label, curve in curves.items()}
    return Plot(figure, columns, summary)


def _curve_summary(curve: PolarizationCurve) -> dict[str, object]:
    return {
        "direction": curve.direction.tolist(),
        "errors of the polarization from": list(
            dict.fromkeys(one.no_error or one.error_from for one in curve.polarization)
        ),
        "slope": curve.slope.as_json(),
        "intercept": curve.intercept.as_json(),
        "susceptibility": curve.susceptibility.as_json(),
        "chi_squared": curve.chi_squared,
        "change against runs without a field": curve.paired,
    }
