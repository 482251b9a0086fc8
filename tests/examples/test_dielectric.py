"""The example of the dielectric function, in its short form."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import pytest

from mlobs_client.results import Result

EXAMPLE = Path(__file__).parents[2] / "examples" / "dielectric"


def test_runs_at_rest_in_a_field_and_after_it_become_a_dielectric_function(tmp_path: Path) -> None:
    script = runpy.run_path(str(EXAMPLE / "respond.py"))
    script["main"](tmp_path / "short", n_steps=8000, n_starts=1, resolution=400, least=40)
    found = Result.read(tmp_path / "short" / "dielectric.json")
    assert {one.label for one in found.curves} == {"fluctuations", "relaxation"}
    averages = Result.read(tmp_path / "short" / "reweighted.json").points
    # an eighth of the run; fields of 0.05 and 0.2 V/angstrom are too far away
    assert averages[1].x.tolist() == [0.025]


def test_what_was_found_agrees_with_what_is_exact() -> None:
    expected = json.loads((EXAMPLE / "expected.json").read_text())
    exact = expected.pop("exact")
    for value, error in expected.values():
        assert value == pytest.approx(exact, abs=3.5 * error)
