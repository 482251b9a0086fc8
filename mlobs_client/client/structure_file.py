"""Read one structure from a file, as i-PI would read it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mlobs_client.client.config import ClientConfig
from mlobs_client.errors import ConfigError, EvaluationError
from mlobs_client.ipi.structure_formats import XYZ, Periodicity, head, is_of_ipi, read_content
from mlobs_client.structure import Array, Integers, Structure
from mlobs_client.units import ANGSTROM


@dataclass(frozen=True)
class StructureFile:
    """The content of a structure file.

    Attributes:
        structure: the structure, atomic units; periodic if the file has a cell and does not say
            otherwise.
        fixed: shape ``(n,)``, sorted; indices ``3 I + i`` of coordinates that ASE would not move.
        constraints: names of ASE's other constraints.
    """

    structure: Structure
    fixed: Integers
    constraints: tuple[str, ...] = ()


def read_structure(config: ClientConfig, folder: Path) -> Structure:
    """Read the structure of a client file.

    Args:
        config: the client file.
        folder: folder of the client file.

    Raises:
        ConfigError: the file is missing or unreadable.
        EvaluationError: its positions or its cell are impossible.
    """
    return read_structure_file(folder / config.structure, config.pbc).structure


def read_structure_file(path: Path, pbc: Periodicity | None = None) -> StructureFile:
    """Read the first structure of a file.

    Args:
        path: path of an xyz file, a checkpoint of i-PI, a PDB file, or any other file that ASE
            reads.
        pbc: periodicity along each lattice vector; None takes it from the file.

    Raises:
        ConfigError: the file is missing or unreadable.
        EvaluationError: its positions or its cell are impossible.
    """
    if not path.is_file():
        what = "is a folder, not a file" if path.exists() else "does not exist"
        raise ConfigError(f"structure: {path} {what}; name the file with the atoms")
    content = read_content(path)
    periodic = pbc or content.pbc
    if all(periodic) and abs(np.linalg.det(content.cell)) < 1e-6:
        raise EvaluationError(
            f"{path}: pbc is {list(periodic)}, but the cell {content.cell.tolist()} bohr has no "
            f"volume; {_how_to_write_cell(path)}"
        )
    try:
        structure = Structure(content.numbers, content.positions, content.cell, periodic)
    except EvaluationError as error:
        raise EvaluationError(f"{path}: {error}") from error
    fixed, others = split_constraints(content.constraints)
    return StructureFile(structure, fixed, others)


def how_to_make_periodic(
    config: ClientConfig, folder: Path, structure: Structure, cell: Array | None = None
) -> str:
    """Return the change that makes the structure of a client file periodic, for a message.

    Args:
        config: the client file.
        folder: folder of the client file.
        structure: the structure of the client file, as it is now.
        cell: cell of i-PI, shape ``(3, 3)``, bohr, lattice vectors are rows; None if not known.
    """
    said = "write pbc = [true, true, true] at the top of the client file"
    if structure.volume > 0.0:
        return said
    written = _how_to_write_cell(folder / config.structure, cell)
    return written if config.pbc is None else f"{said}, and {written}"


def _how_to_write_cell(path: Path, cell: Array | None = None) -> str:
    """Return the change that gives a structure file a cell, for a message.

    Args:
        path: path of the file.
        cell: shape ``(3, 3)``, bohr, lattice vectors are rows; None if it is not known.
    """
    if path.suffix not in XYZ:
        return (
            "write the lattice vectors into the structure file, or name one that has a cell, such "
            "as a RESTART"
        )
    _, comment = head(path)
    if is_of_ipi(comment):
        text = f"CELL{{H}}: {_numbers(cell, columns=True)} cell{{angstrom}}"
    else:
        text = f'Lattice="{_numbers(cell)}" pbc="T T T"'
    return f"write the lattice vectors into the second line of {path.name}, in angstrom: {text}"


def _numbers(cell: Array | None, *, columns: bool = False) -> str:
    if cell is None:
        return "ax bx cx ay by cy az bz cz" if columns else "ax ay az bx by bz cx cy cz"
    matrix = cell.T if columns else cell
    return " ".join(f"{number:.8g}" for number in (matrix / ANGSTROM).ravel())


def split_constraints(constraints: Sequence[Any]) -> tuple[Integers, tuple[str, ...]]:
    """Return the fixed coordinates ``3 I + i``, sorted, and the names of other constraints."""
    fixed: set[int] = set()
    others = []
    for constraint in constraints:
        name = type(constraint).__name__
        if name not in ("FixAtoms", "FixCartesian"):
            others.append(name)
            continue
        mask = np.broadcast_to(getattr(constraint, "mask", True), (len(constraint.index), 3))
        for atom, axes in zip(constraint.index, mask, strict=True):
            fixed.update(3 * int(atom) + int(axis) for axis in np.flatnonzero(axes))
    return np.array(sorted(fixed), dtype=np.int64), tuple(others)
