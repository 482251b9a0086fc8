"""Move the dipoles of independent runs of one system to one branch.

A run from unwrapped positions stays on one branch, but another run that starts from other images of
the atoms may be on another branch: its mean then differs by quanta, e times lattice vectors, which
would count as fluctuations of the dipole.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from mlobs_client.analysis.branches import LARGEST_STEP, in_quanta
from mlobs_client.errors import RecordError
from mlobs_client.results.estimate import check_series
from mlobs_client.results.statistics import mean
from mlobs_client.structure import Array, Integers

SURE: Final = 3.0
"""Smallest significant difference between two means, in standard errors."""


def align_runs(
    dipoles: Sequence[Array],
    cell: Array,
    names: Sequence[str],
    remedy: str = "run longer",
    expected: Array | None = None,
) -> tuple[list[Array], Integers]:
    """Move runs by whole quanta to the branch of the longest run.

    Args:
        dipoles: dipoles of each run, shape ``(t, 3)``, e bohr, without jumps in time.
        cell: shape ``(3, 3)``, bohr, lattice vectors are rows.
        names: names of the runs, for error messages.
        remedy: advice for error messages.
        expected: expected differences of the means on one branch, such as the response to a field,
            shape ``(n_runs, 3)``, e bohr; zero by default.

    Returns:
        The moved dipoles, and the quanta by which each run was displaced, shape ``(n_runs, 3)``.

    Raises:
        RecordError: means differ neither by zero nor by whole quanta, or are too uncertain to tell;
            runs are too short, or numbers are not finite.
    """
    series = [
        check_series(run, f"dipoles of {n}", 4) for run, n in zip(dipoles, names, strict=True)
    ]
    apart_anyway = np.zeros((len(series), 3)) if expected is None else expected
    quanta = [in_quanta(run - e, cell) for run, e in zip(series, apart_anyway, strict=True)]
    reference = int(np.argmax([len(run) for run in series]))
    away = np.zeros((len(series), 3), dtype=np.int64)
    for i, of_run in enumerate(quanta):
        apart = of_run.mean(axis=0) - quanta[reference].mean(axis=0)
        away[i] = np.rint(apart)
        for along in range(3 if i != reference else 0):
            columns = of_run[:, along], quanta[reference][:, along]
            error = _error(*columns, float(apart[along]))
            if reason := _doubt(float(apart[along]), error):
                raise RecordError(
                    f"the mean dipoles of {names[i]} and {names[reference]} differ by "
                    f"{apart[along]:.2f} ± {error:.2f} quanta (e x lattice vector {along}): "
                    f"{reason}; {remedy}"
                )
    return [run - n @ cell if n.any() else run for run, n in zip(series, away, strict=True)], away


def say_moved(names: Sequence[str], away: Integers) -> list[str]:
    """Return a sentence for each run that was moved.

    Args:
        names: names of the runs.
        away: quanta by which each run was displaced, shape ``(n_runs, 3)``.
    """
    return [
        f"{name}: the mean dipole is {quanta} quanta (e x lattice vectors) away from that of the "
        "other runs; the run was moved to the same branch"
        for name, quanta in zip(names, away.tolist(), strict=True)
        if any(quanta)
    ]


def align_relaxed(
    dipoles: Sequence[Array], rest: Array, cell: Array, names: Sequence[str], remedy: str
) -> tuple[list[Array], Integers]:
    """Move runs by whole quanta to the branch of the state to which they relax.

    Args:
        dipoles: dipoles of each run, shape ``(t, 3)``, e bohr; the last quarter counts as relaxed.
        rest: dipoles in the relaxed state, shape ``(t, 3)``, e bohr.
        cell: shape ``(3, 3)``, bohr, lattice vectors are rows.
        names: names of the runs, for error messages.
        remedy: advice for error messages.

    Returns:
        The same as :func:`align_runs`.

    Raises:
        RecordError: as in :func:`align_runs`.
    """
    away = np.zeros((len(dipoles), 3), dtype=np.int64)
    for i, (run, name) in enumerate(zip(dipoles, names, strict=True)):
        pair = [rest, run[-len(run) // 4 :]]
        of_both = ["the runs at rest", f"the last quarter of {name}"]
        _, (of_rest, of_run) = align_runs(pair, cell, of_both, remedy)
        away[i] = of_run - of_rest
    return [run - n @ cell if n.any() else run for run, n in zip(dipoles, away, strict=True)], away


def _error(first: Array, second: Array, apart: float) -> float:
    """Return the error of the difference of two means.

    For runs that are too short for errors, it combines the widths of their fluctuations and the
    distance of their means from whole quanta.
    """
    known = float(np.hypot(mean(first).error, mean(second).error))
    if np.isfinite(known):
        return known
    return float(np.linalg.norm([first.std(), second.std(), apart - np.rint(apart)]))


def _doubt(apart: float, error: float) -> str:
    """Return why a difference of means gives no number of quanta; empty if it gives one."""
    whole = np.rint(apart)
    if whole and SURE * error > 1.0 - LARGEST_STEP:
        return "this is too uncertain to tell whether they are on one branch"
    if abs(apart - whole) > max(LARGEST_STEP, 0.0 if whole else SURE * error):
        return "this is neither zero nor whole quanta, so they are not runs of one state"
    return ""
