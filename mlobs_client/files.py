"""Files that are written whole, or the one before stays: JSON, and tables as CSV."""

from __future__ import annotations

import contextlib
import csv
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mlobs_client.errors import ModelError


def write_json(path: Path, content: Mapping[str, Any], mode: int = 0o666) -> None:
    """Write a file, or replace it, at once.

    Args:
        path: of the file.
        content: of the table.
        mode: who may read and write it, less what the umask forbids.

    Raises:
        ModelError: it cannot be written.
    """
    write_whole(path, (json.dumps(content, indent=1) + "\n").encode(), mode)


def write_whole(path: Path, content: bytes, mode: int = 0o666) -> None:
    """The same for any content.

    Raises:
        ModelError: it cannot be written.
    """
    unfinished = path.with_name(f"{path.name}.partial")
    try:
        if mode != 0o666:  # one that was left behind may be anybody's
            unfinished.unlink(missing_ok=True)
            unfinished.touch(mode, exist_ok=False)
        unfinished.write_bytes(content)
        unfinished.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):  # room for others
            unfinished.unlink()
        raise ModelError(
            f"{path}: cannot be written: {error.strerror}; mend that and give the same line again, "
            "which goes on from what is there"
        ) from error


def read_json(
    path: Path, remedy: str = "put it back, or train into another folder"
) -> dict[str, Any]:
    """Read what :func:`write_json` has written.

    Args:
        path: of the file.
        remedy: what to do about one that is damaged.

    Raises:
        ModelError: it is damaged, or cannot be read.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise ValueError("it is no table")
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{path}: cannot be read ({error}); {remedy}") from error
    return content


def write_csv(path: Path, columns: Mapping[str, Sequence[str | float | None]]) -> None:
    """Write a table, or replace it, at once: a header line, and nothing for what is not known.

    Args:
        path: of the file.
        columns: by their headers, all of one length; None and NaN are not known.

    Raises:
        OSError: it cannot be written.
    """
    unfinished = path.with_name(f"{path.name}.partial")
    try:
        with unfinished.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(columns)
            writer.writerows(map(_cell, row) for row in zip(*columns.values(), strict=True))
        unfinished.replace(path)
    finally:
        with contextlib.suppress(OSError):  # of a full disk: room for others
            unfinished.unlink()


def _cell(value: str | float | None) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, int):
        return str(value)
    return "" if math.isnan(value) else f"{value:.10g}"
