"""Errors are honest: compared with the scatter over many repetitions, or with exact results."""

from __future__ import annotations

import re
import subprocess
import sys

import numpy as np
import numpy.typing as npt
import pytest
from scipy import signal, stats

from mlobs_client.errors import ConfigError, RecordError
from mlobs_client.results import statistics

Array = npt.NDArray[np.float64]
MEMORY = 0.8  # of the autoregressive process below: g = (1 + 0.8) / (1 - 0.8) = 9


def correlated(n_samples: int, seed: int) -> Array:
    """x(t+1) = MEMORY x(t) + noise, stationary, mean 0."""
    noise = np.random.default_rng(seed).normal(size=n_samples + 200)
    return np.asarray(signal.lfilter([1.0], [1.0, -MEMORY], noise)[200:])


def test_the_true_mean_lies_within_one_error_in_two_thirds_of_all_runs() -> None:
    estimates = [statistics.mean(correlated(2000, seed)) for seed in range(300)]
    inside = np.mean([abs(one.value) < one.error for one in estimates])
    # 0.683; sampling noise of 300 runs 0.027, three of which
    assert inside == pytest.approx(0.683, abs=0.08)


def test_samples_without_correlation_count_fully() -> None:
    series = np.random.default_rng(3).normal(5.0, 2.0, (100, 1000))
    estimates = [statistics.mean(one, "K") for one in series]
    # 37 degrees of freedom: each density is known to 23 %, which its inverse shows as 6 % more
    assert np.mean([one.n_independent for one in estimates]) == pytest.approx(1060, rel=0.07)
    # sqrt(4/1000), Student 1.014, and what slow relaxations might hide, 3 %
    assert np.mean([one.error for one in estimates]) == pytest.approx(0.066, rel=0.05)
    assert estimates[0].unit == "K"


def test_a_constant_series_has_no_error() -> None:
    estimate = statistics.mean(np.full(100, 7.0))
    assert (estimate.value, estimate.error) == (7.0, 0.0)


def test_the_jackknife_of_a_mean_is_its_standard_error() -> None:
    blocks = np.random.default_rng(5).normal(3.0, 1.0, size=12)
    estimate = statistics.jackknife(blocks, float, "eV")
    assert estimate.value == pytest.approx(blocks.mean(), rel=1e-14)
    # Student: 1.0476 standard errors hold 68.27 % with 11 degrees of freedom
    assert estimate.error == pytest.approx(1.0476 * stats.sem(blocks), rel=1e-4)
    assert (estimate.unit, estimate.n_independent) == ("eV", 12)


def test_the_jackknife_error_of_a_ratio_is_the_scatter_over_repetitions() -> None:
    rng = np.random.default_rng(6)

    def ratio(mean: Array) -> float:
        return float(mean[0] / mean[1])

    draws = [rng.multivariate_normal([2, 5], [[0.3, 0.1], [0.1, 0.4]], 20) for _ in range(400)]
    estimates = [statistics.jackknife(blocks, ratio) for blocks in draws]
    scatter = np.std([one.value for one in estimates], ddof=1)
    # Student with 19 degrees of freedom; scatter and mean error are known to 1/sqrt(800) = 3.5 %
    assert np.mean([one.error for one in estimates]) == pytest.approx(1.027 * scatter, rel=0.12)


def test_runs_that_are_too_short_for_their_own_errors_give_one_by_their_scatter() -> None:
    runs = [correlated(60, seed) for seed in range(5)]
    found = statistics.mean(runs, "K")
    scatter = stats.sem([run.mean() for run in runs])
    # Student: 1.1416 standard errors hold 68.27 % with 4 degrees of freedom
    assert found.error == pytest.approx(1.1416 * scatter, rel=1e-3)
    assert (found.n_independent, found.unit) == (5, "K")
    assert found.value == pytest.approx(np.mean(runs))


def test_two_short_runs_have_no_error() -> None:
    found = statistics.mean([correlated(60, seed) for seed in range(2)], interval=0.1)
    assert np.isnan(found.error)
    assert re.search(
        r"independent samples, needs 20: run about [\d.]+ ps more in each run$", found.no_error
    )


