"""Draw results: curves with bands for errors and for the committee, points, and comparisons."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from scipy.ndimage import binary_dilation

from mlobs_client.errors import ConfigError
from mlobs_client.plot.figure import (
    COLORS,
    DASHES,
    LONGEST,
    MARKERS,
    add_legend,
    draw_points,
    explain_points,
    name_errors,
    name_sources,
    new_figure,
    pretty,
    save_figure,
)
from mlobs_client.plot.parity import draw_parities
from mlobs_client.results.curve import ESTIMATOR, NOT_AVERAGED, NOTE, Curve
from mlobs_client.results.parity import Parity
from mlobs_client.results.result import Points, Result

FAINT: Final = 0.35
"""Opacity of a curve where it has a window bias."""

SHORT: Final = {
    "conserved quantity from its start": r"$\Delta E_\mathrm{conserved}$",
    "dielectric function, imaginary": r"$\epsilon''(\omega)$",
    "dielectric function, real": r"$\epsilon'(\omega)$",
    "D from": "$D$",
    "infrared absorption": r"$n(\omega)\,\alpha(\omega)$",
    "O-H length": r"$\langle r_\mathrm{OH} \rangle$",
    "potential energy from its start": r"$\Delta E_\mathrm{potential}$",
    "P1": r"$\langle \cos\theta \rangle$",
    "vibrational density of states": "VDOS",
}
"""Labels of axes, by the first words of the quantity."""

Panel = list[Curve | Points]


def write(result: Result, stem: Path | str, **options: Any) -> tuple[Path, ...]:
    """Draw a result, and write the figure and the numbers.

    Args:
        result: the result to draw and to write.
        stem: path without a file extension.
        options: options of :func:`draw`.

    Returns:
        The paths of ``.png``, ``.pdf``, and the files of
        :meth:`~mlobs_client.results.result.Result.write`.

    Raises:
        ConfigError: as in :func:`draw`.
        RecordError: a file cannot be written.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> from mlobs_client.plot import write
        >>> from mlobs_client.results import Curve, Result
        >>> x = np.linspace(0.0, 4000.0, 401)
        >>> blocks = np.exp(-(((x - 1650.0) / 80.0) ** 2)) * [[0.9], [1.1]]
        >>> bend = Curve("absorption", "cm^-1", "wavenumber", "cm^-1", x, blocks)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     paths = write(Result("liquid water", (bend,)), f"{folder}/ir")
        >>> [path.name for path in paths]
        ['ir.png', 'ir.pdf', 'ir.json', 'ir.h5', 'ir.csv']
    """
    return (*save_figure(draw(result, **options), stem), *result.write(stem))


def draw(
    result: Result,
    *,
    quantities: Collection[str] | None = None,
    marks: Mapping[str, Sequence[float]] | None = None,
    logarithmic: bool = False,
    integers: bool = False,
) -> Figure:
    """Draw the comparisons of a result, or its curves and points in a panel for each quantity.

    Curves have bands for one standard error and for the spread of the committee, and are faint
    where they depend on the window. Points have bars, and are open if they have no error; those
    with ``is_line`` are drawn as a dashed line with a band. The same label has the same colour in
    all panels. A comparison is drawn as predictions against references, with the root mean square
    error of each label.

    Args:
        result: a result with curves or points, or with comparisons of one quantity.
        quantities: names of the curves, points and comparisons to draw; None for all of them.
        marks: values of x to mark at the top, by label, for example measured ones, in the unit of
            x.
        logarithmic: True for a logarithmic x axis.
        integers: True for a line at each integer of y.

    Returns:
        A matplotlib figure that is not registered in pyplot.

    Raises:
        ConfigError: there is nothing to draw, units differ in one panel, a logarithmic axis would
            start at zero or below, or comparisons are of several quantities or come with curves,
            points or options for these.
    """

    def is_chosen(one: Curve | Points | Parity) -> bool:
        return quantities is None or one.quantity in quantities

    drawable: Panel = [*result.curves, *result.points]
    chosen = [one for one in drawable if is_chosen(one)]
    if parities := [one for one in result.parities if is_chosen(one)]:
        if chosen or marks or logarithmic or integers:
            raise ConfigError(
                f"{result.title}: comparisons are drawn without curves, points, marks, a "
                "logarithmic axis and lines at integers; leave these out, or choose quantities"
            )
        return draw_parities(parities)
    panels = _panels(result.title, chosen, logarithmic=logarithmic)
    labels = list(dict.fromkeys(_label(one) for panel in panels for one in panel))
    axis_names = {_x_label(panel[0]) for panel in panels}
    figure, all_axes = new_figure(len(panels), share_x=len(axis_names) == 1)
    for axes, panel in zip(all_axes, panels, strict=True):
        _draw_panel(axes, panel, labels, marks or {}, are_integers=integers)
        if logarithmic:
            axes.set_xscale("log")
        if integers:
            low, high = axes.get_ylim()
            axes.hlines(range(math.ceil(low), math.floor(high) + 1), 0, 1, color="0.6",
                        linewidth=0.4, zorder=0, transform=axes.get_yaxis_transform())  # fmt: skip
        if len(axis_names) > 1 or axes is all_axes[-1]:
            axes.set_xlabel(_x_label(panel[0]))
    _add_legend(figure, all_axes, panels)
    return figure


def _add_legend(figure: Figure, all_axes: Sequence[Axes], panels: Sequence[Panel]) -> None:
    """Add one entry for each label, whichever panel it is in, and explain what is drawn."""
    first = all_axes[0].get_legend_handles_labels()[1]
    elsewhere = {
        label: handle
        for axes in all_axes[1:]
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
        if label not in first
    }
    extra = [*elsewhere.values(), *_explain(panels)]
    lines = "\n".join([*first, *(str(one.get_label()) for one in extra)]).splitlines()
    n_columns = 1 if max(map(len, lines)) > LONGEST else 2
    add_legend(figure, all_axes[0], extra, _notes(panels), n_columns)


def _panels(title: str, chosen: Panel, *, logarithmic: bool) -> list[Panel]:
    """Group curves and points that share an axis: a quantity, and its parts such as species."""
    panels: dict[tuple[str, str], Panel] = {}
    for one in chosen:
        panels.setdefault((_short(one.quantity), one.x_name), []).append(one)
    if not panels:
        raise ConfigError(f"{title}: there are no curves or points to draw")
    for panel in panels.values():
        if len({(one.unit, one.x_unit) for one in panel}) > 1:
            units = {_label(one): one.unit for one in panel}
            raise ConfigError(f"curves of different units cannot share an axis: {units}")
        lowest = min(float(one.x.min()) for one in panel)
        if logarithmic and lowest <= 0.0:
            raise ConfigError(
                f"a logarithmic axis cannot start at {lowest:g} {panel[0].x_unit}; start above zero"
            )
    return list(panels.values())


def _draw_panel(
    axes: Axes,
    panel: Panel,
    labels: Sequence[str],
    marks: Mapping[str, Sequence[float]],
    *,
    are_integers: bool,
) -> None:
    curves = [one for one in panel if isinstance(one, Curve)]
    heights = [float(np.max(np.abs(one.mean) + np.nan_to_num(one.error))) for one in curves]
    highest = max(heights, default=0.0)
    # points and integers are read off the axis
    is_scaled = len(curves) == len(panel) and not are_integers
    power = _power(highest) if is_scaled else 0
    marked = {_label(one) for one in panel if isinstance(one, Points) and not one.is_line}
    for one in panel:
        _draw_one(axes, one, 10.0**-power, labels.index(_label(one)), marked)
    if len(curves) == len(panel):
        lowest = min(float(np.min(one.mean - np.nan_to_num(one.error))) for one in curves)
        axes.axhline(0.0, color="0.6", linewidth=0.4, zorder=0)
        axes.margins(y=0.14 if marks else 0.04)
        axes.set_ylim(bottom=min(-0.03 * highest, 1.05 * lowest) / 10.0**power)
        axes.set_xlim(min(one.x[0] for one in curves), max(one.x[-1] for one in curves))
    scale = rf"10$^{{{power}}}\,$" if power else ""
    unit = f"{scale}{'' if panel[0].unit == '1' else pretty(panel[0].unit)}"
    axes.set_ylabel(_short(panel[0].quantity) + (f" / {unit}" if unit else ""))
    _mark(axes, marks)


def _power(highest: float) -> int:
    """Return the power of ten, a multiple of three, by which the values on an axis are divided."""
    if highest == 0.0 or 0.1 <= highest < 1000.0:
        return 0
    return 3 * math.floor(math.log10(highest) / 3)


def _draw_one(
    axes: Axes, one: Curve | Points, scale: float, i: int, marked: Collection[str]
) -> None:
    """Draw a curve or points; the legend names a line only if no symbols have the same name."""
    label, color = _label(one), COLORS[i % len(COLORS)]
    if isinstance(one, Curve):
        lacks = one.no_error not in ("", NOT_AVERAGED)
        said = None if label in marked else f"{label} (no error)" if lacks else label
        _draw_curve(axes, one, scale, color, DASHES[i % len(DASHES)], said)
    elif one.is_line:
        said = None if label in marked else label
        axes.plot(one.x, one.mean, "--", color=color, linewidth=0.8, label=said)
        low, high = one.mean - one.error, one.mean + one.error
        axes.fill_between(one.x, low, high, color=color, alpha=0.2, linewidth=0)
    else:
        draw_points(axes, one.x, one.y, color, MARKERS[i % len(MARKERS)], label)


def _draw_curve(
    axes: Axes, one: Curve, scale: float, color: str, dashes: str, label: str | None
) -> None:
    x, y, error = one.x, scale * one.mean, scale * one.error
    if one.spread is not None:
        spread = scale * one.spread
        axes.fill_between(x, y - spread, y + spread, color=color, alpha=0.2, linewidth=0)
    axes.fill_between(x, y - error, y + error, color=color, alpha=0.45, linewidth=0)
    marked = one.window_bias
    if marked is None:
        marked = np.zeros(len(x), dtype=bool)
    style: dict[str, Any] = {"color": color, "linestyle": dashes, "linewidth": 0.9}
    axes.plot(x, np.where(marked, np.nan, y), label=label, **style)
    # extended to the neighbouring points, so that there is no gap
    axes.plot(x, np.where(binary_dilation(marked), y, np.nan), alpha=FAINT, **style)


def _mark(axes: Axes, marks: Mapping[str, Sequence[float]]) -> None:
    """Draw short lines from the top of the axes, with labels in the legend."""
    for i, (label, values) in enumerate(marks.items()):
        top = axes.get_xaxis_transform()  # x in data, y from 0 to 1
        color = COLORS[-1 - i % len(COLORS)]
        axes.vlines(values, 0.9, 1.0, transform=top, color=color, linewidth=1.2, label=label)


def _explain(panels: Sequence[Panel]) -> list[Artist]:
    """Return legend entries for bands, bars and faint lines."""
    every = [one for panel in panels for one in panel]
    curves = [one for one in every if isinstance(one, Curve)]
    entries: list[Artist] = []
    if sources := ", ".join(name_sources(one for one in curves if not one.no_error)):
        error = f"±1 standard error,\n{sources}"
        entries.append(Patch(color="0.5", alpha=0.55, linewidth=0, label=error))
    if any(one.members is not None for one in curves):
        entries.append(Patch(color="0.5", alpha=0.2, linewidth=0, label="committee spread"))
    if any(np.any(one.window_bias) for one in curves):
        entries.append(Line2D([], [], color="0", alpha=FAINT, label="faint: window bias"))
    points = [one for one in every if isinstance(one, Points)]
    if marked := [one for group in points if not group.is_line for one in group.y]:
        entries += explain_points(marked)
    if sure := [one for group in points if group.is_line for one in group.y if one.error > 0.0]:
        label = name_errors("band: ±1 standard error", sure)
        entries.append(Patch(color="0.5", alpha=0.2, linewidth=0, label=label))
    return entries


def _notes(panels: Sequence[Panel]) -> str | None:
    """Return estimators, notes and a lack of errors, which have no symbol, as a title."""
    every = [one for panel in panels for one in panel]
    notes = [str(one.details.get(name, "")) for name in (ESTIMATOR, NOTE) for one in every]
    reasons = {one.no_error for one in every if isinstance(one, Curve)} - {"", NOT_AVERAGED}
    # reasons that differ from curve to curve would fill the figure; the files have them
    if len(reasons) == 1:
        notes.append(f"no error: {reasons.pop()}".replace(" cm^-1", "\u00a0cm⁻¹"))
    text = "; ".join(" ".join(note.split()) for note in dict.fromkeys(notes) if note)
    return textwrap.fill(text, 2 * LONGEST) or None


def _label(one: Curve | Points) -> str:
    return one.label or one.quantity


def _x_label(one: Curve | Points) -> str:
    return one.x_name if one.x_unit == "1" else f"{one.x_name} / {pretty(one.x_unit)}"


def _short(quantity: str) -> str:
    """Return a short label of an axis; parts of a quantity, such as species, share its axis."""
    for name, short in SHORT.items():
        if quantity.startswith(name):
            return short
    return quantity
