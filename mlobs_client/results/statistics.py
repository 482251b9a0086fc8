"""Means of correlated series and of independent numbers, with reliable errors.

Time series of a simulation are correlated. The variance of their mean is their spectral density at
zero frequency divided by the number of samples. This holds for a relaxation, for a vibration,
whose mean is known better than that of independent samples, and for their sum. The number of
independent samples is ``n / g``, with the statistical inefficiency ``g = 1 + 2 tau``.

Errors are standard errors (one sigma), widened by Student's t; a series of fewer than
:data:`~mlobs_client.results.estimate.FEWEST` independent samples has none.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import ModuleType
from typing import Final

import numpy as np
import scipy

from mlobs_client.errors import RecordError
from mlobs_client.results.correlation import split_blocks
from mlobs_client.results.estimate import (
    FEWEST,
    FEWEST_RUNS,
    Estimate,
    check_series,
    student,
    too_few,
)
from mlobs_client.results.run_length import longer_by
from mlobs_client.results.zero_frequency import (
    FREEDOM,
    ROUNDING,
    WINDOW,
    count_independent,
    zero_frequency_density,
)
from mlobs_client.structure import Array

MOST_SHORT: Final = 0.1
"""Largest fraction of samples in short runs for which the error of the long runs applies to
all."""

OF_SERIES: Final = "spectral density of the series at zero frequency"
"""Source of the error of a mean."""

LONG: Final = 5.0
"""Minimum length of independent blocks of one run, in correlation times."""

MARGIN: Final = 1.5
"""Factor on the length that is advised: short series make their own correlation time too short."""


def mean(
    series: Array | Sequence[Array], unit: str = "1", interval: float | None = None
) -> Estimate:
    """Return the mean of a correlated, stationary series, or of several independent ones.

    The error follows from the spectral density at zero frequency. If series that hold more than a
    tenth of all samples are too short for that, the error follows from the scatter of three or more
    series; for one or two series there is none. The scatter is also used if it is larger than the
    errors allow.

    Args:
        series: shape ``(t,)``, in ``unit``, after equilibration, or one such array for each
            independent run.
        unit: unit of the series.
        interval: time between samples, ps, for the reason given in place of an error.

    Raises:
        RecordError: a series has fewer than 4 samples, or numbers are not finite.

    Example:
        A series with a correlation time of about ten samples::

            >>> import numpy as np
            >>> from scipy.signal import lfilter
            >>> from mlobs_client.results import mean
            >>> noise = np.random.default_rng(0).normal(size=20_000)
            >>> temperature = mean(300.0 + lfilter([1.0], [1.0, -0.9], noise), "K")
            >>> print(f"{temperature.value:.0f} ± {temperature.error:.1f} {temperature.unit}")
            300 ± 0.1 K
            >>> temperature.n_independent < 2000
            True
    """
    unchecked = [series] if isinstance(series, np.ndarray) and series.ndim < 2 else list(series)
    if not unchecked:
        raise RecordError("series: no run was given; give at least one")
    runs = [check_series(run, "series", least=4) for run in unchecked]
    lengths = np.array([len(run) for run in runs], dtype=np.float64)
    counts = np.array([count_independent(run) for run in runs])
    value, is_long = float(np.mean(np.concatenate(runs))), counts >= FEWEST
    if np.ptp(np.concatenate(runs)) <= ROUNDING * abs(value):
        return Estimate(value, 0.0, unit, float(lengths.sum()))
    if lengths[~is_long].sum() > MOST_SHORT * lengths.sum():
        if len(runs) >= FEWEST_RUNS:
            return _mean_of_runs(runs, unit)
        least = int(np.argmin(counts))
        reason = too_few(float(counts[least]), len(runs[least]), interval, n_runs=len(runs))
        return Estimate(value, np.nan, unit, float(counts[least]), reason)
    long_runs = [run for run, enough in zip(runs, is_long, strict=True) if enough]
    n_independent = float(counts[is_long].sum())
    freedom = min(n_independent - 1.0, FREEDOM * WINDOW * len(long_runs))
    error = float(np.sqrt(zero_frequency_density(long_runs) / lengths.sum())) * student(freedom)
    estimate = Estimate(value, error, unit, n_independent, freedom=freedom, error_from=OF_SERIES)
    return _mean_of_runs(runs, unit) if _disagree(long_runs, estimate) else estimate


def mean_of_independent(values: Array, unit: str = "1", what: str = "blocks") -> Estimate:
    """Return the mean of independent numbers, such as blocks, with the error from their scatter.

    Fewer than three numbers give no error.

    Args:
        values: shape ``(n,)``, in ``unit``.
        unit: unit of the numbers.
        what: what the numbers come from, such as "blocks".

    Raises:
        RecordError: there are no numbers, or numbers are not finite.
    """
    checked = check_series(values, "blocks", least=1)
    value, n_values = float(checked.mean()), len(checked)
    if n_values < FEWEST_RUNS:
        reason = f"{n_values} value{'s' if n_values > 1 else ''}, needs {FEWEST_RUNS}"
        return Estimate(value, np.nan, unit, n_values, reason)
    error = float(scipy.stats.sem(checked)) * student(n_values - 1)
    return Estimate(value, error, unit, n_values, error_from=f"scatter of {n_values} {what}")


def widen_skewed(mean: Estimate) -> Estimate:
    r"""Widen the error of a mean of squared Gaussian variables, because squares are skewed.

    If the squares are small by chance, so is their scatter, from which the error follows. To first
    order in :math:`1/n` the squared deviation divided by the squared error is :math:`1 + 2
    \gamma^2/n` on average, and the squares of Gaussians have the skewness :math:`\gamma^2/n = 4
    \,(\mathrm{error}/\mathrm{mean})^2`.

    Source:
        Hall, The Bootstrap and Edgeworth Expansion (1992), section 2.6.
    """
    relative = mean.error / mean.value if mean.value > 0.0 else 0.0
    return replace(mean, error=mean.error * float(np.sqrt(1.0 + 8.0 * relative**2)))


def too_short(runs: Sequence[Array], length: int, interval: float | None = None) -> str:
    """Return the reason why blocks are not independent, or an empty string if they are.

    Args:
        runs: samples of each run, shape ``(t, ...)``, any unit; the slowest component decides.
        length: length of a block, samples.
        interval: time between samples, ps; None to give the missing length in samples.
    """
    components = [column for run in runs for column in run.reshape(len(run), -1).T]
    time = max(map(_correlation_time, components))
    if length >= LONG * time:
        return ""
    missing = (MARGIN * LONG * time / length - 1.0) * sum(map(len, runs)) / len(runs)
    advice = longer_by(missing, interval, len(runs))
    return (
        f"blocks of {length / time:.1f} correlation times, each needs {LONG:g}: run about {advice}"
    )


def independent_blocks(
    runs: Sequence[Array],
    n_blocks: int,
    memory: Sequence[Array],
    interval: float | None = None,
) -> tuple[list[Array], str]:
    """Cut runs into blocks, which are independent if the runs are long enough.

    If blocks are too short to be independent, three or more whole runs replace them.

    Args:
        runs: samples of each run, shape ``(t, ...)``, any unit.
        n_blocks: minimum number of blocks.
        memory: series of each run that give the correlation time, shape ``(t,)`` or ``(t, k)``, any
            unit.
        interval: time between samples, ps; None to give lengths in samples.

    Returns:
        The blocks, and the reason why they give no errors, which is empty if they do.
    """
    blocks = split_blocks(runs, n_blocks)
    reason = too_short(memory, len(blocks[0]), interval)
    if reason and len(runs) >= FEWEST_RUNS:
        return list(runs), ""
    return blocks, reason


def jackknife(
    blocks: Array, statistic: Callable[[Array], float], unit: str = "1", what: str = "blocks"
) -> Estimate:
    """Return the value and the jackknife error of a function of the mean over blocks.

    A single block gives no error.

    Args:
        blocks: shape ``(n_blocks, ...)``, any unit.
        statistic: smooth function of the mean over blocks, shape ``(...)``, that returns a number.
        unit: unit of the number.
        what: what the blocks are, such as "runs".

    Raises:
        RecordError: there are no blocks, or numbers are not finite.
    """
    checked = check_series(blocks, "blocks", least=1)
    n_blocks = len(checked)
    total = checked.sum(axis=0)
    value = float(statistic(total / n_blocks))
    if n_blocks < 2:
        return Estimate(value, np.nan, unit, n_blocks, f"1 {what.removesuffix('s')}, needs 2")
    left_out = [statistic((total - block) / (n_blocks - 1)) for block in checked]
    error = np.sqrt((n_blocks - 1) * np.var(left_out)) * student(n_blocks - 1)
    source = f"jackknife over {n_blocks} {what}"
    return Estimate(value, float(error), unit, n_blocks, error_from=source)


def import_pymbar() -> ModuleType:
    """Import pymbar only when it is needed, without its message that JAX is absent."""
    logger = logging.getLogger("pymbar")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        import pymbar
    finally:
        logger.setLevel(level)
    return pymbar  # type: ignore[no-any-return]


def _correlation_time(series: Array) -> float:
    """Return the correlation time in samples; zero for a constant series."""
    variance = float(np.var(series))
    if np.sqrt(variance) <= ROUNDING * np.abs(series).max():
        return 0.0
    return 0.5 * max(0.0, zero_frequency_density(series) / variance - 1.0)


def _disagree(runs: Sequence[Array], mean: Estimate) -> bool:
    """Return True if chance explains the scatter of three or more runs in only 1 of 1000 cases.

    Each run is then in a state of its own, and only their scatter gives the error of the mean.
    """
    if len(runs) < FEWEST_RUNS:
        return False
    scatter = _mean_of_runs(runs, mean.unit).error / student(len(runs) - 1)
    largest = scipy.stats.chi2.ppf(0.999, len(runs) - 1) / (len(runs) - 1)
    return bool(scatter**2 > largest * mean.error**2)


def _mean_of_runs(runs: Sequence[Array], unit: str) -> Estimate:
    """Return the mean of runs that are too short for errors, with an error from their scatter."""
    weights = np.array([len(run) for run in runs], dtype=np.float64)
    weights /= weights.sum()
    means = np.array([run.mean() for run in runs])
    value, n_runs = float(weights @ means), len(runs)
    variance = n_runs / (n_runs - 1.0) * float(weights**2 @ (means - value) ** 2)
    error, source = float(np.sqrt(variance)) * student(n_runs - 1), f"scatter of {n_runs} runs"
    return Estimate(value, error, unit, n_runs, error_from=source)
