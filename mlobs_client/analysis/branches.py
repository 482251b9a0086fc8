"""Branches of the dipoles of periodic cells.

The dipole of a periodic cell is defined up to a quantum, e times a lattice vector. A series that
is wrapped (computed from positions inside the cell, or from Berry phases) jumps by quanta; one
from unwrapped positions does not, and must then be left as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from mlobs_client.errors import RecordError
from mlobs_client.results.estimate import check_series
from mlobs_client.structure import Array

LARGEST_STEP: Final = 0.25
"""Largest change, in quanta, between neighbours that still tells on which branch they are: the
other choice would be three times as far."""


def unwrap_dipole(
    dipoles: Array, cell: Array, remedy: str = "write the dipole more often"
) -> Array:
    """Take jumps by e x lattice vectors out of a series of dipoles.

    Args:
        dipoles: shape ``(t, 3)``, e bohr.
        cell: shape ``(3, 3)``, bohr, lattice vectors are rows; the same at all times.
        remedy: what the error advises.

    Returns:
        Shape ``(t, 3)``, on the branch of the first sample.

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
    """Mean dipole over the beads of a path integral: the Kubo-transformed estimator.

    Args:
        dipoles: shape ``(n_beads, t, 3)``, e bohr.
        cell: shape ``(3, 3)``, bohr, rows; if given, all beads are first brought to the branch
            of bead 0.

    Returns:
        Shape ``(t, 3)``, e bohr.

    Raises:
        RecordError: wrong shape, not finite, or beads too far apart to tell their branch.
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
    """Shift all runs by quanta next to their neighbours, from the weakest field outwards."""
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
    """Components along the lattice vectors: of dipoles in quanta, of positions in fractions.

    Args:
        dipoles: shape ``(..., 3)``, e bohr.
        cell: shape ``(3, 3)``, bohr, lattice vectors are rows.

    Raises:
        RecordError: wrong shapes, or a cell without volume.
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
    """Refuse steps that may be jumps of the branch or motion.

    Args:
        remainders: steps less whole quanta, shape ``(..., 3)``, quanta.
        what: lies between two of them, for the error.
        remedy: what the error advises.

    Raises:
        RecordError: one is larger than :data:`LARGEST_STEP`.
    """
    if remainders.size == 0 or np.abs(remainders).max() <= LARGEST_STEP:
        return
    index = np.unravel_index(int(np.argmax(np.abs(remainders))), remainders.shape)
    raise RecordError(
        f"the dipole changes by {abs(remainders[index]):.2f} quanta (e x lattice vector "
        f"{index[-1]}) from one {what} to the next: a jump of branch cannot be told from motion "
        f"above {LARGEST_STEP}; {remedy}"
    )
