from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from mlobs_client.evaluate.evaluation import Values
from mlobs_client.structure import Structure
from mlobs_client.testing.differences import Differences, differentiate, displace, rounding, sample

CELL = np.array([[9.0, 1.0, 0.5], [-0.7, 8.0, 1.2], [0.3, -1.1, 10.0]])
STRUCTURE = Structure(np.array([1, 2, 3]), np.random.default_rng(1).normal(size=(3, 3)), CELL)


def test_polynomials_of_fourth_degree_are_differentiated_exactly() -> None:
    def function(x: float) -> Values:
        y = x + 0.7
        return {"energy": np.array(y**4), "dipole": np.array([y, y**2, y**3])}

    slope = differentiate(function, 0.1)
    assert slope["energy"] == pytest.approx(4 * 0.7**3, rel=1e-12)
    assert slope["dipole"] == pytest.approx([1.0, 2 * 0.7, 3 * 0.7**2], rel=1e-12)


def test_the_error_falls_with_the_fourth_power_of_the_step() -> None:
    def error(step: float) -> float:
        slope = differentiate(lambda x: {"energy": np.array(np.exp(x))}, step)["energy"]
        return abs(float(slope) - 1.0)

    assert error(0.2) / error(0.1) == pytest.approx(16.0, rel=0.02)


def geometry(structures: Sequence[Structure]) -> list[Values]:
    """The volume, whose derivatives are known, and the second atom itself."""
    return [{"energy": np.array(s.volume), "dipole": s.positions[1]} for s in structures]


def test_axes_of_derivatives_come_last() -> None:
    differences = Differences(geometry, STRUCTURE, np.array([1, 2]), 0.01)
    by_positions = differences.by_positions["dipole"]  # [i, I, j]
    assert by_positions.shape == (3, 2, 3)
    assert by_positions[:, 0, :] == pytest.approx(np.eye(3), abs=1e-11)
    assert by_positions[:, 1, :] == pytest.approx(np.zeros((3, 3)), abs=1e-11)
    assert differences.by_positions["energy"].shape == (2, 3)


def test_strain_moves_atoms_and_cell_alike() -> None:
    by_strain = Differences(geometry, STRUCTURE, np.arange(3), 0.01).by_strain
    # dV/d(strain) = V 1; d(R_i)/d(strain_ab) = R_a delta_ib
    assert by_strain["energy"] == pytest.approx(STRUCTURE.volume * np.eye(3), abs=1e-8)
    for i, a, b in np.ndindex(3, 3, 3):
        expected = STRUCTURE.positions[1, a] * (i == b)
        assert by_strain["dipole"][i, a, b] == pytest.approx(expected, abs=1e-10)


def test_rounding_scales_with_the_value_and_the_inverse_step() -> None:
    assert rounding(np.array([1.0, -1e6]), 0.01) == pytest.approx(1e6 * rounding(np.ones(1), 0.01))
    assert rounding(np.ones(1), 0.001) == pytest.approx(10.0 * rounding(np.ones(1), 0.01))


def test_a_sample_has_no_atom_twice_and_is_never_larger_than_the_structure() -> None:
    assert sample(STRUCTURE, None, 0).tolist() == [0, 1, 2]
    assert sample(STRUCTURE, 5, 0).tolist() == [0, 1, 2]
    drawn = sample(STRUCTURE, 2, 0)
    assert len(set(drawn.tolist())) == 2
    assert np.array_equal(drawn, sample(STRUCTURE, 2, 0))


def test_displacing_one_atom_leaves_the_original_alone() -> None:
    before = STRUCTURE.positions.copy()
    moved = displace(STRUCTURE, 1, np.array([1.0, 2.0, 3.0]))
    assert np.array_equal(STRUCTURE.positions, before)
    assert moved.positions[1] - before[1] == pytest.approx([1.0, 2.0, 3.0])
    assert np.array_equal(moved.positions[[0, 2]], before[[0, 2]])
