"""Whether a file has been written since: by what the file system says of it, never by our clock.

Clocks of machines and of file servers differ, and are set; a file is compared with itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

Stamp = tuple[int, int, int]
"""What changes with a file: its number, its size (bytes), and when it was written (ns)."""


def stamp(path: Path) -> Stamp | None:
    """Return the stamp of a file; None if it is not there.

    Raises:
        OSError: the file system does not tell.
    """
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def stamps(paths: Iterable[Path]) -> dict[Path, Stamp]:
    """Return the stamps of those files that are there, for :func:`is_new`."""
    return {path: found for path in paths if (found := stamp(path)) is not None}


def is_new(path: Path, before: Mapping[Path, Stamp]) -> bool:
    """Return whether a file is there, and is not as it was before.

    Args:
        path: of the file.
        before: stamps of files at that time.

    Raises:
        OSError: the file system does not tell.
    """
    found = stamp(path)
    return found is not None and found != before.get(path)
