"""Notice that a file was written, from the file system alone and never from the clock.

The clocks of machines and file servers differ, so a file is compared with its own earlier state.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

Stamp = tuple[int, int, int]
"""Inode number, size (bytes) and modification time (ns) of a file."""


def stamp(path: Path) -> Stamp | None:
    """Return the stamp of a file; None if it does not exist.

    Raises:
        OSError: the file cannot be inspected.
    """
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def stamps(paths: Iterable[Path]) -> dict[Path, Stamp]:
    """Return the stamps of the files that exist, for :func:`is_new`."""
    return {path: found for path in paths if (found := stamp(path)) is not None}


def is_new(path: Path, before: Mapping[Path, Stamp]) -> bool:
    """Return whether a file exists and has changed since its earlier stamp.

    Args:
        path: path of the file.
        before: earlier stamps of files.

    Raises:
        OSError: the file cannot be inspected.
    """
    found = stamp(path)
    return found is not None and found != before.get(path)
