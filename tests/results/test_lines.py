"""Errors of straight lines are those of the scatter over repetitions."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from error_bars import relaxation

from mlobs_client.errors import RecordError
from mlobs_client.results.lines import drift, fit_line

Array = npt.NDArray[np.float64]


def correlated(n_samples: int, seed: int) -> Array:
    """Each sample keeps 0.8 of the one before; g = 9."""
    return 5.0 / 3.0 * relaxation(n_samples, 4.481, np.random.default_rng(seed))[:, 0]


@pytest.mark.parametrize("weighted", [True, False])
def test_errors_of_a_fitted_line_are_the_scatter_over_repetitions(weighted: bool) -> None:
    rng = np.random.default_rng(8)
    x = np.linspace(-2.0, 5.0, 30)
    errors = np.linspace(0.1, 1.0, 30) if weighted else np.full(30, 0.5)
    fits = [
        fit_line(x, 1.5 - 0.7 * x + errors * rng.normal(size=30),
                            errors if weighted else None)
        for _ in range(400)
    ]  # fmt: skip
    slopes = np.array([(fit.slope.value + 0.7) / fit.slope.error for fit in fits])
    intercepts = np.array([(fit.intercept.value - 1.5) / fit.intercept.error for fit in fits])
    # 400 pulls: their width is known to 3.5 %; Student with 28 degrees of freedom adds 2 %
    assert np.std(slopes) == pytest.approx(1.0, abs=0.14)
    assert np.std(intercepts) == pytest.approx(1.0, abs=0.14)
    if weighted:
        assert np.mean([fit.chi_squared for fit in fits]) == pytest.approx(1.0, abs=0.06)


def test_the_error_of_a_drift_knows_that_neighbours_are_correlated() -> None:
    times = np.linspace(0.0, 10.0, 2000)
    drifts = [drift(times, 0.3 * times + correlated(2000, s)) for s in range(200)]
    pulls = [(one.value - 0.3) / one.error for one in drifts]
    # without the correlation the width would be sqrt(9) = 3; 200 pulls give 5 %
    assert np.std(pulls) == pytest.approx(1.0, abs=0.2)


def test_units_of_a_line_are_those_of_its_axes() -> None:
    fit = fit_line(np.arange(4.0), np.array([1.0, 3.1, 4.9, 7.0]), None, ("ps", "meV"))
    assert (fit.slope.unit, fit.intercept.unit) == ("meV/ps", "meV")
    assert np.isnan(fit.chi_squared)


def test_a_line_far_from_zero_has_the_slope_of_the_same_line_at_zero() -> None:
    x, rng = 1e-4 * np.arange(30.0), np.random.default_rng(1)
    y, errors = 3.0 * x + 1e-4 * rng.normal(size=30), np.full(30, 1e-4)
    near, far = fit_line(x, y, errors), fit_line(1e6 + x, y, errors)
    assert far.slope.value == pytest.approx(near.slope.value, rel=1e-5)
    assert far.slope.error == pytest.approx(near.slope.error, rel=1e-5)


@pytest.mark.parametrize(
    ("x", "y", "errors", "said"),
    [
        ([1.0, 2.0], [1.0, 2.0], None, "2 samples, but at least 3"),
        ([1.0, 2.0, 3.0], [1.0, 2.0], None, "equal length"),
        ([2.0, 2.0, 2.0], [1.0, 2.0, 3.0], None, "different x"),
        ([1.0, 2.0, 3.0], [1.0, 2.0, 3.0], [1.0, 0.0, 1.0], "must all be positive"),
        ([1.0, 2.0, np.inf], [1.0, 2.0, 3.0], None, r"x\[2\] is inf"),
    ],
)
def test_points_that_give_no_line_are_refused(
    x: list[float], y: list[float], errors: list[float] | None, said: str
) -> None:
    given = None if errors is None else np.array(errors)
    with pytest.raises(RecordError, match=said):
        fit_line(np.array(x), np.array(y), given)