def test_long_runs_count_with_their_own_errors() -> None:
    runs = [correlated(4000, seed) for seed in range(4)]
    together = statistics.mean(runs)
    # 16000 samples of g = 9 and variance 1/(1 - 0.8^2): 0.0395, known to 6 % by four runs
    assert together.error == pytest.approx(0.0395, rel=0.25)
    assert together.n_independent == pytest.approx(16_000 / 9, rel=0.4)


def test_blocks_of_fewer_than_five_correlation_times_are_not_independent() -> None:
    # blocks of 10 samples, 5 are remembered
    assert "correlation times" in statistics.too_short([correlated(400, 1)], 10)
    assert statistics.too_short([correlated(2000, 1)], 200) == ""


def test_squares_of_few_coordinates_have_errors_as_wide_as_their_skewness_asks() -> None:
    mean = statistics.mean(np.random.default_rng(5).normal(size=(200, 1))[:, 0] ** 2)
    wide = statistics.widen_skewed(mean)
    # 1 + 2 skewness^2/n of the squared pull: squares of single Gaussians have skewness^2 = 8
    assert (wide.error / mean.error) ** 2 == pytest.approx(1.0 + 16.0 / 200, abs=0.03)
    assert wide.value == mean.value


def test_three_short_runs_are_three_blocks_and_two_are_none() -> None:
    runs = [correlated(n, seed) for seed, n in enumerate((40, 40, 120))]
    blocks, reason = statistics.independent_blocks(runs, 20, runs)
    assert ([len(block) for block in blocks], reason) == ([40, 40, 120], "")
    blocks, reason = statistics.independent_blocks(runs[:2], 10, runs[:2], interval=0.5)
    assert len(blocks) == 10
    assert re.search(
        r"correlation times, each needs 5: run about [\d.]+ ps more in each run$", reason
    )
    long = [correlated(5000, 1)]
    blocks, reason = statistics.independent_blocks(long, 10, long)
    assert ({len(block) for block in blocks}, reason) == ({500}, "")


def test_one_run_that_has_just_begun_does_not_spoil_the_error_of_long_ones() -> None:
    runs = [correlated(4000, 1), correlated(4000, 2), correlated(60, 3)]
    together, without = statistics.mean(runs), statistics.mean(runs[:2])
    assert together.error == pytest.approx(without.error, rel=0.02)
    # half of the samples in short runs: the scatter of runs, weighted by their lengths
    halves = [correlated(120, 1), correlated(60, 2), correlated(60, 3)]
    found = statistics.mean(halves)
    assert found.value == pytest.approx(np.concatenate(halves).mean())
    assert found.n_independent == 3


def test_runs_in_states_of_their_own_have_the_error_of_their_scatter() -> None:
    runs = [correlated(4000, seed) + shift for seed, shift in enumerate((0.0, 2.0, -1.0, 1.0))]
    found = statistics.mean(runs)
    # four numbers of scatter 1.29: Student's 1.1969 standard errors
    assert found.error == pytest.approx(1.1969 * 1.29 / 2.0, rel=0.1)
    assert found.n_independent == 4


def test_an_offset_changes_no_error() -> None:
    series = correlated(2000, 1)
    found, shifted = statistics.mean(series), statistics.mean(1e6 + 1e-6 * series)
    # a double has sixteen digits: 1e-10 of 1e6, in steps of 1e-6
    assert shifted.error == pytest.approx(1e-6 * found.error, rel=1e-2)


def test_two_numbers_have_no_error() -> None:
    found = statistics.mean_of_independent(np.array([1.0, 2.0]), "K")
    assert str(found) == "1.5 K, no error: 2 values, needs 3"


def test_statistics_say_nothing_on_the_terminal() -> None:
    code = (
        "import numpy as np; from mlobs_client.results import mean; "
        "mean(np.random.default_rng(0).normal(size=100))"
    )
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_bad_series_are_named() -> None:
    with pytest.raises(RecordError, match=r"series\[3\] is nan"):
        statistics.mean(np.array([1.0, 2.0, 3.0, np.nan, 5.0]))
    with pytest.raises(RecordError, match="3 samples, but at least 4 are needed"):
        statistics.mean(np.ones(3))
    with pytest.raises(RecordError, match="0 samples"):
        statistics.mean(np.array(3.0))
    with pytest.raises(ConfigError, match="n_blocks = 1"):
        statistics.independent_blocks([np.ones(10)], 1, [np.ones(10)])
