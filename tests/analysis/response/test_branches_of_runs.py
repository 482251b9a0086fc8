"""Runs whose mean dipoles differ by whole quanta are brought to one branch, others are refused."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import lfilter

from mlobs_client.analysis.response.branches_of_runs import align_runs
from mlobs_client.errors import RecordError

CELL = np.array([[20.0, 0.0, 0.0], [5.0, 18.0, 0.0], [-4.0, 3.0, 22.0]])  # bohr
DECAY = np.exp(-1.0 / 20.0)


def liquid(n_samples: int, seed: int, deviation: float = 7.0) -> np.ndarray:
    """A dipole with correlation time 20 samples that fluctuates by a third of a quantum."""
    noise = np.random.default_rng(seed).normal(size=(n_samples + 400, 3))
    series = lfilter([np.sqrt(1.0 - DECAY**2)], [1.0, -DECAY], noise, axis=0)[400:]
    return deviation * series + [3.0, -40.0, 11.0]


def test_runs_that_differ_by_lattice_vectors_are_put_on_the_branch_of_the_longest() -> None:
    runs = [liquid(8000, 0), liquid(12_000, 1), liquid(8000, 2)]
    moved = [runs[0] + [1, -2, 0] @ CELL, runs[1], runs[2] + [0, 0, 1] @ CELL]
    aligned, away = align_runs(moved, CELL, ["a", "b", "c"])
    assert away.tolist() == [[1, -2, 0], [0, 0, 0], [0, 0, 1]]
    for found, expected in zip(aligned, runs, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-12)  # rounding


def test_runs_on_one_branch_stay_as_they_are_however_short() -> None:
    for n_samples in (4, 60, 8000):
        runs = [liquid(n_samples, seed, deviation=3.0) for seed in (3, 4)]
        aligned, away = align_runs(runs, CELL, ["a", "b"])
        assert not away.any()
        for found, expected in zip(aligned, runs, strict=True):
            np.testing.assert_array_equal(found, expected)


def test_means_between_two_branches_are_refused_with_their_runs() -> None:
    runs = [liquid(8000, 0), liquid(8000, 1) + 0.6 * CELL[2]]
    with pytest.raises(
        RecordError,
        match=r"of b and a differ by 0\.[56]\d ± 0\.0\d quanta .*vector 2\).* one state",
    ):
        align_runs(runs, CELL, ["a", "b"])


def test_means_that_are_too_uncertain_to_tell_two_branches_are_refused() -> None:
    runs = [liquid(60, 0), liquid(60, 1) + CELL[1]]
    with pytest.raises(RecordError, match=r"they are on one branch; run longer"):
        align_runs(runs, CELL, ["a", "b"])
