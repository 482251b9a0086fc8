"""Conserved quantities with their drift."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mlobs_client.errors import ConfigError
from mlobs_client.plot.figure import (
    COLORS,
    Plot,
    add_legend,
    extend,
    new_figure,
    with_error,
)
from mlobs_client.results.estimate import Estimate
from mlobs_client.results.lines import drift
from mlobs_client.structure import Array
from mlobs_client.units import EV, PICOSECOND


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
    figure, (axes,) = new_figure()
    columns: dict[str, list[str | float]] = {
        "curve": [],
        "time (ps)": [],
        "conserved quantity from its start (meV/atom)": [],
    }
    drifts: dict[str, Estimate] = {}
    for i, (label, (times, values)) in enumerate(runs.items()):
        picoseconds = np.asarray(times) / PICOSECOND
        energies = 1000.0 * (np.asarray(values) - values[0]) / EV / n_atoms
        drifts[label] = drift(picoseconds, 1000.0 * energies, ("ps", "µeV/atom"))
        color = COLORS[i % len(COLORS)]
        text = f"{label}: {with_error(drifts[label])}"
        axes.plot(picoseconds, energies, color=color, linewidth=0.7, label=text)
        slope = drifts[label].value / 1000.0
        line = slope * (picoseconds - picoseconds.mean()) + energies.mean()
        axes.plot(picoseconds, line, color=color, linewidth=1.0, linestyle="--")
        extend(columns, label, picoseconds, energies)
    axes.set_xlabel("time / ps")
    axes.set_ylabel(r"$\Delta E_\mathrm{conserved}$ / meV$\,$atom$^{-1}$")
    axes.margins(x=0.0)
    add_legend(figure, axes, [], title=r"drift / µeV$\,$atom$^{-1}\,$ps$^{-1}$", n_columns=1)
    summary = {"drift": {label: one.as_json() for label, one in drifts.items()}, "n_atoms": n_atoms}
    return Plot(figure, columns, summary)
