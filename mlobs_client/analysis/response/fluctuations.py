r"""Estimate how much a quantity fluctuates along correlated runs, with errors of the variances.

The mean is estimated from the same samples, which lowers the covariances at all lags by the
variance of that mean, :math:`S_{ij}(0)/n`; it is added back. The errors follow from Bartlett's
formula for Gaussian fluctuations, such as those of a sum over many molecules,

.. math:: \mathrm{var}(c_{ij})
          = \frac{1}{n} \sum_k \left[C_{ii}(k)\, C_{jj}(k) + C_{ij}(k)^2\right],

and are less noisy than errors from the squares themselves.

Source:
    Bartlett, Suppl. J. R. Stat. Soc. 8, 27 (1946).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Final

import numpy as np

from mlobs_client.errors import RecordError
from mlobs_client.results.correlation import autocorrelation
from mlobs_client.results.estimate import (
    FEWEST_RUNS,
    Estimate,
    check_series,
    student,
    too_few,
)
from mlobs_client.results.statistics import jackknife, widen_skewed
from mlobs_client.results.zero_frequency import (
    WINDOW,
    count_independent,
    zero_frequency_density,
)
from mlobs_client.structure import Array

SPIKY: Final = 2.5
"""Ratio of the variance of the products to the variance for Gaussians above which the former is
used, although it is noisier; fluctuations that come in bursts exceed this ratio."""

OF_FLUCTUATIONS: Final = "autocorrelations of the series, by Bartlett's formula"

FEWEST_OF_ONE: Final = 50
"""Number of independent samples below which single elements have no error: the variance of one
component is more skewed than the mean of three, and with 30 samples the squared deviation from the
true value would be 1.37 squared errors on average."""

FEWEST_OF_RUNS: Final = 100
"""The same for the total of short runs, whose scatter gives the errors: it is skewed, too."""

PER_FREEDOM: Final = 12.0
"""Independent samples per degree of freedom of Bartlett's sum over lags for one variance, from
random series; a covariance of two components has twice as many degrees of freedom."""


@dataclass(frozen=True)
class Covariance:
    """Covariances of the components of a vector.

    Attributes:
        tensor: shape ``(k, k)``, symmetric, in the square of the unit of the vector.
        errors: standard errors, shape ``(k, k)``, in the unit of the tensor; NaN if the runs are
            too short.
        no_error: reason why the elements have no errors; empty if they have errors.
        mean: mean of the diagonal.
    """

    tensor: Array
    errors: Array
    no_error: str
    mean: Estimate


def covariance(runs: Sequence[Array], interval: float | None = None) -> Covariance:
    """Return the covariance tensor of a vector along correlated, stationary runs.

    If fluctuations come in bursts, the errors follow from the scatter of the products rather than
    from Bartlett's formula. If one of three or more runs is too short, the errors are those of a
    jackknife over the runs.

    Args:
        runs: vector along each run, shape ``(t, k)``, all in one unit; the mean of all runs is
            subtracted.
        interval: time between samples, ps, for the reason given in place of an error.

    Raises:
        RecordError: there is no run, one has fewer than 10 samples, or numbers are not finite.
    """
    if not runs:
        raise RecordError("series: no run was given")
    checked = [check_series(run, "series", least=WINDOW) for run in runs]
    average = np.concatenate(checked).mean(axis=0)
    deviations = [run - average for run in checked]
    counts = [min(map(count_independent, run.T)) for run in deviations]
    least = int(np.argmin(counts))
    n_runs = len(runs)
    reason = too_few(counts[least], len(deviations[least]), interval, n_runs=n_runs)
    per_run = sum(map(len, deviations)) / n_runs
    if reason and n_runs >= FEWEST_RUNS:
        of_one = too_few(sum(counts), per_run, interval, FEWEST_OF_RUNS, n_runs)
        return _of_short_runs(deviations, of_one)
    n_independent = float(counts[least] if reason else sum(counts))
    n_samples = len(deviations[least]) if reason else per_run
    of_one = too_few(n_independent, n_samples, interval, FEWEST_OF_ONE, n_runs)
    mean, tensor, errors = _of_gaussians(deviations, n_independent)
    return Covariance(
        tensor,
        np.full_like(errors, np.nan) if of_one else errors,
        of_one,
        mean.without_error(of_one if len(tensor) == 1 else reason),
    )


def _of_gaussians(
    deviations: Sequence[Array], n_independent: float
) -> tuple[Estimate, Array, Array]:
    """Return the mean of the diagonal, the tensor and its errors by Bartlett's formula."""
    n_samples = sum(map(len, deviations))
    max_lag = max(map(len, deviations)) // WINDOW

    def correlate(one: Array) -> Array:
        """Return lags up to twice the longest one; zeros beyond the end of a shorter run."""
        known = autocorrelation(one, min(2 * max_lag, len(one) - 1))
        return np.pad(known, (0, 2 * max_lag + 1 - len(known)))

    lagged = _of_pairs(deviations, correlate)  # [i, j, lag]
    densities = _of_pairs(deviations, lambda one: np.array([zero_frequency_density(one)]))[..., 0]
    lagged = lagged + densities[..., None] / n_samples
    tensor = lagged[..., 0]
    alone = np.einsum("iin->in", lagged)
    variances = _sum_over_lags(alone[:, None] * alone + lagged**2, max_lag) / n_samples
    of_trace = _sum_over_lags(2.0 * np.sum(lagged**2, axis=(0, 1)), max_lag) / n_samples
    products = [run[:, :, None] * run[:, None] for run in deviations]  # [t, i, j]
    variances = _replace_spiky(variances, products, n_samples)
    traces = [np.trace(one, axis1=1, axis2=2)[:, None, None] for one in products]
    of_trace = _replace_spiky(of_trace.reshape(1, 1), traces, n_samples)
    freedoms = (2.0 - np.eye(len(tensor))) * n_independent / PER_FREEDOM
    errors = np.sqrt(variances) * np.vectorize(student)(freedoms)
    relative = _relative(np.diag(errors), np.diag(tensor))
    errors = errors * (1.0 + np.outer(relative, relative))
    trace = float(np.trace(tensor))
    error = np.sqrt(of_trace[0, 0]) * student(float(np.triu(freedoms).sum()))
    error = error * (1.0 + _relative(error, trace) ** 2)
    mean = Estimate(trace, float(error), "1", n_independent, error_from=OF_FLUCTUATIONS)
    return mean * (1.0 / len(tensor)), tensor, errors


