"""Read the numbers that are written beside a figure."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np


def read_csv(path: Path) -> list[dict[str, str]]:
    """Rows, by the names of the columns."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def column(path: Path, begin: str) -> np.ndarray:
    """The one column whose name begins so."""
    rows = read_csv(path)
    (name,) = [name for name in rows[0] if name.startswith(begin)]
    return np.array([row[name] for row in rows], dtype=float)
