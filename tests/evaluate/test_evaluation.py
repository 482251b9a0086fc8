from __future__ import annotations

import numpy as np
import pytest

from mlobs_client.errors import MissingObservable
from mlobs_client.evaluate.evaluation import Gradient, Restricted, TabulatedEvaluation
from mlobs_client.evaluate.toys import double_well
from mlobs_client.structure import Structure

RANDOM = np.random.default_rng(1)
DIPOLE = (RANDOM.normal(size=(3, 2, 3)), RANDOM.normal(size=(3, 3, 3)))  # [i, I, j], [i, a, b]
ENERGY = (RANDOM.normal(size=(2, 3)), RANDOM.normal(size=(3, 3)))


def evaluation() -> TabulatedEvaluation:
    values = {"energy": np.ones(()), "dipole": np.ones(3), "born_charges": np.ones((2, 3, 3))}
    return TabulatedEvaluation([values], [{"energy": ENERGY, "dipole": DIPOLE}])


def test_pull_back_contracts_the_cotangent_with_the_axes_of_the_observable() -> None:
    weight = np.array([0.3, -2.0, 0.7])
    gradient = evaluation().pull_back([{"dipole": weight}])[0]
    assert gradient.strain is not None
    for atom, axis in np.ndindex(2, 3):
        expected = sum(weight[i] * DIPOLE[0][i, atom, axis] for i in range(3))
        assert gradient.positions[atom, axis] == pytest.approx(expected, rel=1e-13)
    for a, b in np.ndindex(3, 3):
        expected = sum(weight[i] * DIPOLE[1][i, a, b] for i in range(3))
        assert gradient.strain[a, b] == pytest.approx(expected, rel=1e-13)


def test_pull_back_is_linear_in_the_cotangents() -> None:
    weight = np.array([0.3, -2.0, 0.7])
    both = evaluation().pull_back([{"energy": np.array(2.0), "dipole": weight}])[0]
    energy = evaluation().pull_back([{"energy": np.array(2.0)}])[0]
    dipole = evaluation().pull_back([{"dipole": weight}])[0]
    assert both.positions == pytest.approx(energy.positions + dipole.positions, rel=1e-13)
    assert energy.positions == pytest.approx(2.0 * ENERGY[0], rel=1e-15)
    assert energy.strain is not None
    assert dipole.strain is not None
    assert both.strain == pytest.approx(energy.strain + dipole.strain, rel=1e-13)


def test_structures_keep_their_own_cotangents() -> None:
    one = evaluation()
    two = TabulatedEvaluation([*one.values] * 2, [*one.jacobians] * 2)
    first, second = two.pull_back([{"energy": np.array(1.0)}, {"energy": np.array(-3.0)}])
    assert second.positions == pytest.approx(-3.0 * first.positions, rel=1e-15)


def test_an_observable_without_jacobian_cannot_be_pulled_back() -> None:
    with pytest.raises(MissingObservable, match="born_charges has no derivative"):
        evaluation().pull_back([{"born_charges": np.ones((2, 3, 3))}])


def test_nothing_to_differentiate_is_an_error_not_a_zero() -> None:
    with pytest.raises(MissingObservable, match="no cotangent"):
        evaluation().pull_back([{}])


def test_a_sum_of_gradients_has_a_strain_only_if_all_have_one() -> None:
    known = Gradient(ENERGY[0], ENERGY[1])
    unknown = Gradient(ENERGY[0], None)
    assert (known + known).strain == pytest.approx(2.0 * ENERGY[1])
    assert (known + unknown).strain is None
    assert (unknown + known).strain is None
    assert (known + unknown).positions == pytest.approx(2.0 * ENERGY[0])


def test_a_restricted_evaluator_gives_the_rest_unchanged() -> None:
    structure = Structure(np.array([1]), np.array([[0.3, 0.2, 0.1]]), np.eye(3) * 9.0)
    dipole = Restricted(double_well(charge=-2.0), frozenset({"dipole"}))
    assert dipole.provides == {"dipole"}
    value = dipole([structure], dipole.provides).values[0]
    assert set(value) == {"dipole"}
    assert value["dipole"] == pytest.approx(-2.0 * structure.positions[0], rel=1e-15)
