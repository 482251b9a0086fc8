"""Parity plots of predictions against references."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from mlobs_client.errors import ConfigError
from mlobs_client.plot.figure import COLORS, MARKERS, add_legend, new_figure, pretty
from mlobs_client.results.parity import Parity


def draw_parities(parities: Sequence[Parity]) -> Figure:
    """Draw predictions against references, with the root mean square error of each label.

    Args:
        parities: comparisons of one quantity, one for each component or species.

    Raises:
        ConfigError: the comparisons are of several quantities or units.
    """
    names = {(one.quantity, one.unit) for one in parities}
    if len(names) > 1:
        raise ConfigError(
            f"one figure compares one quantity, not {sorted(names)}; choose quantities"
        )
    ((quantity, unit),) = names
    per_unit = "" if unit == "1" else f" / {pretty(unit)}"
    figure, (axes,) = new_figure()
    for i, one in enumerate(parities):
        axes.plot(
            one.reference, one.prediction, MARKERS[i % len(MARKERS)], color=COLORS[i % len(COLORS)],
            markersize=2.5, markeredgewidth=0.0, alpha=0.8,
            label=": ".join(filter(None, (one.label, f"{one.rms_error:#.2g}".rstrip(".")))),
        )  # fmt: skip
    ends = [
        min(float(one.reference.min()) for one in parities),
        max(float(one.reference.max()) for one in parities),
    ]
    axes.plot(ends, ends, color="0.6", linewidth=0.6, zorder=0)
    axes.set_xlabel(f"reference {quantity}{per_unit}")
    axes.set_ylabel(f"prediction{per_unit}")
    figure.set_figheight(figure.get_figwidth())
    add_legend(figure, axes, [], title=f"root mean square error{per_unit}", n_columns=3)
    return figure
