"""Branches of the dipoles of periodic cells.

The dipole of a periodic cell is defined up to a quantum, e times a lattice vector. A series from
wrapped positions, or from Berry phases, jumps by quanta. A series from unwrapped positions does
not, and must not be changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from mlobs_client.errors import RecordError
from mlobs_client.results.estimate import check_series
from mlobs_client.structure import Array

LARGEST_STEP: Final = 0.25
"""Largest change between neighbours at which their branch is still certain, in quanta; any other
branch would be at least three times as far away."""


def unwrap_dipole(
    dipoles: Array, cell: Array, remedy: str = "write the dipole more often"
) -> Array:
    """Remove jumps by e x lattice vectors from a series of dipoles.

    Args:
        dipoles: shape ``(t, 3)``, e bohr.
        cell: shape ``(3, 3)``, bohr, lattice vectors are rows; the same at all times.
        remedy: advice for the error message.

    Returns:
        Dipoles on the branch of the first sample, shape ``(t, 3)``, e bohr.

    Raises:
        RecordError: a step between samples is too large to tell a jump from motion.
    """
    checked = check_series(dipoles, "dipoles", least=1)
    quanta = in_quanta(checked, cell)  # [t, lattice vector]
    steps = np.diff(quanta, axis=0)
    jumps = np.rint(steps)
    check_resolved(steps - jumps, "sample", remedy)
    removed = np.vstack([np.zeros(3), np.cumsum(jumps, axis=0)])
    return np.asarray(checked - removed @ cell)


def average_beads(dipoles: Array, cell: Array | None = None) -> Array:
    """Average dipoles over the beads of a path integral, for Kubo-transformed correlations.

    Args:
        dipoles: shape ``(n_beads, t, 3)``, e bohr.
        cell: shape ``(3, 3)``, bohr, lattice vectors are rows; if given, all beads are first moved
            to the branch of bead 0.

    Returns:
        Mean dipoles, shape ``(t, 3)``, e bohr.

    Raises:
        RecordError: the shape is wrong, a number is not finite, or beads are too far apart to
            tell their branch.
    """
    checked = check_series(dipoles, "dipoles of beads", least=1)
    if checked.ndim != 3 or checked.shape[-1] != 3:
        raise RecordError(f"dipoles of beads must have shape (n_beads, t, 3), got {checked.shape}")
    if cell is None:
        return np.asarray(checked.mean(axis=0))
    from_first = in_quanta(checked - checked[0], cell)
    jumps = np.rint(from_first)
    check_resolved(from_first - jumps, "bead", "give dipoles from unwrapped positions")
    return np.asarray((checked - jumps @ cell).mean(axis=0))


def on_one_branch(series: Sequence[list[Array]], strength: Array, cell: Array) -> list[list[Array]]:
    """Shift runs by quanta to the branch of their neighbours, from the weakest field outwards.

    Args:
        series: for each field, its runs of shape ``(t, 3)``, e bohr.
        strength: signed strengths of the fields, ascending, shape ``(n_fields,)``, any unit.
        cell: shape ``(3, 3)``, bohr, lattice vectors are rows.

    Returns:
        The runs of each field, e bohr.

    Raises:
        RecordError: neighbouring fields are too far apart to tell the branch.
    """
    start = int(np.argmin(np.abs(strength)))
    steps = [(start, start)]
    steps += [(i, i - 1) for i in range(start + 1, len(series))]
    steps += [(i, i + 1) for i in range(start - 1, -1, -1)]
    result = list(series)
    means = {start: series[start][0].mean(axis=0)}
    for this, neighbour in steps:
        shifted = []
        for run in series[this]:
            step = in_quanta(run.mean(axis=0) - means[neighbour], cell)
            jump = np.rint(step)
            check_resolved(
                (step - jump)[None],
                "field",
                "use smaller steps of the field, or unwrapped positions",
            )
            shifted.append(run - jump @ cell)
        result[this] = shifted
        means[this] = np.concatenate(shifted).mean(axis=0)
    return result


def in_quanta(dipoles: Array, cell: Array) -> Array:
    """Return the components of dipoles along the lattice vectors, in quanta.

    Args:
        dipoles: shape ``(..., 3)``, e bohr; for positions in bohr, the components are fractional
            coordinates.
        cell: shape ``(3, 3)``, bohr, lattice vectors are rows.

    Returns:
        Shape ``(..., 3)``; the last axis counts lattice vectors.

    Raises:
        RecordError: shapes are wrong, or the cell has no volume.
    """
    cell = np.asarray(cell, dtype=np.float64)
    if cell.shape != (3, 3) or not np.isfinite(cell).all() or abs(np.linalg.det(cell)) < 1e-6:
        raise RecordError(
            "cell must have shape (3, 3), lattice vectors as rows, and a volume; got "
            f"{cell.tolist()}"
        )
    if dipoles.shape[-1] != 3:
        raise RecordError(f"dipoles must have 3 components, got shape {dipoles.shape}")
    return np.asarray(np.linalg.solve(cell.T, dipoles.reshape(-1, 3).T).T.reshape(dipoles.shape))


def check_resolved(remainders: Array, what: str, remedy: str) -> None:
    """Refuse steps that may be either motion or jumps to another branch.

    Args:
        remainders: steps minus whole quanta, shape ``(..., 3)``, quanta.
        what: name of the elements between which the steps lie, for the error message.
        remedy: advice for the error message.

    Raises:
        RecordError: a remainder is larger than :data:`LARGEST_STEP`.
    """
    if remainders.size == 0 or np.abs(remainders).max() <= LARGEST_STEP:
        return
    index = np.unravel_index(int(np.argmax(np.abs(remainders))), remainders.shape)
    raise RecordError(
        f"the dipole changes by {abs(remainders[index]):.2f} quanta (e x lattice vector "
        f"{index[-1]}) from one {what} to the next: a jump to another branch cannot be "
        f"distinguished from motion above {LARGEST_STEP}; {remedy}"
    )
