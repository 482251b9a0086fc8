"""What the scripts of tests/long make of their numbers."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

LONG = Path(__file__).parent / "long"


@pytest.fixture
def soak(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.syspath_prepend(str(LONG))
    return runpy.run_path(str(LONG / "soak.py"))


def samples(begin: float, size: float, growth: float, n_files: int) -> np.ndarray:
    """Two minutes of a process whose memory grows by so many MiB in an hour."""
    seconds = begin + np.arange(120.0)
    noise = np.random.default_rng(int(begin)).normal(scale=0.01, size=120)
    return np.column_stack([seconds, size + growth * seconds / 3600.0 + noise, n_files + 0 * noise])


def test_the_growth_of_several_processes_is_found_whatever_their_sizes(soak: dict) -> None:
    tables = [samples(0.0, 80.0, 30.0, 7), samples(500.0, 20.0, 30.0, 7)]
    slope, error = soak["_slope"](tables)
    assert 0.0 < error < 1.0
    assert slope == pytest.approx(30.0, abs=4.0 * error)


def test_files_that_stay_open_are_counted(soak: dict) -> None:
    table = samples(0.0, 80.0, 0.0, 7)
    assert soak["_grown_files"](table) == 0
    table[60:, 2] += 3
    assert soak["_grown_files"](table) == 3


def test_a_row_of_the_fault_table_has_what_happened_and_what_was_lost() -> None:
    tables = runpy.run_path(str(LONG / "tables.py"))
    figure = {"name": "a fault", "value": 1.234, "reference": "it ends; lost: a step", "passed": 0}
    assert tables["_by_fault"]([figure])[1] == "| **a fault** | it ends | 1.2 | a step |\n"
