"""Parity plots of predictions against references."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mlobs_client.errors import ConfigError
from mlobs_client.plot.figure import COLORS, MARKERS, Plot, add_legend, extend, new_figure, pretty
from mlobs_client.structure import Array


def plot_parity(points: Mapping[str, tuple[Array, Array]], quantity: str, unit: str) -> Plot:
    """Draw predictions against references, with the root mean square error of each label.

    Args:
        points: reference and prediction, each of shape ``(n,)``, in ``unit``, by label, such as a
            component or a species.
        quantity: name of the quantity on the axes, such as ``"dipole"``.
        unit: unit of all numbers.

    Raises:
        ConfigError: there are no points.
    """
    if not any(len(reference) for reference, _ in points.values()):
        raise ConfigError("no prediction was given to plot")
    figure, (axes,) = new_figure()
    columns: dict[str, list[str | float]] = {
        "curve": [],
        f"reference ({unit})": [],
        f"prediction ({unit})": [],
    }
    errors: dict[str, float] = {}
    for i, (label, (reference, prediction)) in enumerate(points.items()):
        errors[label] = float(np.sqrt(np.mean((prediction - reference) ** 2)))
        axes.plot(
            reference, prediction, MARKERS[i % len(MARKERS)], color=COLORS[i % len(COLORS)],
            markersize=2.5, markeredgewidth=0.0, alpha=0.8, label=f"{label}: {errors[label]:.2g}",
        )  # fmt: skip
        extend(columns, label, reference, prediction)
    ends = [min(np.min(r) for r, _ in points.values()), max(np.max(r) for r, _ in points.values())]
    axes.plot(ends, ends, color="0.6", linewidth=0.6, zorder=0)
    axes.set_xlabel(f"reference {quantity} / {pretty(unit)}")
    axes.set_ylabel(f"prediction / {pretty(unit)}")
    figure.set_figheight(figure.get_figwidth())
    add_legend(figure, axes, [], title=f"root mean square error / {pretty(unit)}", n_columns=3)
    return Plot(figure, columns, {"quantity": quantity, "unit": unit, "rmse": errors})
