"""Harmonic charges in several fields: joined runs know every average between and beyond them."""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt
import pytest
from error_bars_reweighting import CASES, SEED
from field_draws import (
    DIRECTION,
    RESPONSE,
    TEMPERATURE,
    draw,
    draw_polarizable,
    exact,
    exact_polarizable,
    strength,
)

from mlobs_client.analysis.response.field_ensemble import FieldEnsemble
from mlobs_client.analysis.response.reweighting import reweight
from mlobs_client.errors import RecordError

Array = npt.NDArray[np.float64]
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
    n_fields = len(set(several))
    errors = []
    for seed in range(10):
        runs = [draw(field, 500, 10 * seed + k) for k, field in enumerate(fields)]
        joined = FieldEnsemble.of([run @ DIRECTION for run in runs], runs, fields, TEMPERATURE)
        assert len(joined.fields) == n_fields
        found = joined.expect(strength(0.03)).estimate
        pooled = [np.concatenate(runs[k::n_fields]) for k in range(n_fields)]
        values = [run @ DIRECTION for run in pooled]
        if n_fields == 1:
            alone = reweight(values[0], pooled[0], strength(0.03), TEMPERATURE).estimate
        else:
            two = FieldEnsemble.of(values, pooled, fields[:n_fields], TEMPERATURE)
            alone = two.expect(strength(0.03)).estimate
        assert found.value == pytest.approx(alone.value, rel=1e-9)
        errors.append((found.error, alone.error))
    # each error is known to 5 to 16 %, their means to 5 %
    joined_error, alone_error = np.mean(errors, axis=0)
    assert joined_error == pytest.approx(alone_error, rel=0.12)


def test_the_error_in_the_field_of_all_runs_is_that_of_a_mean() -> None:
    field = strength(0.1)
    runs = [draw(field, 500, seed) for seed in range(6)]
    values = [run @ DIRECTION for run in runs]
    joined = FieldEnsemble.of(values, runs, np.array([field] * 6), TEMPERATURE)
    exact_error = np.sqrt(TEMPERATURE * DIRECTION @ RESPONSE @ DIRECTION / 3000)
    # six densities, each known to 23 %
    assert joined.expect(field).estimate.error == pytest.approx(exact_error, rel=0.12)


def test_a_run_that_has_hardly_decorrelated_is_refused_with_the_length_that_it_needs() -> None:
    keep = np.exp(-1.0 / 50.0)  # 400 and 4 correlation times
    fields = np.array([strength(x) for x in (0.0, 0.05)])
    runs = [draw(fields[0], 20_000, 0, keep), draw(fields[1], 200, 1, keep)]
    values = [run @ DIRECTION for run in runs]
    with pytest.raises(
        RecordError, match=r"run 2 of 2 is too short .* needs 20: run about \d+ samples more"
    ):
        FieldEnsemble.of(values, runs, fields, TEMPERATURE)
    with pytest.raises(
        RecordError,
        match=r"run 2 of 2 .*: (\d+) independent samples?, needs 20: run about (\d+) ps",
    ) as refused:
        FieldEnsemble.of(values, runs, fields, TEMPERATURE, intervals=[0.1, 0.1])
    held, needed = re.findall(r"\d+(?= ind)|\d+(?= ps)", str(refused.value))
    # 20 ps hold that many, 20 are needed; what is held is rounded down, what is missing up
    assert 20.0 * 20.0 / (int(held) + 1) < 20.0 + int(needed) < 1.1 * 20.0 * 20.0 / int(held)


def test_runs_of_few_correlation_times_are_no_better_together() -> None:
    refused = [CASES["10 runs of 2 correlation times each, in one field"]]
    refused += [CASES["8 runs of 10 correlation times each, in 8 fields"]]
    rng = np.random.default_rng(SEED)
    assert [case(rng) for case in refused for _ in range(10)] == [None] * 20


def test_correlated_runs_are_thinned_before_they_are_joined() -> None:
    joined = ensemble(1, keep=0.9, n_samples=3000)
    # g = 19 of 3000 samples each, known to 23 %, of which every fourth is kept
    assert joined.n_independent.sum() == pytest.approx(3 * 3000 / 19, rel=0.3)
    assert 3 * 3000 / 6 <= len(joined.observable) <= 3 * 3000 / 3
    found = joined.expect(strength(0.15)).estimate
    assert found.value == pytest.approx(exact(strength(0.15)), abs=4 * found.error)


def test_runs_that_do_not_overlap_and_fields_outside_are_refused() -> None:
    far = np.array([strength(0.0), strength(0.6)])
    runs = [draw(field, 1000, 3) for field in far]
    with pytest.raises(RecordError, match=r"overlap by .* at least 0.03"):
        FieldEnsemble.of([run @ DIRECTION for run in runs], runs, far, TEMPERATURE)
    with pytest.raises(RecordError, match="run at a field in between"):
        ensemble(2).expect(strength(0.6))


def test_a_field_along_another_line_is_refused() -> None:
    across = np.cross(strength(0.05), [0.0, 0.0, 1.0])
    with pytest.raises(RecordError, match="is not along"):
        ensemble(1).expect(across)


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


def test_runs_without_a_field_each_are_refused() -> None:
    run = draw(strength(0.0), 100, 1)
    with pytest.raises(RecordError, match="3 runs need one field"):
        FieldEnsemble.of([run[:, 0]] * 3, [run] * 3, FIELDS[:2], TEMPERATURE)
