"""What the scripts of tests/long make of their numbers."""

from __future__ import annotations

import importlib
import runpy
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mlobs_client.results import Curve
from mlobs_client.units import ANGSTROM

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


@pytest.fixture
def infrared(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(LONG))
    monkeypatch.delitem(sys.modules, "infrared", raising=False)
    return importlib.import_module("infrared")


def bands_at(libration: float, bend: float, stretch: float) -> Curve:
    """A spectrum with symmetric bands, equal in all blocks but for a factor."""
    x = np.arange(1.0, 4500.0, 5.0)
    y = sum(
        height * np.exp(-0.5 * ((x - middle) / width) ** 2)
        for middle, width, height in ((libration, 90, 4), (bend, 40, 3), (stretch, 120, 17))
    )
    return Curve("absorption", "cm^-1", "wavenumber", "cm^-1", x, np.outer([0.9, 1.0, 1.1], y))


def test_bands_of_water_are_where_they_are_and_quantum_nuclei_shift_the_stretch(
    infrared: ModuleType,
) -> None:
    classical, quantum = bands_at(620.0, 1640.0, 3470.0), bands_at(640.0, 1600.0, 3300.0)
    found = {one.name: one for one in infrared.bands({"one": classical, "other": quantum})}
    # the parabola is one in the logarithm of x: the widest band moves by a few cm^-1
    assert found["bend, one"].value == pytest.approx(1640.0, abs=2.0)
    assert found["libration, other"].value == pytest.approx(640.0, abs=15.0)
    shift = found["stretch, quantum - classical"]
    assert shift.value == pytest.approx(-170.0, abs=2.0)
    assert shift.passed
    (*_, other) = infrared.bands({"one": quantum, "other": classical})
    assert not other.passed


def test_a_run_of_water_goes_on_from_its_restart(
    infrared: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    called = []

    def mlobs(words: list[str], folder: Path) -> None:
        called.append(words)
        if words[0] == "init":
            (folder / "melt").mkdir()
            (folder / "melt" / "client.toml").write_text('kind = "mace"\nextras = ["dipole"]\n')
            (folder / "melt" / "input.xml").write_text("<total_steps> 40000 </total_steps>")

    monkeypatch.setattr(infrared, "mlobs", mlobs)
    short = replace(infrared.EQUILIBRATION, name="melt", length=0.5)
    infrared.simulate(short, tmp_path / "lattice.xyz", tmp_path)
    assert "<total_steps> 1000 <" in (tmp_path / "melt" / "input.xml").read_text()
    assert 'dtype = "float32"' in (tmp_path / "melt" / "client.toml").read_text()
    (tmp_path / "melt" / "RESTART").write_text(
        "<simulation><step>1000</step><total_steps>1000</total_steps></simulation>"
    )
    infrared.simulate(short, tmp_path / "lattice.xyz", tmp_path)  # is done
    infrared.simulate(replace(short, length=1.0), tmp_path / "lattice.xyz", tmp_path)
    assert [words[0] for words in called] == ["init", "run", "run"]
    assert "--steps" not in called[1]
    assert called[2][-3:] == ["--resume", "--steps", "2000"]


def test_a_molecule_that_has_come_apart_is_seen_in_any_bead(infrared: ModuleType) -> None:
    water = np.array([[0.0, 0.0, 0.0], [0.96, 0.0, 0.0], [-0.24, 0.93, 0.0]])
    values = np.tile(water, (2, 3, 4, 1)).reshape(2, 3, 12, 3) * ANGSTROM
    runs = SimpleNamespace(positions=lambda: [SimpleNamespace(values=values, steps=[2000, 6000])])
    length, longest = infrared.describe("whole", runs)
    assert longest.passed
    assert length.value == 2.0
    values[1, 2, 10, 0] = 1.7 * ANGSTROM
    _, longest = infrared.describe("broken", runs)
    assert longest.value == pytest.approx(1.7)
    assert not longest.passed
