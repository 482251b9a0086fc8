"""The mean volume of several runs, and when they have none in common."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from mlobs_client.analysis.volume import common_volume
from mlobs_client.errors import RecordError


def cells(mean: float, width: float, seed: int, n: int = 400) -> np.ndarray:
    lengths = mean + width * np.random.default_rng(seed).normal(size=n)
    return lengths[:, None, None] * np.eye(3)


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2)])
def test_the_volume_of_a_triclinic_cell_is_positive_for_both_hands(order: tuple[int, ...]) -> None:
    # below the diagonal: 2 x 3 x 4, whatever the angles are
    cell = np.array([[2.0, 0.0, 0.0], [1.0, 3.0, 0.0], [-0.5, 0.7, 4.0]])[list(order)]
    assert common_volume([np.tile(cell, (3, 1, 1))], ["a"]) == pytest.approx(24.0, rel=1e-14)


def test_the_mean_is_that_of_volumes_and_of_samples_not_of_lengths_or_of_runs() -> None:
    # volumes 1, 8 and 27 in one run, 8 in the other one: 44/4, not 12 and not (7/4)^3
    several = np.array([1.0, 2.0, 3.0])[:, None, None] * np.eye(3)
    assert common_volume([several, 2.0 * np.eye(3)[None]], ["a", "b"]) == pytest.approx(11.0)


def test_runs_at_constant_pressure_agree_within_their_errors() -> None:
    names = ["a", "b", "c"]
    runs = [cells(12.0, 0.05, seed) for seed in (1, 2, 3)]
    # 3 (L^2 dL) of 1200 samples: 1728 + 3 x 12 x 0.05^2, within 4 x 22 / sqrt(1200)
    assert common_volume(runs, names) == pytest.approx(1728.1, abs=2.5)
    with pytest.raises(RecordError, match=r"volumes differ \(.*a: 17\d\d.*; d: 17\d\d.* ± "):
        common_volume([cells(12.0, 0.05, 1), cells(12.05, 0.05, 2)], ["a", "d"])


def test_the_error_is_that_of_the_mean_and_falls_with_the_length_of_the_runs() -> None:
    # 3 L^2 x 0.01 = 4.3 bohr^3 apart; the error of one mean is 22/sqrt(n), allowed is 4 sqrt(2) of
    # it: 12.2 of 100 samples, 1.2 of 10000
    short = [cells(12.0, 0.05, 1, 100), cells(12.01, 0.05, 2, 100)]
    assert common_volume(short, ["a", "b"]) == pytest.approx(1730.0, abs=5.0)
    long = [cells(12.0, 0.05, 1, 10000), cells(12.01, 0.05, 2, 10000)]
    with pytest.raises(RecordError, match="leave one out, or skip more with --skip"):
        common_volume(long, ["a", "b"])


def test_a_fixed_cell_may_stand_beside_a_fluctuating_one_of_the_same_mean() -> None:
    fixed = np.tile(12.0 * np.eye(3), (7, 1, 1))
    assert common_volume([fixed, cells(12.0, 0.05, 1)], ["a", "b"]) == pytest.approx(1728, abs=5)
    with pytest.raises(RecordError, match=r"a: 1728 bohr\^3, ± 0; b: 18"):
        common_volume([fixed, cells(12.2, 0.05, 1)], ["a", "b"])


def test_fixed_cells_may_differ_by_what_is_printed_only() -> None:
    one = np.tile(12.0 * np.eye(3), (5, 1, 1))
    assert common_volume([one, one * (1 + 1e-6)], ["a", "b"]) == pytest.approx(1728.0, rel=1e-5)
    with pytest.raises(RecordError, match="volumes differ"):
        common_volume([one, one * (1 + 1e-4)], ["a", "b"])


def test_the_pair_that_differs_is_named_wherever_it_stands() -> None:
    fixed = [np.tile(a * np.eye(3), (2, 1, 1)) for a in (10.0, 12.0, 10.0)]
    with pytest.raises(RecordError, match=r"\((a|c): 1000 bohr\^3, ± 0; b: 1728 bohr\^3, ± 0\)"):
        common_volume(fixed, ["a", "b", "c"])


def test_runs_without_an_error_of_their_volume_are_compared_by_their_width_and_named(
    caplog: pytest.LogCaptureFixture,
) -> None:
    slow = np.linspace(11.9, 12.1, 50)[:, None, None] * np.eye(3)  # one relaxation
    with caplog.at_level(logging.WARNING):
        common_volume([slow, slow[::-1] + 0.01 * np.eye(3)], ["a", "b"])
    assert (
        "too short for errors of their volumes, which are taken to be equal (a: 172" in caplog.text
    )
    with pytest.raises(RecordError, match="volumes differ"):
        common_volume([slow, slow + 0.5 * np.eye(3)], ["a", "b"])
