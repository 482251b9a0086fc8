"""The columns that a record can have: all observables, and the place of a row in a trajectory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from mlobs_client.errors import RecordError
from mlobs_client.quantities import QUANTITIES

CHECKSUM: Final = "checksum"
"""Last column of every row: CRC-32 of the bytes before it."""


@dataclass(frozen=True)
class Column:
    """One named column of a record.

    Attributes:
        dtype: type of its numbers in the file, little-endian.
        unit: Hartree atomic unit, written out; empty for numbers without a unit.
        meaning: its definition, with sign and order of indices.
    """

    dtype: str
    unit: str
    meaning: str


OTHER_COLUMNS: Final[dict[str, Column]] = {
    "cell": Column("<f8", "bohr", "lattice vectors are rows"),
    "step": Column("<i8", "", "step of i-PI"),
    "bead": Column("<i8", "", "bead of the ring polymer"),
    "structure_checksum": Column("<i8", "", "CRC-32 of the observed species, positions and cell"),
}
"""Columns that are not observables."""


def column(name: str) -> Column:
    """Return the type, unit and meaning of a column.

    Args:
        name: its name.

    Raises:
        RecordError: there is no such column.
    """
    if name in QUANTITIES:
        return Column("<f8", QUANTITIES[name].unit, QUANTITIES[name].meaning)
    if name not in OTHER_COLUMNS:
        known = ", ".join((*QUANTITIES, *OTHER_COLUMNS))
        raise RecordError(f"a record cannot hold {name!r}; use one of {known}")
    return OTHER_COLUMNS[name]


def row_type(shapes: Mapping[str, tuple[int, ...]]) -> np.dtype[np.void]:
    """Return the type of one row: the columns in the given order, then the checksum.

    Args:
        shapes: shape of each column by its name, the same for all rows of a record.

    Raises:
        RecordError: there is no column of that name, or no name is given.
    """
    if not shapes:
        raise RecordError("a record needs at least one observable; name it in [observables] record")
    fields = [(name, column(name).dtype, tuple(shape)) for name, shape in shapes.items()]
    return np.dtype([*fields, (CHECKSUM, "<u8")])  # 8 bytes for 4: keeps the rows aligned
