"""Harmonic charges in a field: every average is known in every other field."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from error_bars_reweighting import CASES, SEED, SPREAD, UNIT, Case
from scipy.signal import lfilter

from mlobs_client.analysis.field_ensemble import FieldEnsemble
from mlobs_client.analysis.reweighting import reweight
from mlobs_client.errors import ConfigError, RecordError
from mlobs_client.units import KELVIN, VOLT_PER_ANGSTROM

Array = npt.NDArray[np.float64]
TEMPERATURE = 300.0 * KELVIN
SPRINGS = np.array([[0.10, 0.02, -0.01], [0.02, 0.15, 0.03], [-0.01, 0.03, 0.20]])
RESPONSE = 20 * np.linalg.inv(SPRINGS)
"""d<mu>/dE of 20 charges; times kT, the covariance."""
REST = np.array([30.0, -4.0, 7.0])
DIRECTION = np.array([2.0, -1.0, 2.0]) / 3.0


def strength(field: float) -> Array:
    return np.asarray(field * VOLT_PER_ANGSTROM * DIRECTION)


def draw(field: Array, n_samples: int, seed: int, keep: float = 0.0) -> Array:
    """Dipoles in a field, each with ``keep`` of the one before."""
    rng = np.random.default_rng(seed)
    root = np.linalg.cholesky(TEMPERATURE * RESPONSE)
    series = rng.normal(size=(n_samples, 3))
    for t in range(1, n_samples):
        series[t] = keep * series[t - 1] + np.sqrt(1.0 - keep**2) * series[t]
    return np.asarray(REST + RESPONSE @ field + series @ root.T)


def exact(field: Array) -> float:
    return float((REST + RESPONSE @ field) @ DIRECTION)


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
        RecordError, match=r"only [\d.e-]+ effective samples are left, 100 are need"
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


FIELDS = np.array([strength(x) for x in (0.2, 0.0, 0.1)])


def ensemble(seed: int, keep: float = 0.0, n_samples: int = 1000) -> FieldEnsemble:
    runs = [draw(field, n_samples, 10 * seed + k, keep) for k, field in enumerate(FIELDS)]
    return FieldEnsemble.of([run @ DIRECTION for run in runs], runs, FIELDS, TEMPERATURE)


def test_several_runs_give_the_averages_between_their_fields_within_the_errors() -> None:
    pulls, errors = [], []
    for seed in range(30):
        joined = ensemble(seed)
        for x in (-0.03, 0.05, 0.1, 0.17):
            found = joined.expect(strength(x)).estimate
            pulls.append((found.value - exact(strength(x))) / found.error)
            errors.append(found.error)
    # 30 independent runs
    assert abs(np.mean(pulls)) < 0.6
    assert np.std(pulls) == pytest.approx(1.0, abs=0.3)
    # better than one run at this very field
    alone = np.sqrt(TEMPERATURE * DIRECTION @ RESPONSE @ DIRECTION / 1000)
    assert np.mean(errors) < alone


@pytest.mark.parametrize("several", [[0.0] * 6, [0.1, 0.0, 0.1, 0.0, 0.1, 0.0, 0.1, 0.0]])
def test_runs_in_one_field_count_as_one(several: list[float]) -> None:
    fields = np.array([strength(x) for x in several])
    runs = [draw(field, 500, seed) for seed, field in enumerate(fields)]
    joined = FieldEnsemble.of([run @ DIRECTION for run in runs], runs, fields, TEMPERATURE)
    assert len(joined.fields) == len(set(several))
    found = joined.expect(strength(0.03)).estimate
    n_fields = len(joined.fields)
    pooled = [np.concatenate(runs[k::n_fields]) for k in range(n_fields)]
    if n_fields == 1:
        change = strength(0.03)
        alone = reweight(pooled[0] @ DIRECTION, pooled[0], change, TEMPERATURE).estimate
    else:
        values = [run @ DIRECTION for run in pooled]
        two = FieldEnsemble.of(values, pooled, fields[:n_fields], TEMPERATURE)
        alone = two.expect(strength(0.03)).estimate
    assert found.value == pytest.approx(alone.value, rel=1e-9)
    # blocks are others
    assert found.error == pytest.approx(alone.error, rel=0.6)


def test_correlated_runs_are_thinned_before_they_are_joined() -> None:
    joined = ensemble(1, keep=0.8, n_samples=3000)
    # g = 9 of 3000 samples each, of which every second is kept
    assert joined.n_independent.sum() == pytest.approx(3 * 3000 / 9, rel=0.3)
    assert 3 * 3000 / 3 <= len(joined.observable) <= 3 * 3000 / 2
    found = joined.expect(strength(0.15)).estimate
    assert found.value == pytest.approx(exact(strength(0.15)), abs=4 * found.error)


def test_runs_that_do_not_overlap_and_fields_outside_are_refused() -> None:
    far = np.array([strength(0.0), strength(0.6)])
    runs = [draw(field, 1000, 3) for field in far]
    with pytest.raises(RecordError, match=r"overlap by .* at least 0.03"):
        FieldEnsemble.of([run @ DIRECTION for run in runs], runs, far, TEMPERATURE)
    with pytest.raises(RecordError, match="run at a field in between"):
        ensemble(2).expect(strength(0.6))


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
    with pytest.raises(RecordError, match="effective samples are left"):
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


def test_what_joined_runs_leave_outside_their_fields_is_judged_by_the_variance() -> None:
    joined = ensemble(1)
    beyond = strength(0.42)
    found = joined.expect(beyond, least=1e-3)
    # of Gaussian work: exp(-var) of the 1000 from the run at 0.2; none of the others
    far = beyond - strength(0.2)
    left = 1000 * np.exp(-far @ RESPONSE @ far / TEMPERATURE)
    # the variance of 1000 samples is known to 5 %, and 3.7 in the exponent of exp
    assert found.estimate.n_independent == pytest.approx(left, rel=0.35)
    # the weights themselves look better
    assert found.kish * len(joined.observable) > 2.0 * left


STIFFNESS, CHARGE = 0.05, 10.0


def polarizability(x: Array) -> Array:
    """Along the field, of a charge at ``x``."""
    return np.asarray(3000.0 + 8000.0 * x + 10000.0 * x**2)


def draw_polarizable(field: float, n_samples: int, seed: int) -> tuple[Array, Array]:
    """Dipoles in the field and polarizabilities of a charge on a spring, field of second order."""
    stiffness = STIFFNESS - 10000.0 * field**2  # the energy is a parabola again
    mean = (CHARGE * field + 0.5 * 8000.0 * field**2) / stiffness
    rng = np.random.default_rng(seed)
    x = mean + rng.normal(scale=np.sqrt(TEMPERATURE / stiffness), size=n_samples)
    tensors = np.zeros((n_samples, 3, 3))
    tensors[:, 2, 2] = polarizability(x)
    tensors[:, 0, 2], tensors[:, 2, 0] = 500.0, -500.0  # has no energy
    dipoles = np.zeros((n_samples, 3))
    dipoles[:, 2] = CHARGE * x + polarizability(x) * field
    return dipoles, tensors


def exact_polarizable(field: float) -> float:
    """Mean dipole in the field, by quadrature."""
    x = np.linspace(-3.0, 3.0, 20001)
    energy = 0.5 * STIFFNESS * x**2 - CHARGE * x * field - 0.5 * polarizability(x) * field**2
    weights = np.exp((energy.min() - energy) / TEMPERATURE)
    return float(weights @ (CHARGE * x + polarizability(x) * field) / weights.sum())


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


def test_runs_of_second_order_are_joined() -> None:
    fields = [np.array([0.0, 0.0, x]) for x in (0.0, 0.0008)]
    there = np.array([0.0, 0.0, 0.0004])
    pulls = []
    for seed in range(15):
        drawn = [draw_polarizable(field[2], 1000, 2 * seed + k) for k, field in enumerate(fields)]
        runs, tensors = [one[0] for one in drawn], [one[1] for one in drawn]
        joined = FieldEnsemble.of(
            [run[:, 2] for run in runs], runs, np.array(fields), TEMPERATURE, "e bohr", tensors
        )
        along = joined.samples.dipoles_in(there)[:, 2]
        found = joined.expect(there, observable=along).estimate
        pulls.append((found.value - exact_polarizable(there[2])) / found.error)
    # 15 runs
    assert abs(np.mean(pulls)) < 0.9
    assert np.std(pulls) == pytest.approx(1.0, abs=0.55)


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
    with pytest.raises(RecordError, match="3 runs need one field"):
        FieldEnsemble.of([run[:, 0]] * 3, [run] * 3, FIELDS[:2], TEMPERATURE)
