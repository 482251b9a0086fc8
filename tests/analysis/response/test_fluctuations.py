"""Covariances along correlated runs are those of what was drawn, without the bias of the mean."""

from __future__ import annotations

import re

import numpy as np
import pytest
from error_bars import relaxation

from mlobs_client.analysis.response.fluctuations import Covariance, covariance
from mlobs_client.errors import RecordError

MIXED = np.array([[1.0, 0.0, 0.0], [0.5, 0.8, 0.0], [-0.3, 0.4, 0.6]])
EXACT = MIXED @ MIXED.T


def draw(n_samples: int, random: np.random.Generator) -> np.ndarray:
    """Correlated components that remember 10 samples."""
    return relaxation(n_samples, 10.0, random, 3) @ MIXED.T


@pytest.fixture(scope="module")
def short() -> list[Covariance]:
    random = np.random.default_rng(1)
    return [covariance([draw(400, random)]) for _ in range(150)]


def test_the_mean_of_the_same_samples_makes_no_fluctuation_too_small(
    short: list[Covariance],
) -> None:
    found = np.mean([one.tensor for one in short], axis=0)
    # 40 correlation times: without the correction 5 % less; 150 runs give a diagonal to 2 %
    np.testing.assert_allclose(found, EXACT, atol=0.06)
    np.testing.assert_allclose(np.diag(found), np.diag(EXACT), rtol=0.045)


def test_errors_of_all_elements_are_the_scatter_over_repetitions() -> None:
    random = np.random.default_rng(2)
    found = [covariance([draw(4000, random)]) for _ in range(150)]
    scatter = np.std([one.tensor for one in found], axis=0)
    # scatter of 150 to 6 %
    np.testing.assert_allclose(np.mean([one.errors for one in found], axis=0), scatter, rtol=0.25)
    one = found[0]
    assert one.mean.value == pytest.approx(np.trace(one.tensor) / 3.0)
    assert (one.tensor == one.tensor.T).all()


def test_several_runs_have_one_mean() -> None:
    random = np.random.default_rng(3)
    whole = draw(20_000, random)
    together, cut = covariance([whole]), covariance([whole[:8000], whole[8000:]])
    # the same products, but for those across the cut
    np.testing.assert_allclose(cut.tensor, together.tensor, rtol=0.01, atol=0.003)
    np.testing.assert_allclose(cut.errors, together.errors, rtol=0.3)
    apart = covariance([whole[:8000], whole[8000:] + 5.0])
    assert apart.tensor[0, 0] > 5.0


@pytest.mark.parametrize("n_runs", [3, 8])
def test_runs_that_never_decorrelate_have_the_error_of_their_scatter(n_runs: int) -> None:
    random = np.random.default_rng(4)
    values, inside = [], []
    for _ in range(200):
        found = covariance([relaxation(40, 20.0, random, 3) for _ in range(n_runs)]).mean
        values.append(found.value)
        inside.append(abs(found.value - 1.0) < found.error)
    # runs of two correlation times: less than the truth by chance of the common mean alone
    assert np.mean(values) == pytest.approx(1.0, abs=0.12)
    # 0.68 of 200 to 3 %; the scatter of few skewed numbers is too small now and then
    assert 0.5 < np.mean(inside) < 0.8


def test_a_short_run_beside_a_long_one_does_not_shorten_its_correlation() -> None:
    random = np.random.default_rng(7)
    found, scatter = [], []
    for _ in range(100):
        long = relaxation(3000, 10.0, random, 3)
        alone, both = covariance([long]), covariance([long, long[:12] + 0.0])
        # a run of 12 samples holds no 20 independent ones, and two runs have then no error
        assert both.mean.no_error
        found.append(covariance([long, relaxation(1000, 10.0, random, 3)]).mean.error)
        scatter.append(alone.mean.error)
    # of 4000 samples, which are 1.33 times as many
    assert np.mean(found) == pytest.approx(np.mean(scatter) / np.sqrt(4 / 3), rel=0.05)


def test_fluctuations_in_bursts_have_the_error_of_their_squares() -> None:
    random = np.random.default_rng(8)
    found = []
    for _ in range(100):
        amplitude = np.exp(relaxation(4000, 50.0, random))
        found.append(covariance([amplitude * relaxation(4000, 5.0, random, 3)]).mean)
    scatter = np.std([one.value for one in found])
    # of Gaussians they would be a quarter of it
    assert np.mean([one.error for one in found]) > 0.5 * scatter


def test_two_runs_that_never_decorrelate_have_no_error() -> None:
    random = np.random.default_rng(5)
    found = [covariance([relaxation(40, 20.0, random, 3) for _ in range(2)]) for _ in range(50)]
    assert np.mean([bool(one.mean.no_error) for one in found]) > 0.9


def test_a_component_that_does_not_move_has_no_covariance_and_no_warning() -> None:
    run = relaxation(2000, 10.0, np.random.default_rng(6), 3)
    run[:, 1] = 0.3
    found = covariance([run])
    assert found.tensor[1, 1] == pytest.approx(0.0, abs=1e-25)
    assert found.errors[1, 1] == pytest.approx(0.0, abs=1e-25)


def test_too_short_a_run_has_no_errors_and_says_why() -> None:
    found = covariance([np.outer(np.arange(100.0), np.ones(3))], interval=0.5)
    assert np.isnan(found.errors).all()
    assert re.search(r"independent samples, needs 20: run about [\d.]+ ps more$", str(found.mean))
    assert np.isfinite(found.tensor).all()


def test_a_single_element_needs_more_independent_samples_than_the_mean_of_three() -> None:
    series = relaxation(500, 10.0, np.random.default_rng(0), 3)  # 23 to 29 count as independent
    tensor, along = covariance([series]), covariance([series[:, :1]])
    assert np.isfinite(tensor.mean.error)
    assert np.isnan(tensor.errors).all()
    assert np.isnan(along.mean.error)
    assert "needs 50: run about" in tensor.no_error
    assert "needs 50: run about" in along.mean.no_error
    longer = covariance([relaxation(1500, 10.0, np.random.default_rng(0), 3)])
    assert np.isfinite(longer.errors).all()
    assert longer.no_error == ""


def test_a_series_that_is_too_short_to_have_lags_is_refused() -> None:
    with pytest.raises(RecordError, match="9 samples, but at least 10"):
        covariance([np.zeros((9, 3))])
    with pytest.raises(RecordError, match="no run was given"):
        covariance([])


def test_short_runs_give_an_error_to_the_mean_long_before_single_elements() -> None:
    random = np.random.default_rng(8)
    few, many = (
        covariance([relaxation(20 * length, 20.0, random, 3) for _ in range(10)])
        for length in (5, 60)
    )
    assert np.isnan(few.errors).all()
    assert re.search(r"needs 100: run about \d+ samples more in each run$", few.no_error)
    assert few.mean.error > 0.0
    assert (many.errors > 0.0).all()
    assert many.no_error == ""
