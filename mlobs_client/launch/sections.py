"""Divide logs into dated sections, one for each start of a process."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

DATE: Final = "%Y-%m-%d %H:%M:%S%z"
"""Format of all dates in logs: local time, and its difference from UTC."""
TAIL: Final = 1 << 16  # bytes at the end of a log that are looked at
_MARK: Final = "==== "


@dataclass(frozen=True)
class Section:
    """The lines of a log since the last start.

    Attributes:
        title: title of the section; empty if the log has none, or if it is too long ago.
        lines: its lines that are not empty, without the title.
    """

    title: str
    lines: tuple[str, ...]

    @property
    def last_line(self) -> str:
        """The last line; empty if there is none."""
        return self.lines[-1] if self.lines else ""


def now() -> str:
    """Return the date as logs have it."""
    return time.strftime(DATE)


def heading(title: str) -> str:
    """Return the line with which a section starts."""
    return f"{_MARK}{now()} {title}\n"


def split_date(line: str) -> tuple[datetime | None, str]:
    """Split a line into its date and the rest; the date is None if it has none."""
    parts = line.split(" ", 2)
    try:
        return datetime.strptime(" ".join(parts[:2]), DATE), "".join(parts[2:])
    except ValueError:
        return None, line


def read_last_section(path: Path) -> Section:
    """Read the last section from the end of a log.

    Raises:
        OSError: the log cannot be read.
    """
    lines = [line.strip() for line in read_tail(path, TAIL).splitlines() if line.strip()]
    starts = [i for i, line in enumerate(lines) if line.startswith(_MARK)]
    if not starts:
        return Section("", tuple(lines))
    title = split_date(lines[starts[-1]].removeprefix(_MARK))[1]
    return Section(title, tuple(lines[starts[-1] + 1 :]))


def read_tail(path: Path, n_bytes: int, since: int = 0) -> str:
    """Return the end of a file.

    Args:
        path: path of the file.
        n_bytes: the largest number of bytes to read.
        since: offset of the first byte that counts.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as stream:
        end = stream.seek(0, os.SEEK_END)
        stream.seek(max(since, end - n_bytes))
        return stream.read().decode("utf-8", "replace")
