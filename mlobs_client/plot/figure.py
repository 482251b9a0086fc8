"""Style, legend and symbols of all figures, and how they are written."""

from __future__ import annotations

import io
import math
import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mlobs_client.errors import ModelError, RecordError
from mlobs_client.files import write_whole
from mlobs_client.results.curve import Curve
from mlobs_client.results.estimate import Estimate
from mlobs_client.structure import Array

COLORS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Colours of Okabe and Ito, which are distinct for every kind of colour vision."""

DASHES: Final = ("-", "--", "-.", ":")
"""Line styles that are distinct in print without colours."""

MARKERS: Final = "osD^v"
"""Markers that are distinct where points of two curves are close."""

LONGEST: Final = 26
"""Maximum length of a line in the legend, in characters, so that two entries fit side by side."""

STYLE: Final[dict[str, object]] = {
    "figure.figsize": (3.37, 2.3),  # inch: one column of a journal; legends add to the height
    "figure.constrained_layout.use": True,
    "font.size": 8,
    "axes.labelsize": 8,
    "legend.fontsize": 7,
    "legend.title_fontsize": 7,
    "legend.frameon": False,
    "legend.handlelength": 1.8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "xtick.direction": "in",
    "ytick.direction": "in",
    "xtick.top": True,
    "ytick.right": True,
    "xtick.minor.visible": True,
    "ytick.minor.visible": True,
    "axes.linewidth": 0.6,
    "lines.linewidth": 1.0,
    "axes.formatter.use_mathtext": True,
    "axes.autolimit_mode": "data",
    "pdf.fonttype": 42,
}
"""Matplotlib settings for all figures."""

AXIS_UNITS: Final = {
    "cm^-1": r"cm$^{-1}$",
    "1/cm^-1": r"states per cm$^{-1}$",
    "km/mol/cm^-1": r"km$\,$mol$^{-1}\,$cm",
    "uC/cm^2": r"µC$\,$cm$^{-2}$",
    "V/angstrom": r"V$\,$Å$^{-1}$",
    "angstrom": "Å",
    "angstrom^2/ps": r"Å$^{2}\,$ps$^{-1}$",
    "e angstrom": r"$e\,$Å",
    "eV/angstrom": r"eV$\,$Å$^{-1}$",
    "angstrom^3": "Å$^3$",
    "e": "$e$",
    "e a": r"$e\,a$",
    "e c": r"$e\,c$",
    "meV/atom": r"meV$\,$atom$^{-1}$",
}
"""Units as axes show them."""


def save_figure(figure: Figure, stem: Path | str) -> tuple[Path, ...]:
    """Write a figure as ``.png`` and ``.pdf``; a file is replaced as a whole or not at all.

    Args:
        figure: matplotlib figure.
        stem: path without a file extension.

    Returns:
        The paths of both files.

    Raises:
        RecordError: a file cannot be written.
    """
    png, pdf = (Path(f"{stem}.{end}") for end in ("png", "pdf"))
    try:
        png.parent.mkdir(parents=True, exist_ok=True)
        with mpl.rc_context(STYLE):  # type: ignore[arg-type]
            write_whole(png, _draw(figure, "png", dpi=300))
            write_whole(pdf, _draw(figure, "pdf", metadata={"CreationDate": None}))
    except (OSError, ModelError) as error:
        raise RecordError(f"cannot write the figure {stem}: {error}") from error
    return png, pdf


def _draw(figure: Figure, kind: str, **options: Any) -> bytes:
    memory = io.BytesIO()
    figure.savefig(memory, format=kind, **options)
    return memory.getvalue()


def new_figure(n_panels: int = 1, *, share_x: bool = True) -> tuple[Figure, list[Axes]]:
    """Make an empty figure that is one column wide, with panels one above the other.

    Args:
        n_panels: number of panels.
        share_x: True if all panels have the same x axis.
    """
    with mpl.rc_context(STYLE):  # type: ignore[arg-type]
        figure = Figure()
        figure.set_figheight(figure.get_figheight() * (0.3 + 0.7 * n_panels))
        all_axes = list(figure.subplots(n_panels, sharex=share_x, squeeze=False)[:, 0])
        for axes in all_axes:
            axes.locator_params(nbins=6, steps=[1, 2, 5, 10])
        return figure, all_axes


def add_legend(
    figure: Figure,
    axes: Axes,
    extra: Sequence[Artist],
    title: str | None = None,
    n_columns: int = 2,
) -> None:
    """Add a legend above the axes, where it hides nothing.

    Args:
        figure: figure, which grows by the height of the legend.
        axes: axes whose labels are listed.
        extra: further entries.
        title: title of the legend.
        n_columns: number of columns.
    """
    handles = [*axes.get_legend_handles_labels()[0], *extra]
    with mpl.rc_context(STYLE):  # type: ignore[arg-type]
        figure.legend(handles=handles, loc="outside upper center", ncols=n_columns, title=title)
    labels = [str(one.get_label()) for one in handles]
    n_lines = sum(len(label.splitlines()) for label in labels)
    n_rows = math.ceil(n_lines / n_columns) + len((title or "").splitlines())
    figure.set_figheight(figure.get_figheight() + 0.15 * n_rows)


def pretty(unit: str) -> str:
    """Return a unit as an axis shows it."""
    return AXIS_UNITS.get(unit, unit)


def with_error(estimate: Estimate) -> str:
    """Return value ± error without the unit, with the minus sign of axes."""
    return estimate.text.replace("-", "−")


def draw_points(
    axes: Axes,
    x: Array,
    estimates: Sequence[Estimate],
    color: str,
    marker: str,
    label: str | None = None,
) -> None:
    """Draw points with error bars; points without an error are open and have no bar.

    Args:
        axes: axes to draw in.
        x: shape ``(n,)``, in the unit of the axis.
        estimates: y of each point, in the unit of the axis.
        color: colour of markers and bars.
        marker: matplotlib marker.
        label: label in the legend; None for none.
    """
    lacking = np.array([bool(one.no_error) for one in estimates], dtype=bool)
    values = np.array([one.value for one in estimates])
    errors = np.array([one.error for one in estimates])
    style: dict[str, Any] = {
        "color": color,
        "marker": marker,
        "markersize": 3.5,
        "linestyle": "none",
    }
    axes.errorbar(
        x[~lacking], values[~lacking], errors[~lacking], capsize=2.0, linewidth=0.8,
        **style,
    )  # fmt: skip
    axes.plot(x[lacking], values[lacking], markerfacecolor="none", **style)
    if label is not None:
        face = "none" if lacking.all() else color
        axes.plot([], [], markerfacecolor=face, label=label, **style)


def name_sources(found: Iterable[Curve | Estimate]) -> Iterator[str]:
    """Name each source of errors once, even if its numbers differ: "scatter of 3 to 5 runs"."""
    counts: dict[str, list[int]] = {}
    for one in found:
        words = re.sub(r"\d+", "#", one.error_from, count=1)
        counts.setdefault(words, []).extend(map(int, re.findall(r"\d+", one.error_from)[:1]))
    for words, several in counts.items():
        low, high = min(several, default=0), max(several, default=0)
        yield words.replace("#", f"{low}" if low == high else f"{low} to {high}", 1)


def name_errors(what: str, found: Iterable[Estimate]) -> str:
    """Return a label that names bars or bands and, below it, the sources of the errors."""
    sources = (textwrap.fill(one, LONGEST) for one in name_sources(found) if one)
    return ",\n".join([what, *sources])


def explain_points(estimates: Sequence[Estimate]) -> list[Line2D]:
    """Return legend entries for error bars and for points without errors, if there are any.

    The entry for error bars names the sources of the errors.
    """
    lines = []
    if sure := [one for one in estimates if one.error > 0.0]:  # what is exact has no bar
        label = name_errors("bars: ±1 standard error", sure)
        lines.append(Line2D([], [], color="0.4", marker="|", linestyle="none", label=label))
    if any(one.no_error for one in estimates):
        lines.append(Line2D([], [], color="0.4", marker="o", markersize=3.5,
                            markerfacecolor="none", linestyle="none",
                            label="open symbols: no error"))  # fmt: skip
    return lines
