"""Formal charges are a dipole with exact derivatives, alone and beside a toy."""

from __future__ import annotations

import numpy as np
import pytest

from mlobs_client.errors import ConfigError
from mlobs_client.evaluate.evaluation import Evaluator
from mlobs_client.evaluate.formal_charges import FormalCharges, WithFormalCharges
from mlobs_client.evaluate.oxidation import OxidationNumbers, check_single_valued
from mlobs_client.evaluate.toys import ChargedOscillators, HarmonicCrystal
from mlobs_client.structure import Structure
from mlobs_client.testing.conformance import check_evaluator

CELL = np.array([[9.0, 0.2, 0.1], [0.0, 8.0, 0.3], [-0.1, 0.0, 7.0]])
POSITIONS = np.array([[0.3, -0.2, 0.1], [1.5, 1.0, 0.4], [-1.0, 1.2, -0.7]])
STRUCTURE = Structure(np.array([8, 1, 1]), POSITIONS, CELL)
NUMBERS = OxidationNumbers({"O": -2, "H": 1})
SODIUM = OxidationNumbers([1, 0, 0])


def observe(evaluator: Evaluator) -> dict[str, np.ndarray]:
    return dict(evaluator([STRUCTURE], frozenset({"dipole", "born_charges"})).values[0])


def test_the_dipole_is_the_sum_of_charges_times_positions() -> None:
    found = observe(FormalCharges(NUMBERS))
    np.testing.assert_allclose(found["dipole"], POSITIONS[1] + POSITIONS[2] - 2.0 * POSITIONS[0])
    np.testing.assert_array_equal(found["born_charges"][0], -2.0 * np.eye(3))
    check_single_valued(FormalCharges(NUMBERS), STRUCTURE, NUMBERS)


def test_they_are_added_to_the_dipole_of_a_toy() -> None:
    toy = ChargedOscillators(np.zeros((3, 3)), [-2, 1, 1])
    before, after = observe(toy), observe(WithFormalCharges(toy, SODIUM))
    np.testing.assert_allclose(after["dipole"] - before["dipole"], POSITIONS[0], atol=1e-14)
    np.testing.assert_array_equal(after["born_charges"][0] - before["born_charges"][0], np.eye(3))


@pytest.mark.parametrize(
    "evaluator",
    [
        FormalCharges(NUMBERS),
        WithFormalCharges(ChargedOscillators(np.zeros((3, 3)), [-2, 1, 1]), SODIUM),
    ],
)
def test_their_derivatives_are_exact(evaluator: Evaluator) -> None:
    report = check_evaluator(evaluator, STRUCTURE)
    assert report.passed, str(report)


def test_a_toy_without_dipole_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"this toy has no dipole; .*leave out its name"):
        WithFormalCharges(HarmonicCrystal(np.zeros((3, 3)), np.eye(9)), NUMBERS)
