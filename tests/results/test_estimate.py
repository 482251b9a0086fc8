"""What an estimate says, with an error and without."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import stats

from mlobs_client.results.estimate import Estimate, student, too_few
from mlobs_client.results.lines import drift, fit_line
from mlobs_client.results.run_length import Interval
from mlobs_client.results.statistics import jackknife, mean, mean_of_independent

SERIES = np.random.default_rng(0).normal(size=200)


def test_an_estimate_shows_two_digits_of_its_error() -> None:
    assert str(Estimate(3580.2371, 1.3456, "cm^-1", 9)) == "3580.2 ± 1.3 cm^-1"
    assert str(Estimate(-0.12345, 0.00067, "eV", 9)) == "-0.12345 ± 0.00067 eV"
    assert str(Estimate(1234.5, 250.0, "K", 9)) == "1234 ± 250 K"
    assert str(Estimate(0.5, 0.1, "1", 9)) == "0.50 ± 0.10"


def test_in_place_of_an_error_stands_why_there_is_none() -> None:
    one = Estimate(8.3123, 0.8, "uC/cm^2", 12.7).without_error(too_few(12.7, 127, 0.175))
    # 7.3 of 12.7 independent samples are missing, of 127 samples every 0.175 ps: 12.8 ps
    reason = "12 independent samples, needs 20: run about 13 ps more"
    assert str(one) == f"8.3123 uC/cm^2, no error: {reason}"
    assert np.isnan(one.error)
    assert Estimate(8.3, 0.8, "K", 12.7).without_error("") == Estimate(8.3, 0.8, "K", 12.7)


def test_json_has_null_for_the_error_that_is_missing() -> None:
    one = Estimate(8.3, 0.8, "K", 12.0).without_error("too short")
    assert json.loads(json.dumps(one.as_json(), allow_nan=False)) == {
        "value": 8.3, "error": None, "unit": "K", "n_independent": 12.0, "no_error": "too short"
    }  # fmt: skip
    assert "no_error" not in Estimate(8.3, 0.8, "K", 12.0).as_json()


@pytest.mark.parametrize(
    ("estimate", "source"),
    [
        (mean(SERIES), "spectral density of the series at zero frequency"),
        (mean([SERIES[:15], SERIES[15:30], SERIES[30:45]]), "scatter of 3 runs"),
        (mean_of_independent(SERIES[::40]), "scatter of 5 blocks"),
        (jackknife(SERIES[::40], lambda x: float(x**2)), "jackknife over 5 blocks"),
        (drift(np.arange(200.0), SERIES), "spectral density of the residuals at zero frequency"),
        (fit_line(np.arange(5.0), SERIES[::40]).slope, "scatter of 5 points"),
        (fit_line(np.arange(5.0), SERIES[::40], np.ones(5)).slope, "errors of 5 points"),
    ],
)
def test_json_says_what_an_error_was_made_of(estimate: Estimate, source: str) -> None:
    assert estimate.as_json()["error_from"] == source
    assert "error_from" not in estimate.without_error("too short").as_json()


def test_twenty_independent_samples_are_enough() -> None:
    assert too_few(20.0, 400) == ""
    assert too_few(19.9, 398) == "19 independent samples, needs 20: run about 2 samples more"
    assert too_few(1.5, 30, 0.1) == "1 independent sample, needs 20: run about 37 ps more"
    in_steps = too_few(1.5, 30, Interval(0.1, 200), n_runs=2)
    assert in_steps.endswith("needs 20: run about 37 ps (74000 steps) more in each run")


def test_scaling_an_estimate_scales_its_error() -> None:
    assert Estimate(2.0, 0.5, "K", 3) * -4.0 == Estimate(-8.0, 2.0, "K", 3)
    assert (Estimate(2.0, 0.5, "K", 3).without_error("short") * 2.0).no_error == "short"


def test_the_widened_error_of_few_blocks_holds_as_much_as_one_sigma() -> None:
    for freedom in (1, 3, 9, 1000):
        within = stats.t.cdf(student(freedom), freedom) - stats.t.cdf(-student(freedom), freedom)
        assert within == pytest.approx(0.6827, abs=1e-4)
    assert student(0.2) == student(1.0)


def test_four_blocks_are_certain_beyond_the_95_per_cent_of_student() -> None:
    # t of 3 degrees of freedom: 3.182 standard errors, which are 1.1969 times smaller
    one = Estimate(1.0, 1.1969, "1", 4)
    assert one.is_beyond(1.0 - 3.19)
    assert not one.is_beyond(1.0 + 3.17)
    assert not one.without_error("too short").is_beyond(1000.0)
