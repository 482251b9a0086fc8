"""Spectra with bands of one standard error and of the committee."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from mlobs_client.analysis.vibrations.spectra import Spectrum
from mlobs_client.errors import ConfigError
from mlobs_client.plot.figure import COLORS, DASHES, Plot, add_legend, new_figure, pretty

FAINT: Final = 0.35
"""Opacity of a curve with a window bias."""
SHORT: Final = {
    "dielectric function, imaginary": r"$\epsilon''(\omega)$",
    "dielectric function, real": r"$\epsilon'(\omega)$",
    "infrared absorption": r"$n(\omega)\,\alpha(\omega)$",
    "vibrational density of states": "VDOS",
}


def plot_spectra(
    *panels: Mapping[str, Spectrum],
    low: float = 0.0,
    high: float = 4500.0,
    marks: Mapping[str, Sequence[float]] | None = None,
    logarithmic: bool = False,
) -> Plot:
    """Draw spectra with bands of one standard error and of the committee.

    Curves are faint where they depend on the window.

    Args:
        panels: one above the other, each with spectra of one quantity by the label of the curve,
            for example ``{"classical": ..., "TRPMD": ...}``; the same labels in all panels.
        low: left end, cm^-1.
        high: right end, cm^-1.
        marks: wavenumbers to mark at the top, by label, for example measured ones.
        logarithmic: whether equal factors of the wavenumber are equally wide.

    Raises:
        ConfigError: no spectrum, spectra of different units in one panel, or an empty range (on
            a logarithmic axis also one that begins at zero).
    """
    if not panels or not all(panels):
        raise ConfigError("no spectrum was given to plot")
    if logarithmic and low <= 0.0:
        raise ConfigError(f"a logarithmic axis cannot begin at {low:g} cm^-1; begin above zero")
    shown = [{label: one.between(low, high) for label, one in panel.items()} for panel in panels]
    figure, all_axes = new_figure(len(panels))
    for axes, panel in zip(all_axes, shown, strict=True):
        _draw_panel(axes, panel, marks or {})
        if logarithmic:
            axes.set_xscale("log")
        axes.set_xlim(low, high)
    all_axes[-1].set_xlabel(rf"wavenumber / {pretty('cm^-1')}")
    known = [one for panel in shown for one in panel.values() if not one.no_error]
    bands: list[Artist] = []
    if sources := ", ".join(dict.fromkeys(one.error_from for one in known)):
        error = f"±1 standard error,\n{sources}"
        bands.append(Patch(color="0.5", alpha=0.55, linewidth=0, label=error))
    if any(one.members is not None for panel in shown for one in panel.values()):
        bands.append(Patch(color="0.5", alpha=0.2, linewidth=0, label="committee spread"))
    if any(np.any(one.window_bias) for panel in shown for one in panel.values()):
        bands.append(Line2D([], [], color="0.5", alpha=FAINT, label="window bias"))
    add_legend(figure, all_axes[0], bands)
    return Plot(figure, _spectrum_columns(shown), _spectrum_summary(shown, marks or {}))


def _draw_panel(
    axes: Axes, panel: Mapping[str, Spectrum], marks: Mapping[str, Sequence[float]]
) -> None:
    first = next(iter(panel.values()))
    if len({one.unit for one in panel.values()}) > 1:
        units = {label: one.unit for label, one in panel.items()}
        raise ConfigError(f"spectra of different units cannot share an axis: {units}")
    highest = max(float(np.max(one.intensity + np.nan_to_num(one.error))) for one in panel.values())
    power = 3 * math.floor(math.log10(highest) / 3) if highest > 0 else 0
    for i, (label, one) in enumerate(panel.items()):
        color, dashes = COLORS[i % len(COLORS)], DASHES[i % len(DASHES)]
        _draw_spectrum(axes, one, 10.0**-power, label, color, dashes)
    axes.axhline(0.0, color="0.6", linewidth=0.4, zorder=0)
    axes.margins(y=0.14 if marks else 0.04)
    lowest = min(float(np.min(one.intensity)) for one in panel.values())
    axes.set_ylim(bottom=min(-0.03 * highest, 1.05 * lowest) / 10.0**power)
    scale = rf"10$^{{{power}}}\,$" if power else ""
    unit = f"{scale}{'' if first.unit == '1' else pretty(first.unit)}"
    axes.set_ylabel(_short(first.quantity) + (f" / {unit}" if unit else ""))
    _mark(axes, marks)


def _draw_spectrum(
    axes: Axes, one: Spectrum, scale: float, label: str, color: str, dashes: str
) -> None:
    x, y, error = one.wavenumber, scale * one.intensity, scale * one.error
    if one.member_spread is not None:
        spread = scale * one.member_spread
        axes.fill_between(x, y - spread, y + spread, color=color, alpha=0.2, linewidth=0)
    axes.fill_between(x, y - error, y + error, color=color, alpha=0.45, linewidth=0)
    marked = one.window_bias
    if marked is None:
        marked = np.zeros(len(x), dtype=bool)
    style: dict[str, Any] = {"color": color, "linestyle": dashes, "linewidth": 0.9}
    said = f"{label} (no error)" if one.no_error else label
    axes.plot(x, np.where(marked, np.nan, y), label=said, **style)
    # up to the points beside them, so that no gap is left
    beside = np.convolve(marked, [True, True, True], mode="same") > 0
    axes.plot(x, np.where(beside, y, np.nan), alpha=FAINT, **style)


def _mark(axes: Axes, marks: Mapping[str, Sequence[float]]) -> None:
    """Short lines from the top of the axes, labelled in the legend."""
    for i, (label, wavenumbers) in enumerate(marks.items()):
        top = axes.get_xaxis_transform()  # x in data, y from 0 to 1
        color = COLORS[-1 - i % len(COLORS)]
        axes.vlines(wavenumbers, 0.9, 1.0, transform=top, color=color, linewidth=1.2, label=label)


def _short(quantity: str) -> str:
    """What fits beside an axis; parts (of a species) share the axis of the whole."""
    for name, short in SHORT.items():
        if quantity.startswith(name):
            return short
    return quantity


def _spectrum_columns(
    panels: Sequence[Mapping[str, Spectrum]],
) -> dict[str, list[str | float]]:
    names = (
        "quantity", "unit", "curve", "wavenumber (cm^-1)", "intensity", "error", "member spread",
        "window bias",
    )  # fmt: skip
    columns: dict[str, list[str | float]] = {name: [] for name in names}
    for label, one in ((label, one) for panel in panels for label, one in panel.items()):
        spread = one.member_spread
        if spread is None:
            spread = np.full_like(one.wavenumber, np.nan)
        bias = one.window_bias
        marked = np.full_like(one.wavenumber, np.nan) if bias is None else bias.astype(np.float64)
        n_points = len(one.wavenumber)
        columns["quantity"] += [one.quantity] * n_points
        columns["unit"] += [one.unit] * n_points
        columns["curve"] += [label] * n_points
        columns["wavenumber (cm^-1)"] += one.wavenumber.tolist()
        columns["intensity"] += one.intensity.tolist()
        columns["error"] += one.error.tolist()
        columns["member spread"] += spread.tolist()
        columns["window bias"] += marked.tolist()
    return columns


def _spectrum_summary(
    panels: Sequence[Mapping[str, Spectrum]], marks: Mapping[str, Sequence[float]]
) -> dict[str, object]:
    curves = [
        {
            "curve": label,
            "quantity": one.quantity,
            "unit": one.unit,
            "resolution (cm^-1)": one.resolution,
            "members": 0 if one.members is None else len(one.members),
            **({"no_error": one.no_error} if one.no_error else {"error_from": one.error_from}),
            **one.details,
        }
        for panel in panels
        for label, one in panel.items()
    ]
    return {"curves": curves, "marks (cm^-1)": {k: list(v) for k, v in marks.items()}}
