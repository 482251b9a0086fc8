"""Values with honest errors: means of correlated series, blocks, fits.

Time series of a simulation are correlated: of ``n`` samples only ``n / g`` count, with the
statistical inefficiency ``g = 1 + 2 tau``. Errors here are standard errors (one sigma).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import ModuleType

import numpy as np
from scipy import stats

from mlobs_client.errors import ConfigError, RecordError
from mlobs_client.structure import Array, Integers


@dataclass(frozen=True)
class Estimate:
    """A number with its standard error.

    Attributes:
        value: in ``unit``.
        error: one sigma, in ``unit``; of the mean, not of one sample.
        unit: written as for a reader, ``"1"`` where there is none.
        n_independent: how many independent samples (or blocks) it rests on.
    """

    value: float
    error: float
    unit: str
    n_independent: float

    def __str__(self) -> str:
        if not (np.isfinite(self.error) and self.error > 0):
            return f"{self.value:.6g} {self.unit}"
        decimals = max(0, 1 - int(np.floor(np.log10(self.error))))
        return f"{self.value:.{decimals}f} ± {self.error:.{decimals}f} {self.unit}"

    def __mul__(self, factor: float) -> Estimate:
        """Scale value and error; the unit stays, so give the result its own with ``replace``."""
        return replace(self, value=self.value * factor, error=self.error * abs(factor))


@dataclass(frozen=True)
class LinearFit:
    """A straight line ``intercept + slope x`` with errors.

    Attributes:
        slope: change of y per unit of x.
        intercept: y at x = 0.
        chi_squared: per degree of freedom; about 1 where a line describes the data within
            their errors; NaN where no errors were given.
    """

    slope: Estimate
    intercept: Estimate
    chi_squared: float


def check_series(values: Array, what: str, least: int = 2) -> Array:
    """Return ``values`` as floats after checking that there are enough and all are finite.

    Args:
        values: the first axis is time.
        what: how to call them in the error.
        least: the smallest number of samples that makes sense.

    Raises:
        RecordError: fewer than ``least`` samples, NaN or infinity.
    """
    checked = np.asarray(values, dtype=np.float64)
    if checked.ndim == 0 or len(checked) < least:
        length = 0 if checked.ndim == 0 else len(checked)
        raise RecordError(f"{what}: {length} samples, at least {least} are needed; run longer")
    if not np.isfinite(checked).all():
        index = [int(i) for i in np.argwhere(~np.isfinite(checked))[0]]
        raise RecordError(
            f"{what}{index} is {checked[tuple(index)]}, not a finite number; find the step in the "
            "trajectory and cut it off before"
        )
    return checked


def statistical_inefficiency(series: Array) -> float:
    """Return g = 1 + 2 tau, the number of samples that count as one.

    Args:
        series: shape ``(t,)``; the estimate needs a series of many correlation times.

    Returns:
        At least 1; 1 for a constant series.

    Raises:
        RecordError: fewer than 4 samples, or not finite.
    """
    checked = check_series(series, "series", least=4)
    if np.ptp(checked) == 0.0:
        return 1.0
    # not fast=True: thinning out the sum over lags overestimates g, by 14 % for g = 9
    return float(import_pymbar().timeseries.statistical_inefficiency(checked))


def find_equilibration(series: Array) -> int:
    """Return the sample from which on the series looks stationary.

    The start is chosen such that the remainder holds as many independent samples as possible.

    Args:
        series: shape ``(t,)``, for example the potential energy from the first step on.

    Returns:
        Index of the first sample to keep.

    Raises:
        RecordError: fewer than 10 samples, or not finite.
    """
    checked = check_series(series, "series", least=10)
    stride = max(1, len(checked) // 100)
    start, _, _ = import_pymbar().timeseries.detect_equilibration(checked, fast=True, nskip=stride)
    return int(start)


def mean(series: Array, unit: str = "1") -> Estimate:
    """Mean of a correlated, stationary series, with the error from its statistical inefficiency.

    Args:
        series: shape ``(t,)``, after equilibration.
        unit: of the series.

    Raises:
        RecordError: fewer than 4 samples, or not finite.
    """
    checked = check_series(series, "series", least=4)
    n_independent = len(checked) / statistical_inefficiency(checked)
    error = float(np.std(checked, ddof=1)) / np.sqrt(n_independent)
    return Estimate(float(np.mean(checked)), float(error), unit, n_independent)


def block_mean(series: Array, n_blocks: int = 10, unit: str = "1") -> Estimate:
    """Mean of a series, with the error from the scatter of the means of ``n_blocks`` blocks.

    Right when a block is much longer than the correlation time; then independent of ``n_blocks``.

    Args:
        series: shape ``(t,)``; what is left over after equal blocks is dropped from the front.
        n_blocks: 2 or more; 10 give the error itself to about 25 %.
        unit: of the series.

    Raises:
        ConfigError: fewer than two blocks.
        RecordError: fewer samples than blocks, or not finite.
    """
    if n_blocks < 2:
        raise ConfigError(f"n_blocks = {n_blocks}: an error needs at least 2 blocks")
    checked = check_series(series, "series", least=n_blocks)
    length = len(checked) // n_blocks
    means = checked[-n_blocks * length :].reshape(n_blocks, length).mean(axis=1)
    return Estimate(float(means.mean()), float(stats.sem(means)), unit, n_blocks)


def jackknife(blocks: Array, statistic: Callable[[Array], float], unit: str = "1") -> Estimate:
    """Value and error of a function of the mean over blocks, leaving out one block at a time.

    Args:
        blocks: shape ``(n_blocks, ...)``.
        statistic: from the mean over blocks, shape ``(...)``, to a number; smooth.
        unit: of the number.

    Raises:
        RecordError: fewer than two blocks, or not finite.
    """
    checked = check_series(blocks, "blocks")
    n_blocks = len(checked)
    total = checked.sum(axis=0)
    left_out = [statistic((total - block) / (n_blocks - 1)) for block in checked]
    variance = (n_blocks - 1) * float(np.var(left_out))
    return Estimate(float(statistic(total / n_blocks)), float(np.sqrt(variance)), unit, n_blocks)


def bootstrap(
    blocks: Array,
    statistic: Callable[[Array], float],
    unit: str = "1",
    n_resamples: int = 1000,
    seed: int = 0,
) -> Estimate:
    """Value and error of a function of blocks, drawing blocks with replacement.

    For statistics that are not smooth (medians, maxima); otherwise :func:`jackknife` is cheaper.
    Drawn blocks scatter about their mean with the variance over n, not over n - 1: the error is
    larger than their scatter by sqrt(n/(n - 1)), which makes that of a mean its standard error.

    Args:
        blocks: shape ``(n_blocks, ...)``.
        statistic: from drawn blocks, shape ``(n_blocks, ...)``, to a number.
        unit: of the number.
        n_resamples: how often to draw.
        seed: of the random numbers; the same seed gives the same error.

    Raises:
        RecordError: fewer than two blocks, or not finite.
    """
    checked = check_series(blocks, "blocks")

    def of_drawn(indices: Integers) -> float:
        return statistic(checked[indices])

    drawn = stats.bootstrap(
        (np.arange(len(checked)),),
        of_drawn,
        vectorized=False,
        n_resamples=n_resamples,
        method="percentile",
        rng=np.random.default_rng(seed),
    )
    n_blocks = len(checked)
    error = float(drawn.standard_error) * np.sqrt(n_blocks / (n_blocks - 1))
    return Estimate(float(statistic(checked)), float(error), unit, n_blocks)


def fit_line(
    x: Array, y: Array, errors: Array | None = None, units: tuple[str, str] = ("1", "1")
) -> LinearFit:
    """Fit a straight line by least squares.

    Args:
        x: shape ``(n,)``.
        y: shape ``(n,)``.
        errors: standard errors of ``y``, shape ``(n,)``, all positive; they weigh the points and
            give the errors of the line. Without, the scatter about the line gives them.
        units: of ``x`` and of ``y``.

    Raises:
        RecordError: fewer than 3 points (2 with errors), lengths that differ, no spread in ``x``,
            errors that are not positive, or not finite.
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
    if errors is None:
        fit = stats.linregress(x, y)
        slope, intercept = (fit.slope, fit.stderr), (fit.intercept, fit.intercept_stderr)
        chi_squared = float("nan")
    else:
        slope, intercept, chi_squared = _fit_weighted(x, y, errors)
    return LinearFit(
        Estimate(float(slope[0]), float(slope[1]), slope_unit, len(x)),
        Estimate(float(intercept[0]), float(intercept[1]), units[1], len(x)),
        chi_squared,
    )


