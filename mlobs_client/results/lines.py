"""Straight lines through points and along correlated series, with errors."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import scipy

from mlobs_client.errors import RecordError
from mlobs_client.results.estimate import Estimate, check_series, student, too_few
from mlobs_client.results.zero_frequency import (
    FREEDOM,
    WINDOW,
    count_independent,
    zero_frequency_density,
)
from mlobs_client.structure import Array


@dataclass(frozen=True)
class LinearFit:
    """A straight line ``intercept + slope x`` with errors.

    Attributes:
        slope: change of y per unit of x, in the unit of y divided by that of x.
        intercept: y at x = 0, in the unit of y.
        chi_squared: chi squared per degree of freedom; about 1 if a line describes the data within
            their errors; NaN if no errors were given.
    """

    slope: Estimate
    intercept: Estimate
    chi_squared: float


def fit_line(
    x: Array, y: Array, errors: Array | None = None, units: tuple[str, str] = ("1", "1")
) -> LinearFit:
    """Fit a straight line by least squares.

    Args:
        x: shape ``(n,)``, in the first unit.
        y: shape ``(n,)``, in the second unit.
        errors: positive standard errors of ``y``, shape ``(n,)``, in its unit; they give the
            weights of the points, and the errors of the line. If None, the errors of the line
            follow from the scatter.
        units: units of ``x`` and of ``y``.

    Raises:
        RecordError: there are fewer than 3 points (2 with errors), lengths differ, all ``x`` are
            equal, errors are not positive, or numbers are not finite.
    """
    x = check_series(x, "x", least=2 if errors is not None else 3)
    y = check_series(y, "y")
    if x.shape != y.shape or x.ndim != 1 or np.ptp(x) == 0.0:
        raise RecordError(
            f"a line needs two series of equal length with different x; got shapes {x.shape} and "
            f"{y.shape}, x from {x.min():g} to {x.max():g}"
        )
    per = f"({units[0]})" if "/" in units[0] else units[0]
    slope_unit = units[1] if units[0] == "1" else f"{units[1]}/{per}"
    source = f"scatter of {len(x)} points" if errors is None else f"errors of {len(x)} points"
    if errors is None:
        fit = scipy.stats.linregress(x, y)
        widened = student(len(x) - 2)
        slope = (fit.slope, fit.stderr * widened)
        intercept = (fit.intercept, fit.intercept_stderr * widened)
        chi_squared = float("nan")
    else:
        slope, intercept, chi_squared = _fit_weighted(x, y, errors)
    return LinearFit(
        Estimate(float(slope[0]), float(slope[1]), slope_unit, len(x), error_from=source),
        Estimate(float(intercept[0]), float(intercept[1]), units[1], len(x), error_from=source),
        chi_squared,
    )


def drift(times: Array, values: Array, units: tuple[str, str] = ("1", "1")) -> Estimate:
    """Return the slope of a series against time, with an error that allows for correlations.

    It is meant for the conserved quantity. The error is that of a least-squares line through noise
    whose spectral density is that of the residuals at zero frequency.

    Args:
        times: equidistant times, shape ``(t,)``, in the first unit.
        values: shape ``(t,)``, in the second unit.
        units: units of the times and of the values.

    Raises:
        RecordError: there are fewer than 4 samples, lengths differ, or numbers are not finite.
    """
    check_series(times, "times", least=4)
    fit = fit_line(times, values, units=units)
    residuals = np.asarray(values) - fit.intercept.value - fit.slope.value * np.asarray(times)
    n_independent = count_independent(residuals)
    spread = float(np.sqrt(len(times)) * np.std(times))
    freedom = min(n_independent - 2.0, FREEDOM * WINDOW)
    error = np.sqrt(zero_frequency_density(residuals, n_fitted=2)) / spread * student(freedom)
    interval = abs(float(times[-1] - times[0])) / (len(times) - 1) if units[0] == "ps" else None
    slope = replace(
        fit.slope,
        error=float(error),
        n_independent=n_independent,
        freedom=freedom,
        error_from="spectral density of the residuals at zero frequency",
    )
    return slope.without_error(too_few(n_independent, len(residuals), interval))


def _fit_weighted(
    x: Array, y: Array, errors: Array
) -> tuple[tuple[float, float], tuple[float, float], float]:
    errors = check_series(errors, "errors")
    if errors.shape != x.shape or not (errors > 0).all():
        raise RecordError(f"errors of the {len(x)} points must all be positive, got {errors}")
    weights = 1.0 / errors
    middle = float(np.average(x, weights=weights**2))  # about it, slope and level are independent
    (slope, level), covariance = np.polyfit(x - middle, y, 1, w=weights, cov="unscaled")
    intercept = level - slope * middle
    freedom = len(x) - 2
    pulls = (y - intercept - slope * x) * weights
    chi_squared = float(np.sum(pulls**2)) / freedom if freedom else float("nan")
    slope_error, level_error = np.sqrt(np.diag(covariance))
    intercept_error = np.hypot(level_error, middle * slope_error)
    return (slope, slope_error), (intercept, intercept_error), chi_squared