def _of_pairs(runs: Sequence[Array], function: Callable[[Array], Array]) -> Array:
    """Evaluate a quadratic function of a series for all pairs of components, ``[i, j, ...]``.

    The mean over runs is weighted by their lengths; pairs follow from sums and differences. The
    result is symmetric in i and j.
    """
    lengths = [len(run) for run in runs]

    def of(series: Sequence[Array]) -> Array:
        return np.asarray(np.average([function(one) for one in series], axis=0, weights=lengths))

    n_components = runs[0].shape[1]
    found = [[np.zeros(0)] * n_components for _ in range(n_components)]
    for i, j in combinations_with_replacement(range(n_components), 2):
        if i == j:
            found[i][i] = of([run[:, i] for run in runs])
            continue
        sums = of([run[:, i] + run[:, j] for run in runs])
        found[i][j] = found[j][i] = (sums - of([run[:, i] - run[:, j] for run in runs])) / 4.0
    return np.array(found)


def _sum_over_lags(products: Array, max_lag: int) -> Array:
    """Sum over positive and negative lags, ``[..., lag]``, minus the noise of longer lags."""
    within = products[..., 0] + 2.0 * products[..., 1 : max_lag + 1].sum(axis=-1)
    noise = 2.0 * products[..., max_lag + 1 :].sum(axis=-1)
    return np.asarray(np.maximum(within - noise, 0.5 * within))


def _replace_spiky(variances: Array, products: Sequence[Array], n_samples: int) -> Array:
    """Replace variances by those of the products that scatter far more than those of Gaussians.

    Args:
        variances: variances of the means of products of Gaussians, shape ``(i, j)``.
        products: products along each run, shape ``(t, i, j)``.
        n_samples: number of samples of all runs.
    """
    found = variances.copy()
    for i, j in np.ndindex(variances.shape):
        seen = zero_frequency_density([one[:, i, j] for one in products]) / n_samples
        if seen > SPIKY * variances[i, j]:
            found[i, j] = seen
    return found


def _relative(errors: Array, variances: Array | float) -> Array:
    """Return the errors of variances over their values; 0 if nothing fluctuates.

    If a variance is small by chance, so are its error and those of its covariances, which would not
    contain the true values. Errors are widened by the product of the relative errors.
    """
    zero = np.zeros_like(errors)
    return np.asarray(np.divide(errors, variances, out=zero, where=np.asarray(variances) > 0.0))


def _of_short_runs(runs: Sequence[Array], of_one: str) -> Covariance:
    """Return the covariance of three or more short runs, with errors by a jackknife over them.

    Args:
        runs: deviations from the common mean.
        of_one: reason if single elements have no errors; empty otherwise.
    """
    means = np.array([run.mean(axis=0) for run in runs])
    squares = np.array([run.T @ run / len(run) for run in runs])
    of_means = means[:, :, None] * means[:, None, :]
    moments = np.stack([squares, of_means, np.broadcast_to(means[:, :, None], squares.shape)], 1)

    def tensor(average: Array) -> Array:
        """Correct for the variance of the common mean, that of the means over their number."""
        common = np.outer(average[2, :, 0], average[2, :, 0])
        return np.asarray(average[0] - common + (average[1] - common) / (len(runs) - 1))

    def element(i: int, j: int) -> Estimate:
        found = jackknife(moments, lambda average: float(tensor(average)[i, j]))
        return widen_skewed(found) if i == j else found

    k = range(means.shape[1])
    elements = [[element(i, j) for j in k] for i in k]
    errors = np.array([[one.error for one in row] for row in elements])
    mean = widen_skewed(
        jackknife(moments, lambda one: float(np.trace(tensor(one))) / len(k), what="runs")
    )
    return Covariance(
        np.array([[one.value for one in row] for row in elements]),
        np.full_like(errors, np.nan) if of_one else errors,
        of_one,
        mean.without_error(of_one if len(k) == 1 else ""),
    )
