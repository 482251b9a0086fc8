"""Append observables to a record.

A row whose number was returned has been passed to the operating system. It survives a kill of the
client at any time, and a power cut if it is older than ``SYNC_SECONDS``; rows that a power cut has
damaged are recognized by their checksums. On a full disk, the record keeps all earlier rows and
remains readable.
"""

from __future__ import annotations

import contextlib
import datetime
import itertools
import logging
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from mlobs_client.errors import RecordError
from mlobs_client.locks import lock
from mlobs_client.record.columns import row_type
from mlobs_client.record.header import FORMAT, Attributes, Header, make_header, read_header
from mlobs_client.record.reader import count_intact_rows, seal

logger = logging.getLogger(__name__)

SYNC_SECONDS: Final = 30.0
"""Time after which rows are on the disk, not only in the memory of the operating system."""

Shapes = Mapping[str, tuple[int, ...]]


class _NameTaken(RecordError):
    """Another client is writing this file, or its content is different."""


class RecordWriter:
    """A record that is open for appending, by one process at a time.

    An existing record is continued if it has the same columns and was written with the same
    attributes; an incomplete row at its end is removed.

    Attributes:
        path: path of the file.

    Args:
        path: path of the file to create or to continue.
        shapes: shape of each column for one structure, by its name.
        attributes: origin of the numbers: versions, models with their sha256, the client file. The
            date is added.

    Raises:
        RecordError: another process is writing the file, the file differs (the message says how),
            or it cannot be written.
    """

    def __init__(self, path: Path | str, shapes: Shapes, attributes: Attributes) -> None:
        self.path = path = Path(path)
        self._descriptor = _open_alone(path)
        try:
            self._header = _open_header(self._descriptor, path, row_type(shapes), attributes)
            self._n_rows = count_intact_rows(path, self._header)
            self._truncate()
        except BaseException:
            os.close(self._descriptor)
            raise
        self._synced = time.monotonic()

    def __len__(self) -> int:
        return self._n_rows

    def append(self, structures: Sequence[Mapping[str, npt.ArrayLike]]) -> range:
        """Append one row for each structure.

        Args:
            structures: for each structure, all columns of the record by name, in the shapes of the
                record, Hartree atomic units; other names are ignored.

        Returns:
            The numbers of the new rows.

        Raises:
            RecordError: a column is missing or has another shape, or the disk is full.
        """
        rows = np.zeros(len(structures), self._header.row)
        for row, values in zip(rows, structures, strict=True):
            for name in self._header.row.names[:-1]:  # type: ignore[index]
                row[name] = self._checked(name, values)
        first = self._n_rows
        self._write(seal(rows))
        self._n_rows += len(rows)
        self._count()
        return range(first, self._n_rows)

    def close(self) -> None:
        """Write everything to disk, and unlock the record; remove it if it is empty."""
        if self._n_rows:
            os.fsync(self._descriptor)
        else:
            self.path.unlink(missing_ok=True)
        os.close(self._descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _checked(self, name: str, values: Mapping[str, npt.ArrayLike]) -> npt.NDArray[np.generic]:
        if name not in values:
            raise RecordError(f"{self.path}: needs {name!r} for each structure, but it is missing")
        value, expected = np.asarray(values[name]), self._header.row[name].shape
        if value.shape != expected:
            raise RecordError(
                f"{self.path}: holds {name} with shape {expected}, got {value.shape}; "
                "start a new record for a different number of atoms or models"
            )
        return value

    def _write(self, content: memoryview) -> None:
        at = self._header.data + self._n_rows * self._header.row.itemsize
        try:
            _write_all(self._descriptor, content, at)
        except OSError as error:
            self._truncate()
            raise RecordError(
                f"{self.path}: cannot append row {self._n_rows}: {error.strerror}; the "
                f"{self._n_rows} rows before are safe; free space there, or change record_file"
            ) from error
        if time.monotonic() - self._synced > SYNC_SECONDS:
            os.fdatasync(self._descriptor)
            self._synced = time.monotonic()

    def _truncate(self) -> None:
        os.ftruncate(self._descriptor, self._header.end(self._n_rows))
        self._count()

    def _count(self) -> None:
        for at, value in self._header.count(self._n_rows):
            os.pwrite(self._descriptor, value, at)


def open_next_record(path: Path | str, shapes: Shapes, attributes: Attributes) -> RecordWriter:
    """Open ``path`` for appending, or the first of ``path-1``, ``path-2``, ... that is free.

    A restarted client continues its record. Clients that share a client file write to different
    records, and so does a client with other models. Send the name of :attr:`RecordWriter.path` in
    the extras, together with the row number.

    Args:
        path: the first choice, for example ``observables.h5`` (then ``observables-1.h5``).
        shapes: shape of each column for one structure, by its name.
        attributes: origin of the numbers, see :class:`RecordWriter`.

    Raises:
        RecordError: no record can be written in this folder.
    """
    path = Path(path)
    row_type(shapes)
    if not path.parent.is_dir():
        raise RecordError(f"{path}: the folder does not exist; create it or change record_file")
    for candidate in _candidates(path):
        try:
            writer = RecordWriter(candidate, shapes, attributes)
        except _NameTaken as error:
            logger.info("%s; trying the next name", error)
            continue
        return writer
    raise RecordError(f"{path}: the first thousand names are taken; remove old records")


def _candidates(path: Path) -> Iterator[Path]:
    yield path
    for number in itertools.islice(itertools.count(1), 999):
        yield path.with_stem(f"{path.stem}-{number}")


def _open_alone(path: Path) -> int:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise RecordError(f"{path}: cannot be written: {error.strerror}") from error
    if not lock(descriptor, path):
        os.close(descriptor)
        raise _NameTaken(
            f"{path}: another client is writing it; give each client its own record_file"
        )
    return descriptor


def _open_header(
    descriptor: int, path: Path, row: np.dtype[np.void], attributes: Attributes
) -> Header:
    if os.fstat(descriptor).st_size == 0:
        created = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
        content = make_header(row, {**attributes, "format": FORMAT, "created": created})
        try:
            _write_all(descriptor, memoryview(content), 0)
        except OSError as error:
            with contextlib.suppress(OSError):  # a device, for example
                os.ftruncate(descriptor, 0)
            raise RecordError(f"{path}: cannot be written: {error.strerror}") from error
    try:
        header = read_header(path)
    except RecordError as error:
        raise _NameTaken(str(error)) from error
    _check_same(path, header, row, attributes)
    return header


def _check_same(path: Path, header: Header, row: np.dtype[np.void], attributes: Attributes) -> None:
    if header.row != row:
        raise _NameTaken(
            f"{path}: already exists with the columns {_columns(header.row)}, not "
            f"{_columns(row)}; choose another name or move it away"
        )
    before = {k: v for k, v in header.attributes.items() if k not in ("format", "created")}
    for name in sorted(before.keys() | attributes.keys()):
        if before.get(name) != attributes.get(name):
            raise _NameTaken(
                f"{path}: already exists and was written with another {name!r} "
                f"({before.get(name)!r}, now {attributes.get(name)!r}); choose another name or "
                "move it away"
            )


def _write_all(descriptor: int, content: memoryview, at: int) -> None:
    while content:
        written = os.pwrite(descriptor, content, at)
        content, at = content[written:], at + written


def _columns(row: np.dtype[np.void]) -> str:
    return ", ".join(f"{name}{list(row[name].shape)}" for name in row.names[:-1])  # type: ignore[index]
