"""Tables as CSV: one header line with names and units, an empty cell for what is not known."""

from __future__ import annotations

import contextlib
import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path


def write_csv(path: Path, columns: Mapping[str, Sequence[str | float | None]]) -> None:
    """Write a file, or replace it, at once.

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
