"""The dipole along a closed path."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mlobs_client.errors import ConfigError
from mlobs_client.plot.figure import COLORS, DASHES, MARKERS, Plot, add_legend, extend, new_figure
from mlobs_client.structure import Array


def plot_winding(curves: Mapping[str, Array], of: str = "e a") -> Plot:
    """Draw the dipole along closed paths in quanta; the integers are lines.

    Args:
        curves: by label, the dipole from the start of its path, shape ``(t,)``, in quanta.
        of: what one quantum is.

    Raises:
        ConfigError: no curve.
    """
    if not curves:
        raise ConfigError("no path was given to plot")
    figure, (axes,) = new_figure()
    columns: dict[str, list[str | float]] = {
        "curve": [],
        "fraction of the path": [],
        "dipole from the start (quanta)": [],
    }
    for i, (label, along) in enumerate(curves.items()):
        fraction = np.linspace(0.0, 1.0, len(along))
        axes.plot(
            fraction, along, color=COLORS[i % len(COLORS)], linestyle=DASHES[i % len(DASHES)],
            marker=MARKERS[i % len(MARKERS)], markersize=2.0, linewidth=0.8, label=label,
        )  # fmt: skip
        extend(columns, label, fraction, along)
    lowest = min(float(along.min()) for along in curves.values())
    highest = max(float(along.max()) for along in curves.values())
    for integer in range(int(np.floor(lowest + 0.5)), int(np.ceil(highest - 0.5)) + 1):
        axes.axhline(integer, color="0.6", linewidth=0.4, zorder=0)
    axes.set_xlabel("fraction of the path")
    axes.set_ylabel(rf"$\Delta\mu$ / ${of.replace(' ', chr(92) + ',')}$")
    add_legend(figure, axes, [], n_columns=1)
    return Plot(figure, columns, {label: float(along[-1]) for label, along in curves.items()})
