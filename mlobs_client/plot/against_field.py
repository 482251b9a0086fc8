"""An average against the field, from several sources: simulated, reweighted, up and down."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mlobs_client.errors import ConfigError
from mlobs_client.plot.figure import (
    COLORS,
    MARKERS,
    Plot,
    add_legend,
    draw_points,
    explain_points,
    extend,
    new_figure,
    pretty,
)
from mlobs_client.results.estimate import Estimate
from mlobs_client.structure import Array

Curve = tuple[Array, tuple[Estimate, ...]]
"""Fields, V/angstrom, and the average in each of them."""


def plot_against_field(curves: Mapping[str, Curve], what: str) -> Plot:
    """Draw averages against the field with errors, each curve with a mark of its own.

    Args:
        curves: by label, such as ``{"simulated": ..., "reweighted": ...}``; in one unit.
        what: is averaged.

    Raises:
        ConfigError: nothing to draw.
    """
    drawn = {label: curve for label, curve in curves.items() if len(curve[0])}
    if not drawn:
        raise ConfigError("no average was given to plot")
    figure, (axes,) = new_figure()
    unit = next(iter(drawn.values()))[1][0].unit
    columns: dict[str, list[str | float]] = {
        "curve": [],
        "field (V/angstrom)": [],
        f"{what} ({unit})": [],
        "error": [],
        "effective samples": [],
    }
    for i, (label, (fields, estimates)) in enumerate(drawn.items()):
        values, errors, counts = (
            np.array([getattr(one, name) for one in estimates])
            for name in ("value", "error", "n_independent")
        )
        color, marker = COLORS[i % len(COLORS)], MARKERS[i % len(MARKERS)]
        draw_points(axes, fields, estimates, color, marker, label=label)
        extend(columns, label, fields, values, errors, counts)
    axes.set_xlabel(f"electric field / {pretty('V/angstrom')}")
    axes.set_ylabel(f"{what} / {pretty(unit)}" if unit != "1" else what)
    every = [one for _, estimates in drawn.values() for one in estimates]
    add_legend(figure, axes, explain_points(every))
    summary = {
        label: {f"{field:g} V/angstrom": one.as_json() for field, one in zip(*curve, strict=True)}
        for label, curve in drawn.items()
    }
    return Plot(figure, columns, summary)
