"""Read the cells of a run, and recognize a molecule in vacuum: i-PI gives it a cell, too."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from mlobs_client.errors import RecordError
from mlobs_client.ipi.trajectory import POSITION_QUANTITIES, open_trajectory
from mlobs_client.structure import Array, Integers, fills_cell


def read_cells(paths: Iterable[Path], prefix: Path) -> tuple[Integers, Array]:
    """Read the steps and cells of the first trajectory that has cells.

    Args:
        paths: files that may be trajectories.
        prefix: prefix of the run, for the error message.

    Returns:
        Steps ``(t,)`` and cells ``(t, 3, 3)``, bohr, lattice vectors are rows.

    Raises:
        RecordError: no trajectory has a cell.
    """
    for path in paths:
        try:
            frames = [frame for frame in open_trajectory(path) if frame.cell is not None]
        except RecordError:  # of another program
            continue
        if frames:
            return np.array([f.step for f in frames]), np.array([f.cell for f in frames])
    raise RecordError(
        f"{prefix}: has no trajectory with a cell, so there is no volume; add <trajectory "
        "filename='pos'> positions </trajectory> to <output>, or add --volume V (angstrom^3) or "
        "--molecule to 'mlobs ir'"
    )


def is_in_vacuum(paths: Iterable[Path]) -> bool | None:
    """Return whether vacuum surrounds the atoms along all lattice vectors, or there is no cell.

    Args:
        paths: files; the first frame of the first file with positions decides.

    Returns:
        True or False; None if no file has positions.
    """
    for path in paths:
        try:
            first = next(iter(open_trajectory(path)))
        except RecordError:  # extras, properties, or of another program
            continue
        if first.quantity in POSITION_QUANTITIES:
            return first.cell is None or not fills_cell(first.values, first.cell)
    return None
