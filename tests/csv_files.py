"""Read the numbers that are written beside a figure."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np


def column(path: Path, begin: str) -> np.ndarray:
    """The one column whose name begins so."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    (name,) = [name for name in rows[0] if name.startswith(begin)]
    return np.array([row[name] for row in rows], dtype=float)
