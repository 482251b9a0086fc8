"""Harmonic charges in a field: every average is known in every other field."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from error_bars_reweighting import CASES, SEED, SPREAD, UNIT, Case
from field_draws import (
    DIRECTION,
    RESPONSE,
    REST,
    TEMPERATURE,
    draw,
    draw_polarizable,
    exact,
    exact_polarizable,
    strength,
)
from scipy.signal import lfilter

from mlobs_client.analysis.response.reweighting import reweight
from mlobs_client.errors import ConfigError, RecordError

Array = npt.NDArray[np.float64]


@pytest.mark.parametrize("keep", [0.0, 0.8])
def test_the_error_bars_of_another_field_cover_the_exact_average(keep: float) -> None:
    here, there = strength(0.05), strength(0.12)
    pulls, effective = [], []
    for seed in range(80):
        run = draw(here, 4000, seed, keep)
        found = reweight(run @ DIRECTION, run, there - here, TEMPERATURE)
        pulls.append((found.estimate.value - exact(there)) / found.estimate.error)
        effective.append(found.estimate.n_independent)
    # 80 pulls: mean to 0.11, width to 8 %; the estimate of g adds to the width
    assert abs(np.mean(pulls)) < 0.4
    assert np.std(pulls) == pytest.approx(1.0, abs=0.25)
    # exp(-var(ln w)) for a Gaussian, over g = (1 + keep)/(1 - keep); the larger of two g, each
    # known to 23 %, and at least 1, is too large by up to 20 %
    variance = (there - here) @ RESPONSE @ (there - here) / TEMPERATURE
    right = 4000 * np.exp(-variance) * (1.0 - keep) / (1.0 + keep)
    assert 0.75 * right < np.mean(effective) < 1.05 * right


def test_the_average_at_the_field_of_the_run_is_its_own() -> None:
    run = draw(strength(0.1), 1000, 1)
    found = reweight(run[:, 2] ** 2, run, np.zeros(3), TEMPERATURE, unit="e^2 bohr^2")
    assert found.estimate.value == pytest.approx(np.mean(run[:, 2] ** 2))
    assert found.kish == pytest.approx(1.0)
    assert found.estimate.unit == "e^2 bohr^2"


def test_a_field_too_far_away_is_refused_with_what_is_left() -> None:
    run = draw(strength(0.0), 4000, 2)
    with pytest.raises(
        RecordError, match=r"only [\d.e-]+ effective samples are left .* but 100 are need"
    ):
        reweight(run @ DIRECTION, run, strength(0.5), TEMPERATURE)
    found = reweight(run @ DIRECTION, run, strength(0.5), TEMPERATURE, least=1e-9)
    assert found.estimate.n_independent < 50
    # the average that would have been given is far off: never was a sample like those there
    off = abs(found.estimate.value - exact(strength(0.5)))
    assert off > 0.25 * abs(exact(strength(0.5)) - exact(strength(0.0)))
    # and its error says so, though all the samples that were seen agree
    assert found.estimate.error > off


def test_the_bead_mean_of_a_ring_polymer_reweighs_it_exactly() -> None:
    # two beads, each harmonic and bound to the other: <mean dipole> follows the classical response
    rng = np.random.default_rng(8)
    pulls = []
    for _ in range(40):
        mean = REST + rng.multivariate_normal(np.zeros(3), TEMPERATURE * RESPONSE, 3000)
        apart = rng.normal(scale=0.3, size=(3000, 3))
        beads = np.stack([mean + apart, mean - apart])
        found = reweight(
            (beads @ DIRECTION).mean(axis=0), beads.mean(axis=0), strength(0.05), TEMPERATURE
        )
        pulls.append((found.estimate.value - exact(strength(0.05))) / found.estimate.error)
    assert abs(np.mean(pulls)) < 0.6
    assert np.std(pulls) == pytest.approx(1.0, abs=0.35)


def outcomes(case: Case, n_repeats: int) -> Array:
    """Value, error and exact value of the averages that were not refused."""
    rng = np.random.default_rng(SEED)
    found = [case(rng) for _ in range(n_repeats)]
    return np.array([one for one in found if one is not None]).reshape(-1, 3)


def test_runs_that_missed_the_tail_are_refused() -> None:
    # 100 independent samples, of which exp(-1) would be left
    assert len(outcomes(CASES["one run, n = 4000, tau = 20, shift 1"], 60)) <= 3


def test_a_vibration_counts_by_how_often_its_amplitude_is_another() -> None:
    # of 4000 samples 20 damping times; its mean alone is known as well as from 4000 and more
    damping, period = 200.0, 20.0
    keep, turn = np.exp(-1.0 / damping), 2.0 * np.pi / period
    noise = np.random.default_rng(SEED).normal(size=6000)
    vibration = lfilter([1.0], [1.0, -2.0 * keep * np.cos(turn), keep**2], noise)[2000:]
    run = np.outer(vibration / np.std(vibration), [0.0, 0.0, SPREAD])
    with pytest.raises(RecordError, match="too short to be reweighted"):
        reweight(run[:, 2], run, 0.3 * UNIT, TEMPERATURE)


@pytest.mark.parametrize(
    ("name", "n_repeats"),
    [("one run, n = 20000, tau = 5, shift 1.5", 80), ("2 runs, n = 6000, tau = 20, to 0.75", 20)],
)
def test_errors_of_correlated_dipoles_are_as_large_as_the_scatter(
    name: str, n_repeats: int
) -> None:
    values, errors, exact_values = outcomes(CASES[name], n_repeats).T
    known = 1.0 / np.sqrt(2.0 * n_repeats)  # scatter, of itself
    assert np.mean(errors) / np.std(values) == pytest.approx(1.05, abs=0.1 + 2.0 * known)
    covered = np.abs(values - exact_values) < errors
    assert np.mean(covered) == pytest.approx(0.68, abs=2.5 * np.sqrt(0.68 * 0.32 / n_repeats))


def test_a_field_of_second_order_is_reweighted_with_the_polarizability() -> None:
    here, there = np.array([0.0, 0.0, 0.0004]), np.array([0.0, 0.0, 0.0009])
    pulls, without = [], []
    for seed in range(40):
        run, tensors = draw_polarizable(here[2], 4000, seed)
        along = run[:, 2] + tensors[:, 2, 2] * (there - here)[2]
        of_second = reweight(along, run, there - here, TEMPERATURE, polarizabilities=tensors)
        pulls.append(
            (of_second.estimate.value - exact_polarizable(there[2])) / of_second.estimate.error
        )
        of_first = reweight(along, run, there - here, TEMPERATURE)
        without.append(
            (of_first.estimate.value - exact_polarizable(there[2])) / of_first.estimate.error
        )
    # 40 runs
    assert abs(np.mean(pulls)) < 0.6
    assert np.std(pulls) == pytest.approx(1.0, abs=0.35)
    assert np.mean(without) < -5.0


def test_impossible_input_is_refused() -> None:
    run = draw(strength(0.0), 100, 1)
    with pytest.raises(ConfigError, match=r"300 Eh is"):
        reweight(run[:, 0], run, strength(0.0), 300)
    with pytest.raises(RecordError, match=r"observable must have shape \(100,\)"):
        reweight(run[1:, 0], run, strength(0.0), TEMPERATURE)
    with pytest.raises(RecordError, match=r"polarizabilities must have shape \(100, 3, 3\)"):
        reweight(run[:, 0], run, strength(0.0), TEMPERATURE, polarizabilities=np.zeros((100, 3)))
    with pytest.raises(ConfigError, match="least = 0"):
        reweight(run[:, 0], run, strength(0.0), TEMPERATURE, least=0.0)
