"""Append to an HDF5 file without the HDF5 library.

A record has the simplest layout of HDF5, one contiguous dataset at the end of the file. A row is
appended by writing its bytes at the end, and then increasing three counters in the header, each of
which may be too small without harm:

- the end of the file, in the superblock,
- the size of the data in bytes, in the layout message,
- the number of rows, in the dataspace message.

The file is a valid HDF5 file at any time.

The methods of h5py itself (tested with 3.16, HDF5 2.0) lose rows. If a chunked dataset grows by
``resize`` and ``flush``, or is opened again for each row, a row takes five writes; a kill after one
of the five leaves a file that HDF5 refuses ("addr overflow"), and so does any truncation. With
``libver="latest"``, a killed writer leaves the file marked as open, and it is refused until
``h5clear`` has been run. With ``swmr``, no row is lost, but the file can only be opened with
``swmr=True`` while it grows and after a kill, and cannot be continued without ``h5clear``.
``track_order`` and file locking do not change this. A dataset of fixed size would need the number
of rows in advance, and ``external`` storage a second file.

Source:
    HDF5 File Format Specification 3.0: superblock version 0 (II.A), object header version 1
    (IV.A.1.a), dataspace message version 1 (IV.A.2.b), layout message version 3 (IV.A.2.i),
    continuation message (IV.A.2.q).
"""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import h5py
import numpy as np

from mlobs_client.errors import RecordError
from mlobs_client.record.columns import CHECKSUM, column

DATASET: Final = "observables"
FORMAT: Final = "mlobs record 1"
LARGEST_HEADER: Final = 1 << 20

Attributes = Mapping[str, "str | float | list[int]"]

_ALIGNMENT: Final = 512
_SIGNATURE: Final = b"\x89HDF\r\n\x1a\n"
_END_OF_FILE: Final = 40  # position in the superblock
_DATASPACE, _LAYOUT, _CONTINUATION = 0x01, 0x08, 0x10


@dataclass(frozen=True)
class Header:
    """The content of the header of a record.

    Attributes:
        row: type of a row, with the checksum as its last column.
        data: position of the first row in the file, bytes.
        attributes: attributes of the record.
        counters: positions of three numbers in the file, bytes: the length of the file, the size
            of the data and the number of rows.
    """

    row: np.dtype[np.void]
    data: int
    attributes: Attributes
    counters: tuple[int, int, int]

    def end(self, n_rows: int) -> int:
        """Return the length of a file with ``n_rows`` rows, bytes.

        HDF5 refuses data without rows, so a record starts with one row of zeros. This row has
        a wrong checksum, so it is not counted.
        """
        return self.data + max(n_rows, 1) * self.row.itemsize

    def count(self, n_rows: int) -> list[tuple[int, bytes]]:
        """Return the positions and new bytes of the counters for ``n_rows`` rows (at least one)."""
        n_rows = max(n_rows, 1)
        size = self.end(n_rows) - self.data
        values = (
            struct.pack("<Q", self.data + size),
            struct.pack("<Q", size),
            struct.pack("<QQ", n_rows, n_rows),  # current and maximum number
        )
        return list(zip(self.counters, values, strict=True))


def make_header(row: np.dtype[np.void], attributes: Attributes) -> bytes:
    """Return the header of a record; the first row must follow it directly.

    Only then is the file valid HDF5.

    Args:
        row: type of a row, with the checksum as its last column.
        attributes: attributes of the record.

    Raises:
        RecordError: the attributes are too long.
    """
    buffer = io.BytesIO()
    try:
        with h5py.File(buffer, "w", libver=("earliest", "v110")) as file:
            _describe(file, row, attributes)
    except (OSError, RuntimeError, ValueError) as error:
        raise RecordError(f"HDF5 does not accept the attributes of the record: {error}") from error
    content = bytearray(buffer.getvalue())
    content += bytes(-len(content) % _ALIGNMENT)
    if len(content) > LARGEST_HEADER:
        raise RecordError(
            f"the attributes of the record have {len(content)} bytes, but at most {LARGEST_HEADER} "
            "are possible; give shorter ones"
        )
    counters = _find_counters(bytes(content))
    struct.pack_into("<Q", content, counters[1] - 8, len(content))  # address, in front of the size
    for at, value in Header(row, len(content), {}, counters).count(0):
        content[at : at + len(value)] = value
    return bytes(content)


