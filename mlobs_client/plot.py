"""Figures, styled once, with the numbers beside them.

Each function takes results of :mod:`mlobs_client.analysis` and returns a :class:`Plot`: a figure
together with what it shows. :func:`save` writes both: PNG and PDF, CSV and JSON of one stem.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from mlobs_client.analysis.polarization import PolarizationCurve
from mlobs_client.analysis.spectra import Spectrum
from mlobs_client.analysis.statistics import Estimate, drift
from mlobs_client.csv_file import write_csv
from mlobs_client.errors import ConfigError, RecordError
from mlobs_client.structure import Array
from mlobs_client.units import EV, FEMTOSECOND

COLORS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Of Okabe and Ito: told apart with every kind of colour vision."""

DASHES: Final = ("-", "--", "-.", ":")
"""Told apart in print without colours."""

STYLE: Final[dict[str, object]] = {
    "figure.figsize": (3.37, 2.3),  # inch: one column of a journal; legends add to the height
    "figure.constrained_layout.use": True,
    "font.size": 8,
    "axes.labelsize": 8,
    "legend.fontsize": 7,
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

UNITS: Final = {
    "cm^-1": r"cm$^{-1}$",
    "1/cm^-1": "cm",
    "uC/cm^2": r"µC$\,$cm$^{-2}$",
    "V/angstrom": r"V$\,$Å$^{-1}$",
}


SHORT: Final = {
    "infrared absorption": r"$n(\omega)\,\alpha(\omega)$",
    "vibrational density of states": "VDOS",
}


@dataclass(frozen=True)
class Plot:
    """A figure and the numbers in it.

    Attributes:
        figure: of matplotlib; not known to pyplot.
        columns: all of one length, by headers with units; column ``curve`` names the curve.
        summary: what the figure says in a few numbers, for JSON.
    """

    figure: Figure
    columns: Mapping[str, Sequence[str | float]]
    summary: Mapping[str, object]


def plot_spectra(
    *panels: Mapping[str, Spectrum],
    low: float = 0.0,
    high: float = 4500.0,
    marks: Mapping[str, Sequence[float]] | None = None,
) -> Plot:
    """Draw spectra with bands of one standard error and of the committee.

    Args:
        panels: one above the other, each with spectra of one quantity by the label of the curve,
            for example ``{"classical": ..., "TRPMD": ...}``; the same labels in all panels.
        low: left end, cm^-1.
        high: right end, cm^-1.
        marks: wavenumbers to mark at the top, by label, for example measured ones.

    Raises:
        ConfigError: no spectrum, spectra of different units in one panel, or an empty range.
    """
    if not panels or not all(panels):
        raise ConfigError("no spectrum was given to plot")
    shown = [{label: one.between(low, high) for label, one in panel.items()} for panel in panels]
    figure, all_axes = _new(len(panels))
    for axes, panel in zip(all_axes, shown, strict=True):
        _draw_panel(axes, panel, marks or {})
        axes.set_xlim(low, high)
    all_axes[-1].set_xlabel(rf"wavenumber / {_pretty('cm^-1')}")
    bands = [Patch(color="0.5", alpha=0.55, linewidth=0, label="±1 standard error")]
    if any(one.members is not None for panel in shown for one in panel.values()):
        bands.append(Patch(color="0.5", alpha=0.2, linewidth=0, label="committee spread"))
    _legend(figure, all_axes[0], bands)
    return Plot(figure, _spectrum_columns(shown), _spectrum_summary(shown, marks or {}))


def _draw_panel(
    axes: Axes, panel: Mapping[str, Spectrum], marks: Mapping[str, Sequence[float]]
) -> None:
    first = next(iter(panel.values()))
    if len({one.unit for one in panel.values()}) > 1:
        units = {label: one.unit for label, one in panel.items()}
        raise ConfigError(f"spectra of different units cannot share an axis: {units}")
    highest = max(float(np.max(one.intensity + one.error)) for one in panel.values())
    power = 3 * math.floor(math.log10(highest) / 3) if highest > 0 else 0
    for i, (label, one) in enumerate(panel.items()):
        color, dashes = COLORS[i % len(COLORS)], DASHES[i % len(DASHES)]
        _draw_spectrum(axes, one, 10.0**-power, label, color, dashes)
    axes.axhline(0.0, color="0.6", linewidth=0.4, zorder=0)
    axes.margins(y=0.14 if marks else 0.04)
    axes.set_ylim(bottom=-0.03 * highest / 10.0**power)
    scale = rf"10$^{{{power}}}\,$" if power else ""
    axes.set_ylabel(f"{_short(first.quantity)} / {scale}{_pretty(first.unit)}")
    _mark(axes, marks)


def plot_conserved(runs: Mapping[str, tuple[Array, Array]], n_atoms: int) -> Plot:
    """Draw the conserved quantity of several runs, from its first value on, with the drift.

    Args:
        runs: times in atu and conserved quantity in Eh, each of shape ``(t,)``, by label.
        n_atoms: of the system (for path integrals, times the number of beads).

    Raises:
        ConfigError: no run, or no atoms.
        RecordError: too short or not finite.
    """
    if not runs or n_atoms < 1:
        raise ConfigError(f"nothing to plot: {len(runs)} runs with {n_atoms} atoms")
    figure, (axes,) = _new()
    columns: dict[str, list[str | float]] = {
        "curve": [],
        "time (ps)": [],
        "conserved quantity from its start (meV/atom)": [],
    }
    drifts: dict[str, Estimate] = {}
    for i, (label, (times, values)) in enumerate(runs.items()):
        picoseconds = np.asarray(times) / (1000.0 * FEMTOSECOND)
        energies = 1000.0 * (np.asarray(values) - values[0]) / EV / n_atoms
        drifts[label] = drift(picoseconds, 1000.0 * energies, ("ps", "µeV/atom"))
        color = COLORS[i % len(COLORS)]
        text = f"{label}: {_number(drifts[label])}"
        axes.plot(picoseconds, energies, color=color, linewidth=0.7, label=text)
        slope = drifts[label].value / 1000.0
        line = slope * (picoseconds - picoseconds.mean()) + energies.mean()
        axes.plot(picoseconds, line, color=color, linewidth=1.0, linestyle="--")
        _extend(columns, label, picoseconds, energies)
    axes.set_xlabel("time / ps")
    axes.set_ylabel(r"$\Delta E_\mathrm{conserved}$ / meV$\,$atom$^{-1}$")
    axes.margins(x=0.0)
    _legend(figure, axes, [], title=r"drift / µeV$\,$atom$^{-1}\,$ps$^{-1}$", n_columns=1)
    summary = {"drift": {label: _as_json(one) for label, one in drifts.items()}, "n_atoms": n_atoms}
    return Plot(figure, columns, summary)


def plot_polarization(curves: Mapping[str, PolarizationCurve]) -> Plot:
    """Draw the mean polarization against the field, with errors and the linear response.

    Args:
        curves: by label.

    Raises:
        ConfigError: no curve.
    """
    if not curves:
        raise ConfigError("no polarization curve was given to plot")
    figure, (axes,) = _new()
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
        text = rf"{label}: $\chi$ = {_number(curve.susceptibility)}"
        axes.errorbar(
            curve.field, values, errors, color=color, fmt="osD^v"[i % 5], markersize=3.5,
            capsize=2.0, linewidth=0.8, label=text,
        )  # fmt: skip
        ends = np.array([curve.field.min(), curve.field.max()])
        line = curve.intercept.value + curve.slope.value * ends
        axes.plot(ends, line, color=color, linestyle=DASHES[i % len(DASHES)], linewidth=0.8)
        _extend(columns, label, curve.field, values, errors)
    axes.set_xlabel(f"electric field / {_pretty('V/angstrom')}")
    axes.set_ylabel(f"polarization / {_pretty('uC/cm^2')}")
    _legend(figure, axes, [], n_columns=1)
    summary = {label: _curve_summary(curve) for label, curve in curves.items()}
    return Plot(figure, columns, summary)


def save(plot: Plot, stem: Path | str) -> tuple[Path, ...]:
    """Write the figure and its numbers.

    Args:
        plot: what to write.
        stem: path without an ending; ``.png``, ``.pdf``, ``.csv`` and ``.json`` are added.

    Returns:
        The four files.

    Raises:
        RecordError: a file cannot be written.
    """
    png, pdf, table, numbers = (Path(f"{stem}.{end}") for end in ("png", "pdf", "csv", "json"))
    content = {"summary": plot.summary, "columns": dict(plot.columns)}
    try:
        png.parent.mkdir(parents=True, exist_ok=True)
        with mpl.rc_context(STYLE):  # type: ignore[arg-type]
            plot.figure.savefig(png, dpi=300)
            plot.figure.savefig(pdf, metadata={"CreationDate": None})
        write_csv(table, plot.columns)
        text = json.dumps(_without_nan(content), indent=1, ensure_ascii=False, allow_nan=False)
        numbers.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise RecordError(f"cannot write the figure {stem}: {error}") from error
    return png, pdf, table, numbers


def _new(n_panels: int = 1) -> tuple[Figure, list[Axes]]:
    with mpl.rc_context(STYLE):  # type: ignore[arg-type]
        figure = Figure()
        figure.set_figheight(figure.get_figheight() * (0.3 + 0.7 * n_panels))
        all_axes = list(figure.subplots(n_panels, sharex=True, squeeze=False)[:, 0])
        for axes in all_axes:
            axes.locator_params(nbins=6, steps=[1, 2, 5, 10])
        return figure, all_axes


def _draw_spectrum(
    axes: Axes, one: Spectrum, scale: float, label: str, color: str, dashes: str
) -> None:
    x, y, error = one.wavenumber, scale * one.intensity, scale * one.error
    if one.member_spread is not None:
        spread = scale * one.member_spread
        axes.fill_between(x, y - spread, y + spread, color=color, alpha=0.2, linewidth=0)
    axes.fill_between(x, y - error, y + error, color=color, alpha=0.45, linewidth=0)
    axes.plot(x, y, color=color, linestyle=dashes, label=label, linewidth=0.9)


def _mark(axes: Axes, marks: Mapping[str, Sequence[float]]) -> None:
    """Short lines from the top of the axes, labelled in the legend."""
    for i, (label, wavenumbers) in enumerate(marks.items()):
        top = axes.get_xaxis_transform()  # x in data, y from 0 to 1
        color = COLORS[-1 - i % len(COLORS)]
        axes.vlines(wavenumbers, 0.9, 1.0, transform=top, color=color, linewidth=1.2, label=label)


def _legend(
    figure: Figure, axes: Axes, extra: list[Patch], title: str | None = None, n_columns: int = 2
) -> None:
    """Above the axes, where it hides nothing."""
    handles = [*axes.get_legend_handles_labels()[0], *extra]
    with mpl.rc_context(STYLE):  # type: ignore[arg-type]
        figure.legend(handles=handles, loc="outside upper center", ncols=n_columns, title=title)
    n_rows = math.ceil(len(handles) / n_columns) + (title is not None)
    figure.set_figheight(figure.get_figheight() + 0.15 * n_rows)


def _pretty(unit: str) -> str:
    return UNITS.get(unit, unit)


def _short(quantity: str) -> str:
    """What fits beside an axis; parts (of a species) share the axis of the whole."""
    for name, short in SHORT.items():
        if quantity.startswith(name):
            return short
    return quantity


def _number(estimate: Estimate) -> str:
    """Value ± error without the unit, with a proper minus sign."""
    return str(estimate).removesuffix(estimate.unit).strip().replace("-", "−")


def _extend(columns: dict[str, list[str | float]], label: str, *values: Array) -> None:
    for column, added in zip(
        columns.values(), ([label] * len(values[0]), *(v.tolist() for v in values)), strict=True
    ):
        column.extend(added)


def _spectrum_columns(
    panels: Sequence[Mapping[str, Spectrum]],
) -> dict[str, list[str | float]]:
    names = ("quantity", "unit", "curve", "wavenumber (cm^-1)", "intensity", "error")
    columns: dict[str, list[str | float]] = {name: [] for name in (*names, "member spread")}
    for label, one in ((label, one) for panel in panels for label, one in panel.items()):
        spread = one.member_spread
        if spread is None:
            spread = np.full_like(one.wavenumber, np.nan)
        n_points = len(one.wavenumber)
        columns["quantity"] += [one.quantity] * n_points
        columns["unit"] += [one.unit] * n_points
        columns["curve"] += [label] * n_points
        columns["wavenumber (cm^-1)"] += one.wavenumber.tolist()
        columns["intensity"] += one.intensity.tolist()
        columns["error"] += one.error.tolist()
        columns["member spread"] += spread.tolist()
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
            **one.details,
        }
        for panel in panels
        for label, one in panel.items()
    ]
    return {"curves": curves, "marks (cm^-1)": {k: list(v) for k, v in marks.items()}}


def _curve_summary(curve: PolarizationCurve) -> dict[str, object]:
    return {
        "direction": curve.direction.tolist(),
        "slope": _as_json(curve.slope),
        "intercept": _as_json(curve.intercept),
        "susceptibility": _as_json(curve.susceptibility),
        "chi_squared": curve.chi_squared,
    }


def _as_json(estimate: Estimate) -> dict[str, float | str]:
    return {
        "value": estimate.value,
        "error": estimate.error,
        "unit": estimate.unit,
        "n_independent": estimate.n_independent,
    }


def _without_nan(value: object) -> object:
    """JSON has no NaN: null says "unknown"."""
    if isinstance(value, Mapping):
        return {str(key): _without_nan(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(one) for one in value]
    return None if isinstance(value, float) and math.isnan(value) else value