def drift(times: Array, values: Array, units: tuple[str, str] = ("1", "1")) -> Estimate:
    """Slope of a series against time, with an error that knows that neighbours are correlated.

    Meant for the conserved quantity. The error of the least-squares line is multiplied by
    sqrt(g), with the statistical inefficiency g of the residuals.

    Args:
        times: shape ``(t,)``.
        values: shape ``(t,)``.
        units: of the times and of the values.

    Raises:
        RecordError: fewer than 4 samples, lengths that differ, or not finite.
    """
    check_series(times, "times", least=4)
    fit = fit_line(times, values, units=units)
    residuals = np.asarray(values) - fit.intercept.value - fit.slope.value * np.asarray(times)
    g = statistical_inefficiency(residuals)
    return replace(fit.slope, error=fit.slope.error * np.sqrt(g), n_independent=len(residuals) / g)


def add_member_spread(statistical: Estimate, members: Array) -> Estimate:
    """Join the statistical error with the spread over a committee, in quadrature.

    The statistical error shrinks with the length of the run, the spread (systematic) does not:
    report both where there is room, and this where there is not.

    Args:
        statistical: value and error with the committee's mean model.
        members: the same number from each member, shape ``(n_members,)``, in the same unit.

    Raises:
        RecordError: fewer than two members, or not finite.
    """
    spread = float(np.std(check_series(members, "members"), ddof=1))
    return replace(statistical, error=float(np.hypot(statistical.error, spread)))


def import_pymbar() -> ModuleType:
    """Import pymbar late, and without what it says at import (that JAX is absent)."""
    logger = logging.getLogger("pymbar")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        import pymbar
    finally:
        logger.setLevel(level)
    return pymbar  # type: ignore[no-any-return]


def _fit_weighted(
    x: Array, y: Array, errors: Array
) -> tuple[tuple[float, float], tuple[float, float], float]:
    errors = check_series(errors, "errors")
    if errors.shape != x.shape or not (errors > 0).all():
        raise RecordError(f"errors of the {len(x)} points must all be positive, got {errors}")
    weights = 1.0 / errors
    (slope, intercept), covariance = np.polyfit(x, y, 1, w=weights, cov="unscaled")
    freedom = len(x) - 2
    pulls = (y - intercept - slope * x) * weights
    chi_squared = float(np.sum(pulls**2)) / freedom if freedom else float("nan")
    slope_error, intercept_error = np.sqrt(np.diag(covariance))
    return (slope, slope_error), (intercept, intercept_error), chi_squared
