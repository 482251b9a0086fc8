"""Parse one frame of an xyz file with a comment of i-PI, or of an extended xyz file.

Source:
    i-PI 3.3.1, ``ipi/utils/io/backends/io_xyz.py`` (cells), ``io_ase.py`` (extended xyz),
    ``ipi/utils/io/__init__.py`` (units in the comment).
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from mlobs_client.errors import RecordError
from mlobs_client.ipi.dimensions import factor
from mlobs_client.ipi.labels import element, numbers_of
from mlobs_client.structure import Array, Integers
from mlobs_client.units import ANGSTROM, DALTON

if TYPE_CHECKING:
    from ase import Atoms

_CELL: Final = re.compile(r"CELL[(\[{](abcABC|H|GENH)[)\]}]:\s*((?:[-+0-9.Ee]+\s+)+)")
_UNIT: Final = re.compile(r"\b(?!CELL\b)(\w+)\{([^}]*)\}")  # CELL{H} is not a unit
_PROPERTIES: Final = re.compile(r'Properties="?([^"\s]+)')


@dataclass(frozen=True)
class Parsed:
    """A frame without step and bead.

    Attributes:
        quantity: "positions", "velocities", "forces", ... as in i-PI's input.
        numbers: shape ``(n_atoms,)``, atomic numbers.
        values: shape ``(n_atoms, 3)``, atomic units.
        cell: shape ``(3, 3)``, bohr, lattice vectors are rows; None without a cell.
        labels: labels of the atoms in the file, such as ``D`` or ``O18``, which imply masses.
        masses: shape ``(n_atoms,)``, electron masses, from a column of extended xyz, or None.
    """

    quantity: str
    numbers: Integers
    values: Array
    cell: Array | None
    labels: tuple[str, ...]
    masses: Array | None = None


def parse_frame(comment: str, lines: list[str], where: str, columns: Sequence[str] = ()) -> Parsed:
    """Parse a frame.

    Args:
        comment: second line of the frame.
        lines: one line for each atom.
        where: file and line, for error messages.
        columns: columns of extended xyz from other programs; the first one that exists is read. Its
            unit is unknown, so it is not converted, and the quantity is "column NAME".

    Raises:
        RecordError: the comment names no unit, a line cannot be read, or a number is not finite.
    """
    try:
        if "Properties=" in comment:
            parsed = _parse_extended(comment, lines, where, columns)
        else:
            parsed = _parse_plain(comment, lines, where)
        if not np.isfinite(parsed.values).all():
            atom, axis = np.argwhere(~np.isfinite(parsed.values))[0]
            raise ValueError(
                f"{parsed.quantity} of atom {atom} have {'xyz'[axis]} = "
                f"{parsed.values[atom, axis]}, which is not finite"
            )
        return parsed
    except ValueError as error:
        raise RecordError(f"{where}: this frame cannot be read: {error}") from error


def quantity_in(comment: str) -> str:
    """Return the quantity of i-PI that a comment names, or an empty text."""
    names = (name for name, _ in _UNIT.findall(comment) if name != "cell")
    return next(names, "")


def _parse_plain(comment: str, lines: list[str], where: str) -> Parsed:
    quantity, unit, cell_unit = _read_units(comment, where)
    labels, values = _read_columns(lines)
    values *= factor(quantity, unit, where)
    cell, rotation = _read_cell(comment)
    if cell is not None:
        cell *= factor("cell", cell_unit, where)
    if rotation is not None:
        values = values @ rotation.T
    return Parsed(quantity, numbers_of(labels), values, cell, labels)


def _read_units(comment: str, where: str) -> tuple[str, str, str]:
    units = dict(_UNIT.findall(comment))
    cell_unit = units.pop("cell", "atomic_unit")
    if not units:
        raise RecordError(
            f"{where}: the comment names no quantity and unit; write for example "
            "'positions{angstrom} cell{angstrom}', as i-PI does"
        )
    quantity, unit = next(iter(units.items()))
    return quantity, unit, cell_unit


def _read_columns(lines: list[str]) -> tuple[tuple[str, ...], Array]:
    fields = "".join(lines).split()
    if len(fields) != 4 * len(lines):  # more columns than i-PI writes
        fields = [field for line in lines for field in line.split()[:4]]
    if len(fields) != 4 * len(lines):
        raise ValueError("each atom needs a species and three numbers")
    labels = tuple(fields[::4])
    del fields[::4]
    return labels, np.fromiter(map(float, fields), float, len(fields)).reshape(-1, 3)


def _read_cell(comment: str) -> tuple[Array | None, Array | None]:
    """Return lattice vectors as rows, and the rotation by which i-PI makes them triangular."""
    match = _CELL.search(comment)
    if match is None:
        return None, None
    from ipi.utils.mathtools import abc2h, genh2abc

    numbers = np.array(match[2].split(), float)
    n_needed = 6 if match[1] == "abcABC" else 9
    if len(numbers) != n_needed:
        raise ValueError(
            f"the cell {match[2].strip()!r} has {len(numbers)} numbers; {match[1]} has {n_needed}"
        )
    if match[1] == "abcABC":
        return abc2h(*numbers[:3], *np.radians(numbers[3:])).T, None
    matrix = numbers.reshape(3, 3)
    if match[1] == "H":  # lattice vectors are columns
        return matrix.T.copy(), None
    triangular = abc2h(*genh2abc(matrix))  # from rows to columns
    return triangular.T, triangular @ np.linalg.inv(matrix).T


def read_atoms(comment: str, lines: list[str]) -> Atoms:
    """Read a frame of extended or plain xyz with ASE, even with labels such as D and O18.

    A ``Lattice`` of zeros without ``pbc`` is that of a molecule.

    Args:
        comment: the second line, with its newline.
        lines: one line for each atom.

    Raises:
        ValueError: a line cannot be read.
    """
    import ase.io

    text = f"{len(lines)}\n{comment}{''.join(_with_elements(comment, lines))}"
    try:
        atoms = ase.io.read(io.StringIO(text), format="extxyz")
    except Exception as error:  # ASE's readers raise anything
        raise ValueError(f"{type(error).__name__}: {error}") from error
    if not atoms.cell.array.any() and "pbc=" not in comment:
        atoms.pbc = False
    return atoms


def _with_elements(comment: str, lines: list[str]) -> list[str]:
    """Replace labels of i-PI by elements, since ASE knows only those."""
    from ase.data import atomic_numbers

    column = _species_column(comment)
    written = []
    for line in lines:
        fields = line.split()
        if column is not None and column < len(fields) and fields[column] not in atomic_numbers:
            fields[column] = element(fields[column])
            written.append(" ".join(fields) + "\n")
        else:
            written.append(line)
    return written


def labels_of(comment: str, lines: list[str]) -> tuple[str, ...]:
    """Return the labels of the atoms of extended or plain xyz; empty if no column has them."""
    column = _species_column(comment)
    return () if column is None else tuple(line.split()[column] for line in lines)


def _species_column(comment: str) -> int | None:
    """Return the column of the labels of the atoms; None if there is none."""
    properties = _PROPERTIES.search(comment)
    words = ("species:S:1" if properties is None else properties[1]).split(":")
    names, counts = words[::3], words[2::3]
    return sum(map(int, counts[: names.index("species")])) if "species" in names else None


def _parse_extended(comment: str, lines: list[str], where: str, columns: Sequence[str]) -> Parsed:
    atoms = read_atoms(comment, lines)
    units = dict(_UNIT.findall(comment))
    units.pop("cell", None)
    length = factor("cell", "ase", where) if units else ANGSTROM
    arrays = dict(atoms.arrays)
    if atoms.calc is not None:  # where ASE puts columns that it knows as results
        arrays.update(atoms.calc.results)
    wanted = list(units) or list(columns) or ["positions"]
    name = next((name for name in wanted if name in arrays), None)
    if name is None:
        vectors = [one for one in arrays if np.shape(arrays[one]) == (len(lines), 3)]
        others = ", ".join(one for one in vectors if one != "positions") or "no other vectors"
        remedy = ": choose one with --key" if columns and len(vectors) > 1 else ""
        raise RecordError(
            f"{where}: the frame has no column {' or '.join(wanted)}; it has {others}{remedy}"
        )
    values = np.asarray(arrays[name], float)
    if units:
        values = values * factor(name, units[name], where)
    elif name == "positions":
        values = values * ANGSTROM
    cell = np.array(atoms.cell) * length if atoms.pbc.any() else None
    numbers = np.asarray(atoms.numbers, dtype=np.int64)
    labels = labels_of(comment, lines) or tuple(atoms.symbols)
    quantity = name if units or name == "positions" else f"column {name}"
    masses = arrays.get("masses")
    if masses is not None:
        masses = np.asarray(masses, float) * DALTON
    return Parsed(quantity, numbers, values, cell, labels, masses)
