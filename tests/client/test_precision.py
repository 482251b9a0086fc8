"""Two precisions are compared by the forces of the potential alone."""

from __future__ import annotations

import numpy as np
import pytest

from mlobs_client.client.precision import compare
from mlobs_client.evaluate.mace import evaluator as mace
from mlobs_client.evaluate.mace.evaluator import MaceEvaluator
from mlobs_client.units import ANGSTROM, EV


def test_the_difference_is_that_of_the_forces_and_that_of_their_rounding(network, water) -> None:
    structure = water(2, seed=1)
    double, single = (
        MaceEvaluator(mace.potential({"it": network("potential")}, setting=mace.Setting(dtype)))
        for dtype in ("float64", "float32")
    )
    found = compare(double, single, structure)
    forces, rounded = (
        evaluator([structure], frozenset({"energy"})).pull_back([{"energy": np.ones(())}])[0]
        for evaluator in (double, single)
    )
    difference = np.abs(rounded.positions - forces.positions).max()
    assert found.difference == pytest.approx(difference * ANGSTROM / EV)
    assert found.largest_force == pytest.approx(np.abs(forces.positions).max() * ANGSTROM / EV)
    # float32 rounds at 6e-8; networks of this depth lose a factor of ten to a thousand
    assert 1e-8 < found.difference / found.largest_force < 1e-4