def read_header(path: Path) -> Header:
    """Read the header of a record; the end of the file may be damaged.

    Args:
        path: path of the record.

    Raises:
        RecordError: the file is not a record, or it is truncated within its header.
    """
    try:
        with path.open("rb") as file:
            head = bytearray(file.read(LARGEST_HEADER))
    except OSError as error:
        raise RecordError(f"{path}: cannot be read: {error.strerror}") from error
    if not head.startswith(_SIGNATURE) or len(head) < _END_OF_FILE + 8:
        raise RecordError(f"{path}: not a record of mlobs, or truncated before its first row")
    try:
        with h5py.File(_Endless(head), "r") as file:
            dataset = file[DATASET]
            attributes = {name: _plain(value) for name, value in file.attrs.items()}
            row, data = dataset.dtype, dataset.id.get_offset()
        if attributes["format"] != FORMAT:
            raise RecordError(
                f"{path}: has the format {attributes['format']!r}; this version of mlobs reads "
                f"{FORMAT!r}"
            )
        return Header(row, data, attributes, _find_counters(bytes(head)))
    except (OSError, KeyError, RuntimeError, struct.error) as error:
        raise RecordError(
            f"{path}: not a record of mlobs, or truncated before its first row ({error})"
        ) from error


def _describe(file: h5py.File, row: np.dtype[np.void], attributes: Attributes) -> None:
    for name, value in attributes.items():
        file.attrs[name] = value
    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plan.set_layout(h5py.h5d.CONTIGUOUS)
    plan.set_alloc_time(h5py.h5d.ALLOC_TIME_LATE)  # nothing but the header is in the file
    plan.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    kind = h5py.h5t.py_create(row, logical=True)
    space = h5py.h5s.create_simple((1,))
    dataset = h5py.Dataset(h5py.h5d.create(file.id, DATASET.encode(), kind, space, dcpl=plan))
    for name in row.names or ():
        if name != CHECKSUM:
            dataset.attrs[f"{name}.unit"] = column(name).unit
            dataset.attrs[f"{name}.meaning"] = column(name).meaning


class _Endless(io.BytesIO):
    """The start of a file, shown as a longer one: HDF5 refuses a file that has become shorter."""

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return super().seek(1 << 60) if whence == os.SEEK_END else super().seek(offset, whence)


def _find_counters(head: bytes) -> tuple[int, int, int]:
    with h5py.File(_Endless(head), "r") as file:
        address = h5py.h5o.get_info(file[DATASET].id).addr
    version, _, _, _, size = struct.unpack_from("<BBHII", head, address)
    if (head[8], version) != (0, 1):
        raise RecordError(
            f"this HDF5 library wrote superblock {head[8]} and object header {version}, but "
            f"mlobs knows only 0 and 1; install the h5py that setup.cfg asks for, 3.12 to 3.16"
        )
    messages = dict(_messages(head, address + 16, size))
    dataspace, layout = messages[_DATASPACE], messages[_LAYOUT]
    known = (head[dataspace], head[dataspace + 2] & 1, head[layout], head[layout + 1])
    if known != (1, 1, 3, 1):  # version, with maximum; version, contiguous
        raise RecordError(f"the layout {known} of this HDF5 file is not that of a record")
    return _END_OF_FILE, layout + 10, dataspace + 8


def _messages(head: bytes, start: int, size: int) -> Iterator[tuple[int, int]]:
    """Yield type and position of each message of an object header."""
    at, end = start, start + size
    while at < end:
        kind, length = struct.unpack_from("<HH", head, at)
        at += 8
        if kind == _CONTINUATION:
            yield from _messages(head, *struct.unpack_from("<QQ", head, at))
        else:
            yield kind, at
        at += length


def _plain(value: object) -> str | float | list[int]:
    if isinstance(value, str):
        return value
    return float(value) if isinstance(value, float) else [int(v) for v in np.asarray(value)]
