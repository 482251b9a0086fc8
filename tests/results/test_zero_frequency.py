"""The density at zero frequency is the exact one of processes of which it is known."""

from __future__ import annotations

import numpy as np
import pytest
from error_bars import relaxation, vibration

from mlobs_client.errors import RecordError
from mlobs_client.results.zero_frequency import (
    count_independent,
    statistical_inefficiency,
    zero_frequency_density,
)

N_SERIES = 100


def mean_density(series: list[np.ndarray], n_fitted: int = 1) -> float:
    return float(np.mean([zero_frequency_density(one, n_fitted) for one in series]))


def test_the_density_of_a_vibration_is_far_below_its_variance() -> None:
    random = np.random.default_rng(1)
    found = mean_density([vibration(4000, 20.0, 200.0, random) for _ in range(N_SERIES)])
    # |1 - a - b|^-2 over the variance of an autoregressive process of second order
    a, b = 2.0 * np.exp(-1 / 200) * np.cos(np.pi / 10), -np.exp(-1 / 100)
    variance = (1 - b) / ((1 + b) * ((1 - b) ** 2 - a**2))
    # 37 degrees of freedom: each 23 %, all 2.3 %; ends of the series leak a little
    assert found == pytest.approx(1.0 / (1 - a - b) ** 2 / variance, rel=0.15)
    assert found < 0.3  # of the variance


@pytest.mark.parametrize("n_independent", [20, 50, 200])
def test_the_window_hides_no_slow_relaxation(n_independent: int) -> None:
    random = np.random.default_rng(2)
    series = [relaxation(20 * n_independent, 10.0, random)[:, 0] for _ in range(4 * N_SERIES)]
    errors = np.sqrt([zero_frequency_density(one) for one in series])
    kept = np.exp(-0.1)
    exact = np.sqrt((1.0 + kept) / (1.0 - kept))
    # the window alone gives 0.79, 0.91 and 0.98 of it
    assert 0.95 * exact < errors.mean() < 1.12 * exact


def test_the_inefficiency_of_an_autoregressive_process_is_the_exact_one() -> None:
    random = np.random.default_rng(6)
    found = [statistical_inefficiency(relaxation(5000, 4.481, random)[:, 0]) for _ in range(100)]
    # each sample keeps 0.8 of the one before: (1 + 0.8)/(1 - 0.8); 37 degrees of freedom: 23 %
    # each, 2.3 % in all
    assert np.mean(found) == pytest.approx(9, rel=0.07)


def test_a_line_that_was_fitted_takes_no_density_away() -> None:
    random = np.random.default_rng(3)
    times = np.arange(4000.0)
    series = [relaxation(4000, 10.0, random)[:, 0] for _ in range(N_SERIES)]
    without_line = [one - np.polyval(np.polyfit(times, one, 1), times) for one in series]
    kept = np.exp(-0.1)
    exact = (1.0 + kept) / (1.0 - kept)
    # without the correction 7 % less than that of the mean alone
    assert mean_density(without_line, n_fitted=2) == pytest.approx(exact, rel=0.07)


def test_a_constant_series_counts_each_sample_also_with_rounding() -> None:
    constant = 0.975 * np.ones(300)
    assert statistical_inefficiency(constant) == 1.0
    rounded = constant + 1e-16 * np.cumsum(np.random.default_rng(4).normal(size=300))
    assert statistical_inefficiency(rounded) == 1.0
    assert zero_frequency_density(constant) < 1e-28  # of rounding


def test_a_pure_sine_has_a_small_but_positive_inefficiency() -> None:
    assert 0.0 < statistical_inefficiency(np.sin(0.3 * np.arange(3000))) < 0.01


def test_a_series_that_never_decorrelates_holds_fewer_than_twenty_samples() -> None:
    random = np.random.default_rng(5)
    walks = np.cumsum(random.normal(size=(N_SERIES, 1000)), axis=1)
    counts = [count_independent(walk) for walk in walks]
    assert np.mean(np.array(counts) < 20.0) > 0.9


def test_bad_series_are_refused() -> None:
    with pytest.raises(RecordError, match="3 samples, but at least 4"):
        zero_frequency_density(np.ones(3))
    with pytest.raises(RecordError, match=r"series\[1\] is nan"):
        statistical_inefficiency(np.array([1.0, np.nan, 2.0, 3.0]))


def test_a_slow_process_below_a_vibration_counts_by_how_often_it_has_relaxed() -> None:
    random = np.random.default_rng(7)

    def counts(memory: float) -> np.ndarray:
        slow = [0.3 * relaxation(10_000, memory, random)[:, 0] for _ in range(60)]
        return np.array([count_independent(vibration(10_000, 5.0, 30.0, random) + s) for s in slow])

    # a tenth of the variance each: n/g is above 200 in both; 5 relaxations are too few, 50 not
    assert np.mean(counts(1000.0) < 20.0) > 0.75
    assert np.mean(counts(100.0) < 20.0) < 0.05
