"""Dipoles of independent runs of one system, brought to one branch.

A run from unwrapped positions stays on one branch, but another run, from other images of its atoms
or of another start, may be on another: its mean then differs by quanta, e times lattice vectors,
which would count as fluctuations of the dipole.
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
"""Errors between means that differ."""


def align_runs(
    dipoles: Sequence[Array],
    cell: Array,
    names: Sequence[str],
    remedy: str = "run longer",
    expected: Array | None = None,
) -> tuple[list[Array], Integers]:
    """Move runs by whole quanta to the branch of the longest one.

    Args:
        dipoles: of each run, shape ``(t, 3)``, e bohr, without jumps in time.
        cell: shape ``(3, 3)``, bohr, lattice vectors are rows.
        names: of the runs, for errors.
        remedy: what errors advise.
        expected: shape ``(n_runs, 3)``, e bohr, by how much their means differ on one branch, such
            as by the response to a field; not at all by default.

    Returns:
        The dipoles, and by how many quanta each run was away, shape ``(n_runs, 3)``.

    Raises:
        RecordError: means that differ neither by nothing nor by whole quanta, or that are not
            known well enough to tell; too short, or not finite.
    """
    series = [
        check_series(run, f"dipoles of {n}", 4) for run, n in zip(dipoles, names, strict=True)
    ]
    apart_anyway = np.zeros((len(series), 3)) if expected is None else expected
    quanta = [in_quanta(run - e, cell) for run, e in zip(series, apart_anyway, strict=True)]
    reference = int(np.argmax([len(run) for run in series]))
    away = np.zeros((len(series), 3), dtype=np.int64)
    for place, of_run in enumerate(quanta):
        apart = of_run.mean(axis=0) - quanta[reference].mean(axis=0)
        away[place] = np.rint(apart)
        for along in range(3 if place != reference else 0):
            columns = of_run[:, along], quanta[reference][:, along]
            error = _error(*columns, float(apart[along]))
            if reason := _doubt(float(apart[along]), error):
                raise RecordError(
                    f"the mean dipoles of {names[place]} and {names[reference]} differ by "
                    f"{apart[along]:.2f} ± {error:.2f} quanta (e x lattice vector {along}): "
                    f"{reason}; {remedy}"
                )
    return [run - n @ cell if n.any() else run for run, n in zip(series, away, strict=True)], away


def say_moved(names: Sequence[str], away: Integers) -> list[str]:
    """A sentence for each run that was moved.

    Args:
        names: of the runs.
        away: shape ``(n_runs, 3)``, by how many quanta each was away.
    """
    return [
        f"{name}: the mean dipole is {quanta} quanta (e x lattice vectors) from that of the other "
        "runs; moved by these to the same branch"
        for name, quanta in zip(names, away.tolist(), strict=True)
        if any(quanta)
    ]


def align_relaxed(
    dipoles: Sequence[Array], rest: Array, cell: Array, names: Sequence[str], remedy: str
) -> tuple[list[Array], Integers]:
    """Move runs that relax to a state by whole quanta, until they end next to its mean dipole.

    Args:
        dipoles: of each run, shape ``(t, 3)``, e bohr; its last quarter counts as relaxed.
        rest: shape ``(t, 3)``, e bohr, in this state.
        cell: shape ``(3, 3)``, bohr, lattice vectors are rows.
        names: of the runs, for errors.
        remedy: what errors advise.

    Returns:
        As :func:`align_runs`.

    Raises:
        RecordError: as :func:`align_runs`.
    """
    away = np.zeros((len(dipoles), 3), dtype=np.int64)
    for i, (run, name) in enumerate(zip(dipoles, names, strict=True)):
        pair = [rest, run[-len(run) // 4 :]]
        of_both = ["the runs at rest", f"the last quarter of {name}"]
        _, (of_rest, of_run) = align_runs(pair, cell, of_both, remedy)
        away[i] = of_run - of_rest
    return [run - n @ cell if n.any() else run for run, n in zip(dipoles, away, strict=True)], away


def _error(first: Array, second: Array, apart: float) -> float:
    """Of the difference of two means.

    Runs that are too short to know their errors may still move as far as they have moved, and as
    they are from each other.
    """
    known = float(np.hypot(mean(first).error, mean(second).error))
    if np.isfinite(known):
        return known
    return float(np.linalg.norm([first.std(), second.std(), apart - np.rint(apart)]))


def _doubt(apart: float, error: float) -> str:
    """Why a difference of means does not tell by how many quanta; empty if it does."""
    whole = np.rint(apart)
    if whole and SURE * error > 1.0 - LARGEST_STEP:
        return "one branch or two, this is too uncertain to tell"
    if abs(apart - whole) > max(LARGEST_STEP, 0.0 if whole else SURE * error):
        return "neither zero nor whole quanta, so they are no runs of one state"
    return ""
