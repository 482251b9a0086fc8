"""The example of the ionic crystal, in its short form."""

from __future__ import annotations

import json
import runpy
import shutil
from pathlib import Path

import numpy as np
import pytest

from mlobs_client.units import MICROCOULOMB_PER_CM2, VOLT_PER_ANGSTROM

EXAMPLE = Path(__file__).parents[2] / "examples" / "ionic_crystal"
MINIMUM, BARRIER, CHARGE = 0.45, 0.002, 7.2
VOLUME, LENGTH = 7.4 * 7.4 * 7.8, float(np.linalg.norm([0.2, -0.3, 7.8]))


def test_the_branch_is_followed_through_the_jump_and_along_a_run(tmp_path: Path) -> None:
    folder = shutil.copytree(EXAMPLE, tmp_path / "crystal")
    text = (folder / "input.xml").read_text()
    (folder / "input.xml").write_text(text.replace("<total_steps> 2000", "<total_steps> 600"))
    script = runpy.run_path(str(folder / "hysteresis.py"))
    found = script["main"](folder, n_fields=9)
    two_states = 2.0 * MINIMUM * CHARGE / VOLUME / MICROCOULOMB_PER_CM2
    quantum = LENGTH / VOLUME / MICROCOULOMB_PER_CM2
    # four digits are given
    assert found["difference of the two states (uC/cm^2)"] == pytest.approx(two_states, abs=2e-4)
    assert found["of their labels"] == pytest.approx(two_states - quantum, abs=2e-4)
    coercive = 8.0 * BARRIER / (3.0 * np.sqrt(3.0) * MINIMUM * CHARGE) / VOLT_PER_ANGSTROM
    assert abs(found["turns at (V/angstrom)"] - coercive) < 0.5 * 0.02
    # the other state, in a field and at 100 K
    assert 0.6 < found["at the end, unwrapped positions (quanta)"] < 1.4
    turned = found["at the end, unwrapped positions (quanta)"]
    assert found["at the end, folded (quanta)"] == pytest.approx(turned - 1.0, abs=2e-4)
    assert (folder / "turn.png").stat().st_size > 0


def test_the_numbers_that_are_shown_are_those_of_the_model() -> None:
    expected = json.loads((EXAMPLE / "expected.json").read_text())
    two_states = 2.0 * MINIMUM * CHARGE / VOLUME / MICROCOULOMB_PER_CM2
    assert expected["difference of the two states (uC/cm^2)"] == pytest.approx(two_states, abs=1e-3)
