"""The example of the water wire, in its short form."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "water_wire"


def test_one_charge_goes_around_a_wire_in_two_parts(tmp_path: Path) -> None:
    script = runpy.run_path(str(EXAMPLE / "grotthuss.py"))
    found = script["main"](tmp_path, script["make_wire"](3), n_images=3)
    assert found["charge (e), along x, y, z"] == [1, 0, 0]
    assert found["images"] == 1 + 3 * 3 * 2
    # the models are compared with the labels of random branches to rounding
    assert found["hops"] + found["turns"] == pytest.approx(1.0, abs=2e-4)
    assert 0.5 < found["hops"] < 0.8
    assert (tmp_path / "wire.png").exists()


def test_the_numbers_that_are_shown_add_up() -> None:
    expected = json.loads((EXAMPLE / "expected.json").read_text())
    assert expected["charge (e), along x, y, z"] == [1, 0, 0]
    assert expected["hops"] + expected["turns"] == pytest.approx(1.0, abs=2e-4)
