"""Spectral density of a series at zero frequency, which determines the variance of its mean."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from mlobs_client.results.correlation import autocorrelation, lag_window
from mlobs_client.results.estimate import FEWEST, check_series
from mlobs_client.structure import Array

WINDOW: Final = 10
"""Length of the series divided by the longest lag of its autocorrelation."""

LOST: Final = 0.75
"""Area of the Parzen window, from minus to plus the longest lag, divided by that lag. Multiplied by
the longest lag and divided by the length of the series, it is the fraction of the spectral density
at zero frequency that is lost when a mean is subtracted."""

FREEDOM: Final = 3.7
"""Degrees of freedom of a density with a Parzen window, divided by the ratio of the length of the
series to the longest lag (Priestley, Spectral Analysis and Time Series, table 6.1)."""

N_COARSE: Final = 50
"""Number of blocks whose means show relaxations that are slower than the window."""

SLOWEST: Final = 0.97
"""Upper limit of the correlation between neighbouring blocks; at this limit it lasts 30 blocks."""

TRUSTED: Final = 2.5
"""Factor applied to the number of relaxations of the slowest part, which is known only to within a
third: an error is refused only if this multiple of the number is too small, not if the number is
small by chance."""

ROUNDING: Final = 1e-14
"""Fraction of the largest value below which scatter is due to rounding, and a series counts as
constant."""

LEAST_DENSITY: Final = 1e-6
"""Lower limit of a density, as a fraction of the variance: a vibration without noise has zero
density."""


def zero_frequency_density(series: Array | Sequence[Array], n_fitted: int = 1) -> float:
    r"""Return the spectral density at zero frequency, :math:`\sum_k C_k` over all lags.

    The variance of the mean is the density divided by the number of samples. The density of
    relaxations slower than the window (a tenth of the series) would be too small; it is corrected
    with the means of blocks, after prewhitening with their first autocorrelation.

    Args:
        series: shape ``(t,)``, any unit, or one such array for each independent run; the mean of
            each is subtracted.
        n_fitted: number of parameters that were fitted to the series and subtracted: 1 for the
            mean, 2 for a line. Each removes low frequencies; this is corrected for.

    Returns:
        The density, in the square of the unit of the series; zero for a constant series.

    Raises:
        RecordError: a series has fewer than 4 samples, or numbers are not finite.
    """
    unchecked = [series] if isinstance(series, np.ndarray) and series.ndim < 2 else list(series)
    runs = [check_series(run, "series", least=4) for run in unchecked]
    lengths = [len(run) for run in runs]
    densities = [_windowed_density(run, n_fitted) for run in runs]
    # corrections of single runs are noisy and may be below 1 by chance; their mean may not
    corrections = [_correct_slow(_block_means(run), n_fitted) for run in runs]
    correction = max(1.0, float(np.average(corrections, weights=lengths)))
    return float(np.average(densities, weights=lengths)) * correction


def statistical_inefficiency(series: Array) -> float:
    """Return g = 1 + 2 tau, the number of samples per independent sample.

    It is below 1 for a vibration, whose mean is known better than that of independent samples. In
    series of fewer than 50 independent samples it is too small, by a third at 20, because the
    window of a tenth of the series cuts the correlation off; errors are corrected for this.

    Args:
        series: shape ``(t,)``, any unit; it should last for many correlation times.

    Returns:
        A positive number; 1 for a constant series.

    Raises:
        RecordError: there are fewer than 4 samples, or numbers are not finite.
    """
    checked = check_series(series, "series", least=4)
    variance = float(np.var(checked, ddof=1))
    if np.sqrt(variance) <= ROUNDING * np.abs(checked).max():
        return 1.0
    return max(_windowed_density(checked, 1), LEAST_DENSITY * variance) / variance


def count_independent(series: Array) -> float:
    """Return the number of independent samples of a series: n/g, or that of its slowest part.

    A slow relaxation hidden by a fast vibration contributes little to the variance, but dominates
    the error of the mean. The means of blocks, in which the vibration averages out, give the number
    of relaxations; if this number is too small for an error, it is returned, corrected for the
    window.

    Args:
        series: shape ``(t,)``, any unit.

    Raises:
        RecordError: there are fewer than 4 samples, or numbers are not finite.
    """
    count = len(series) / statistical_inefficiency(series)
    means = _block_means(check_series(series, "series", least=4))
    if np.ptp(means) <= ROUNDING * np.abs(series).max():
        return count
    correction = max(1.0, _correct_slow(means, 1))
    slow = TRUSTED * len(means) / statistical_inefficiency(means) / correction
    return count if min(count, slow) >= FEWEST else min(count, slow / TRUSTED)


def _windowed_density(series: Array, n_fitted: int) -> float:
    """Return the density at zero frequency with a Parzen window of a tenth of the series."""
    max_lag = max(1, len(series) // WINDOW)
    lagged = autocorrelation(series - series.mean(), max_lag)
    weights = lag_window("parzen", max_lag)
    density = float(lagged[0] + 2.0 * lagged[1:] @ weights[1:])
    return max(0.0, density) / (1.0 - LOST * n_fitted * max_lag / len(series))


def _correct_slow(means: Array, n_fitted: int) -> float:
    """Return the factor by which the window makes the density of these means too small.

    Source:
        Andrews and Monahan, Econometrica 60, 953 (1992).
    """
    deviations = means - means.mean()
    squares = float(deviations @ deviations)
    seen = _windowed_density(deviations, n_fitted)
    if seen <= 0.0 or squares == 0.0:
        return 1.0
    memory = min(float(deviations[1:] @ deviations[:-1]) / squares, SLOWEST)
    white = _windowed_density(deviations[1:] - memory * deviations[:-1], n_fitted)
    return white / (1.0 - memory) ** 2 / seen


def _block_means(series: Array) -> Array:
    """Return means of about :data:`N_COARSE` blocks; surplus samples at the start are dropped."""
    length = max(1, len(series) // N_COARSE)
    return np.asarray(series[len(series) % length :].reshape(-1, length).mean(axis=1))
