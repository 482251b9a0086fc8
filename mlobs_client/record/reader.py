"""Read a record, even one that is truncated or still being written.

A row is returned only if its checksum is right; a damaged row is refused, and the error gives its
number.
"""

from __future__ import annotations

import logging
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mlobs_client.errors import RecordError
from mlobs_client.record.columns import CHECKSUM, column
from mlobs_client.record.header import Header, read_header
from mlobs_client.structure import Integers

logger = logging.getLogger(__name__)

MOST_NAMED = 5
"""Largest number of damaged rows in a message; a bad disk can damage thousands."""


class Record:
    """The rows of one record; they stay in the file until they are read.

    Attributes:
        path: path of the file.
        attributes: origin of its numbers: date, versions, models and client file.
        shapes: shape of one row of each column.
        units: Hartree atomic unit of each column.
    """

    def __init__(self, path: Path | str, header: Header, n_rows: int) -> None:
        self.path = Path(path)
        self.attributes = header.attributes
        self._rows = _map_rows(self.path, header, n_rows)
        self._is_verified = np.zeros(n_rows, dtype=bool)
        self.shapes: Mapping[str, tuple[int, ...]] = {
            name: header.row[name].shape for name in self.names
        }
        self.units: Mapping[str, str] = {name: column(name).unit for name in self.names}

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for name in self._rows.dtype.names or () if name != CHECKSUM)

    def __len__(self) -> int:
        return len(self._rows)

    def read(self, name: str, rows: npt.ArrayLike | None = None) -> npt.NDArray[Any]:
        """Read one column.

        Args:
            name: one of ``names``.
            rows: row numbers, in any order and shape; all rows by default.

        Returns:
            Shape ``(*rows.shape, *shapes[name])``, in ``units[name]``.

        Raises:
            RecordError: the record has no such column or no such row, or a row is damaged.
        """
        if name not in self.names:
            raise RecordError(f"{self.path}: has no {name!r}; it has {', '.join(self.names)}")
        if rows is None:
            self._verify(np.arange(len(self)))
            return np.array(self._rows[name])
        wanted = np.asarray(rows, dtype=np.int64)
        outside = wanted[(wanted < 0) | (wanted >= len(self))]
        if outside.size:
            raise RecordError(
                f"{self.path}: has no row {outside.flat[0]}; it has {len(self)} rows, from 0"
            )
        self._verify(wanted)
        return np.asarray(self._rows[name][wanted])

    def find_corrupt_rows(self) -> list[int]:
        """Return the rows whose checksum is wrong, as after a power cut or on a bad disk."""
        return [i for i, row in enumerate(self._rows) if not _is_intact(row)]

    def _verify(self, rows: Integers) -> None:
        """Check the checksum of each of these rows that was not checked before."""
        new = np.unique(rows[~self._is_verified[rows]])
        damaged = [int(i) for i in new if not _is_intact(self._rows[i])]
        if damaged:
            named = ", ".join(map(str, damaged[:MOST_NAMED]))
            more = f" and {len(damaged) - MOST_NAMED} more" if len(damaged) > MOST_NAMED else ""
            raise RecordError(
                f"{self.path}: damaged rows, with wrong checksums, as after a power cut or on a "
                f"bad disk: {named}{more} of {len(self)}; put back a copy of the file, or read "
                "the rows that find_corrupt_rows() does not name"
            )
        self._is_verified[new] = True


def open_record(path: Path | str) -> Record:
    """Open a record for reading, even while a client is still writing it.

    Rows at the end of the file that are truncated or incomplete are left out, with a warning.

    Args:
        path: path of the record.

    Raises:
        RecordError: the file is not a record, or it is truncated before its first row.
    """
    path = Path(path)
    header = read_header(path)
    return Record(path, header, count_intact_rows(path, header))


def count_intact_rows(path: Path, header: Header) -> int:
    """Return the number of rows without the incomplete ones at the end.

    Args:
        path: path of the record.
        header: its header.
    """
    n_whole = max(0, path.stat().st_size - header.data) // header.row.itemsize
    rows = _map_rows(path, header, n_whole)
    n_rows = n_whole
    while n_rows and not _is_intact(rows[n_rows - 1]):
        n_rows -= 1
    begins_with_zeros = n_whole == 1 and not rows[0].tobytes().strip(b"\0")
    if n_rows < n_whole and not begins_with_zeros:
        logger.warning(
            "%s: the last %d rows are incomplete (their checksums are wrong) and are left out; "
            "%d remain",
            path,
            n_whole - n_rows,
            n_rows,
        )
    return n_rows


def seal(rows: npt.NDArray[np.void]) -> memoryview:
    """Set the checksum of each row, and return the bytes of the rows without a copy.

    Args:
        rows: shape ``(n_rows,)``, rows of the type of the record.
    """
    content = rows.view(np.uint8).reshape(len(rows), rows.itemsize)
    for row, one in zip(rows, content, strict=True):
        row[CHECKSUM] = zlib.crc32(one[:-8].data)
    return content.reshape(-1).data


def _is_intact(row: np.void) -> bool:
    return zlib.crc32(row.tobytes()[:-8]) == int(row[CHECKSUM])


def _map_rows(path: Path, header: Header, n_rows: int) -> npt.NDArray[np.void]:
    if n_rows == 0:
        return np.empty(0, header.row)
    return np.memmap(path, header.row, "r", header.data, (n_rows,))
