"""Reliability diagrams: errors of committees against their calibrated spreads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

import numpy as np

from mlobs_client.analysis.calibration import Calibration
from mlobs_client.analysis.reliability import Reliability
from mlobs_client.errors import ConfigError
from mlobs_client.plot.figure import COLORS, Plot, add_legend, extend, new_figure, pretty

Diagram = tuple[Calibration, Reliability, str]
"""Calibration of one quantity, its reliability diagram, and its unit."""


def plot_reliability(diagrams: Mapping[str, Diagram]) -> Plot:
    """Draw root mean square errors of bins against their spreads, one panel for each quantity.

    A perfect committee lies on the line, which is slightly above the diagonal because the mean of
    few members fluctuates.

    Args:
        diagrams: diagrams by the name of the quantity.

    Raises:
        ConfigError: there is nothing to draw.
    """
    if not diagrams:
        raise ConfigError("no calibrated quantity was given to plot")
    figure, panels = new_figure(len(diagrams), share_x=False)
    columns: dict[str, list[str | float]] = {
        name: [] for name in ("curve", "unit", "spread", "rms error", "error of it", "expected")
    }
    for axes, (quantity, (_, bins, unit)) in zip(panels, diagrams.items(), strict=True):
        expected = bins.slope * bins.spreads
        axes.errorbar(
            bins.spreads, bins.errors, bins.uncertainties, color=COLORS[0], fmt="o", markersize=3.5,
            capsize=2.0, linewidth=0.8, label="bins of structures or atoms, ±1 standard error",
        )  # fmt: skip
        largest = 1.1 * float(np.max(bins.spreads))
        axes.plot([0.0, largest], [0.0, bins.slope * largest], color="0.6", linewidth=0.8,
                  zorder=0, label="perfect committee")  # fmt: skip
        axes.set_xlim(0.0, largest)
        axes.set_ylim(bottom=0.0)
        axes.set_xlabel(f"calibrated spread, {quantity} / {pretty(unit)}")
        axes.set_ylabel(f"rms error / {pretty(unit)}")
        columns["unit"].extend([unit] * len(bins.spreads))
        numbers = {name: column for name, column in columns.items() if name != "unit"}
        extend(numbers, quantity, bins.spreads, bins.errors, bins.uncertainties, expected)
    add_legend(figure, panels[0], [])
    summary = {
        quantity: {
            **asdict(calibration),
            "errors from": f"bootstrap over {calibration.n_frames} structures",
            "unit": unit,
            "slope": bins.slope,
        }
        for quantity, (calibration, bins, unit) in diagrams.items()
    }
    return Plot(figure, columns, summary)
