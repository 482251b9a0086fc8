"""Spectral density of a series at zero frequency: what the variance of its mean is made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from mlobs_client.results.correlation import autocorrelation, lag_window
from mlobs_client.results.estimate import FEWEST, check_series
from mlobs_client.structure import Array

WINDOW: Final = 10
"""The longest lag of the autocorrelation is the length of the series over this."""

LOST: Final = 0.75
"""Area of the Parzen window, from minus to plus the longest lag, over that lag: the share of the
spectral density at zero frequency that a fitted mean takes away, per lag over length."""

FREEDOM: Final = 3.7
"""Degrees of freedom of a density through a Parzen window, per length over longest lag (Priestley,
Spectral Analysis and Time Series, table 6.1)."""

N_COARSE: Final = 50
"""Blocks whose means show what relaxes more slowly than the window."""

SLOWEST: Final = 0.97
"""Highest correlation between neighbouring blocks that is believed: 30 blocks are then one."""

TRUSTED: Final = 2.5
"""Of the slowest part, how often it has relaxed is known to a third only: an error goes without
where this number of times what was found is too few, and not where chance makes it so."""

ROUNDING: Final = 1e-14
"""Of the largest value: what scatters less is constant."""

LEAST_DENSITY: Final = 1e-6
"""Of the variance: a vibration without any noise has a density of zero, and no last digit."""


def zero_frequency_density(series: Array | Sequence[Array], n_fitted: int = 1) -> float:
    r"""Spectral density at zero frequency, :math:`\sum_k C_k` over all lags.

    The variance of the mean is this over the number of samples. What relaxes more slowly than the
    window (a tenth of the series) is seen too small; means of blocks, made white by their first
    autocorrelation, tell by how much.

    Args:
        series: shape ``(t,)``, or one such for each independent run; its mean is taken off.
        n_fitted: numbers that were fitted to the series and taken off: 1 for the mean, 2 for a
            line. Each takes low frequencies away, which is corrected.

    Returns:
        In the square of the unit of the series; zero for a constant one.

    Raises:
        RecordError: fewer than 4 samples, or not finite.
    """
    given = [series] if isinstance(series, np.ndarray) and series.ndim < 2 else list(series)
    runs = [check_series(run, "series", least=4) for run in given]
    lengths = [len(run) for run in runs]
    densities = [_windowed_density(run, n_fitted) for run in runs]
    # of each run noisy, and by chance below 1: at least 1 in the mean only
    corrections = [_correct_slow(_block_means(run), n_fitted) for run in runs]
    correction = max(1.0, float(np.average(corrections, weights=lengths)))
    return float(np.average(densities, weights=lengths)) * correction


def statistical_inefficiency(series: Array) -> float:
    """Return g = 1 + 2 tau, the number of samples that count as one.

    It is below 1 for a vibration, whose mean is known better than that of independent samples.
    In series of fewer than 50 independent samples it is too small, by a third at 20, as the window
    of a tenth of the series cuts the correlation; their errors know that.

    Args:
        series: shape ``(t,)``; the estimate needs a series of many correlation times.

    Returns:
        A positive number; 1 for a constant series.

    Raises:
        RecordError: fewer than 4 samples, or not finite.
    """
    checked = check_series(series, "series", least=4)
    variance = float(np.var(checked, ddof=1))
    if np.sqrt(variance) <= ROUNDING * np.abs(checked).max():
        return 1.0
    return max(_windowed_density(checked, 1), LEAST_DENSITY * variance) / variance


def count_independent(series: Array) -> float:
    """Return how many independent samples a series holds: n/g, or that of its slowest part.

    A slow relaxation below a fast vibration has little of the variance, and yet decides the error
    of the mean. Means of blocks, from which the vibration is gone, tell how often it has relaxed;
    where that is too rarely, it is what counts, without what the window hides.

    Args:
        series: shape ``(t,)``.

    Raises:
        RecordError: fewer than 4 samples, or not finite.
    """
    count = len(series) / statistical_inefficiency(series)
    means = _block_means(check_series(series, "series", least=4))
    if np.ptp(means) <= ROUNDING * np.abs(series).max():
        return count
    correction = max(1.0, _correct_slow(means, 1))
    slow = TRUSTED * len(means) / statistical_inefficiency(means) / correction
    return count if min(count, slow) >= FEWEST else min(count, slow / TRUSTED)


def _windowed_density(series: Array, n_fitted: int) -> float:
    """Spectral density at zero frequency through a Parzen window of a tenth of the series."""
    max_lag = max(1, len(series) // WINDOW)
    lagged = autocorrelation(series - series.mean(), max_lag)
    weights = lag_window("parzen", max_lag)
    density = float(lagged[0] + 2.0 * lagged[1:] @ weights[1:])
    return max(0.0, density) / (1.0 - LOST * n_fitted * max_lag / len(series))


def _correct_slow(means: Array, n_fitted: int) -> float:
    """By how much the window makes the density of these means too small.

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
    """Of about :data:`N_COARSE` blocks; what is left over is dropped from the front."""
    length = max(1, len(series) // N_COARSE)
    return np.asarray(series[len(series) % length :].reshape(-1, length).mean(axis=1))
