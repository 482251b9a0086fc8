"""Wrapped dipoles are unwrapped up to a quantum; what may be a jump or motion is refused."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlobs_client.analysis import average_beads, unwrap_dipole
from mlobs_client.errors import RecordError

Array = npt.NDArray[np.float64]
CELL = np.array([[9.0, 0.4, -1.1], [2.3, 8.0, 0.7], [-0.6, 1.9, 11.0]])


def wrap(dipoles: Array) -> Array:
    return np.asarray((np.linalg.solve(CELL.T, dipoles.T).T % 1.0) @ CELL)


@given(seed=st.integers(0, 2**32 - 1))
def test_unwrapping_undoes_wrapping_up_to_one_quantum_vector(seed: int) -> None:
    rng = np.random.default_rng(seed)
    # steps below LARGEST_STEP quanta
    continuous = np.cumsum(rng.uniform(-0.24, 0.24, (300, 3)), axis=0) @ CELL
    unwrapped = unwrap_dipole(wrap(continuous), CELL)
    quanta = np.linalg.solve(CELL.T, (unwrapped - continuous).T).T
    np.testing.assert_allclose(quanta, np.tile(np.rint(quanta[0]), (300, 1)), atol=1e-9)
    np.testing.assert_allclose(unwrapped[0], wrap(continuous)[0], atol=1e-12)


def test_a_step_that_may_be_a_jump_or_motion_is_refused() -> None:
    dipoles = np.array([[0.0, 0.1, 0.6]]).T * CELL[1]
    with pytest.raises(RecordError, match=r"0.50 quanta \(e x lattice vector 1\) .* more often"):
        unwrap_dipole(dipoles, CELL)


def test_beads_on_different_branches_are_averaged_on_that_of_the_first() -> None:
    rng = np.random.default_rng(1)
    centroid = rng.normal(0, 3, (50, 3))
    offsets = rng.uniform(-0.1, 0.1, (4, 50, 3)) @ CELL
    beads = centroid + offsets - offsets.mean(axis=0)
    jumps = rng.integers(-2, 3, (4, 50, 3))
    jumps[0] = 0
    np.testing.assert_allclose(average_beads(beads + jumps @ CELL, CELL), centroid, atol=1e-12)
    np.testing.assert_allclose(average_beads(beads), centroid, atol=1e-12)
