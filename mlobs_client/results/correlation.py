r"""Autocorrelation functions, lag windows, and transforms to spectral densities.

A spectral density is the cosine transform of an autocorrelation function,

.. math:: S(\omega) = \int_{-\infty}^{\infty} C(t) \cos(\omega t)\, dt,\qquad
          \int_0^\infty S\, d\omega = \pi\, C(0),

where C is cut off smoothly at a longest lag: the window determines the resolution.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from functools import cache
from typing import Final

import numpy as np
import scipy

from mlobs_client.errors import ConfigError, RecordError
from mlobs_client.results.estimate import check_series
from mlobs_client.structure import Array

WINDOWS: Final = ("parzen", "hann", "blackman", "bartlett", "boxcar")
"""Names of lag windows. ``parzen`` and ``bartlett`` have transforms without negative parts, so that
a spectrum from a biased autocorrelation stays positive. ``boxcar`` cuts off abruptly, which gives
narrow lines with strong ripples."""

SHORTEST_LAG: Final = 4
"""Minimum number of samples of the autocorrelation function that a spectrum needs."""

_COMPONENTS_AT_ONCE: Final = 48  # bounds the memory of the transforms of many atoms


def autocorrelation(
    signal: Array, max_lag: int, weights: Array | None = None, *, biased: bool = True
) -> Array:
    r"""Return the autocorrelation of a signal with many components, by zero-padded FFT.

    .. math:: C_n = \frac{1}{M} \sum_c w_c \sum_{t} x_c(t)\, x_c(t + n)

    where :math:`M` is the number of samples (biased: the spectrum is never negative) or of terms
    (unbiased: correct on average, but noisy at long lags). The mean is not subtracted.

    Args:
        signal: shape ``(t, ...)``, any unit.
        max_lag: the longest lag, in samples; less than the number of samples.
        weights: weights of the components, shape ``(...)``, any unit; 1 by default.
        biased: True to divide by the number of samples, False by the number of terms.

    Returns:
        The autocorrelation, starting at lag 0, shape ``(max_lag + 1,)``, in the unit of the signal
        squared times that of the weights.

    Raises:
        ConfigError: ``max_lag`` is negative.
        RecordError: there are at most ``max_lag`` samples, numbers are not finite, or weights have
            the wrong shape.
    """
    if max_lag < 0:
        raise ConfigError(f"max_lag = {max_lag}: must be 0 or more samples")
    checked = check_series(signal, "signal", least=max_lag + 1)
    n_samples = len(checked)
    components = checked.reshape(n_samples, -1)
    if weights is None:
        weights = np.ones(components.shape[1])
    if np.size(weights) != components.shape[1]:
        raise RecordError(
            f"weights must have the shape of one sample, {checked.shape[1:]}, got {weights.shape}"
        )
    n_padded = scipy.fft.next_fast_len(n_samples + max_lag, real=True)
    power = np.zeros(n_padded // 2 + 1)
    flat = np.ravel(weights)
    for first in range(0, len(flat), _COMPONENTS_AT_ONCE):
        some = slice(first, first + _COMPONENTS_AT_ONCE)
        power += np.abs(scipy.fft.rfft(components[:, some], n_padded, axis=0)) ** 2 @ flat[some]
    products = scipy.fft.irfft(power, n_padded)[: max_lag + 1]
    counts = np.full(max_lag + 1, n_samples) if biased else n_samples - np.arange(max_lag + 1)
    return np.asarray(products / counts)


def check_window(name: str) -> None:
    """Refuse the name of an unknown window.

    Args:
        name: a name of :data:`WINDOWS`.

    Raises:
        ConfigError: the name is unknown.
    """
    if name not in WINDOWS:
        raise ConfigError(f"window = {name!r}: unknown; use one of {', '.join(WINDOWS)}")


def lag_window(name: str, max_lag: int) -> Array:
    """Return weights that take an autocorrelation function smoothly to zero.

    Args:
        name: a name of :data:`WINDOWS`.
        max_lag: the longest lag, in samples.

    Returns:
        The weights, shape ``(max_lag + 1,)``, 1 at lag 0.

    Raises:
        ConfigError: the name is unknown, or ``max_lag`` is less than 1.
    """
    check_window(name)
    if max_lag < 1:
        raise ConfigError(f"max_lag = {max_lag}: a window needs at least 1 sample")
    whole = scipy.signal.windows.get_window(name, 2 * max_lag + 1, fftbins=False)
    return np.asarray(whole[max_lag:])


def line_width(weights: Array, timestep: float) -> float:
    """Return the full width at half maximum of an infinitely sharp line under a window.

    Args:
        weights: weights of the lags, starting at lag 0, shape ``(n_lags,)``, without a unit.
        timestep: time between samples.

    Returns:
        An angular frequency, radian per unit of ``timestep``.
    """
    lags = np.arange(len(weights))
    doubled = np.where(lags == 0, 1.0, 2.0) * weights

    def above_half(phase: float) -> float:
        return float(doubled @ np.cos(phase * lags)) / float(doubled.sum()) - 0.5

    # the transform of each window falls below one half within one period over the longest lag
    return (
        2.0
        * float(scipy.optimize.brentq(above_half, 0.0, 2.0 * np.pi / (len(lags) - 1)))
        / timestep
    )


def effective_window(name: str, max_lag: int, n_samples: int | None = None) -> Array:
    """Return the lag window times the triangle that a biased autocorrelation implies.

    Args:
        name: a name of :data:`WINDOWS`.
        max_lag: the longest lag, in samples.
        n_samples: number of samples of a biased autocorrelation; None for an unbiased one, which
            has no triangle.

    Returns:
        The weights, shape ``(max_lag + 1,)``, 1 at lag 0.

    Raises:
        ConfigError: the name is unknown, or ``max_lag`` is less than 1.
    """
    window = lag_window(name, max_lag)
    return window if n_samples is None else window * (1.0 - np.arange(max_lag + 1) / n_samples)


@cache
def _width_times_lag(name: str, biased: bool) -> float:
    """Return line width times lag, which is the whole series for a biased autocorrelation."""
    n_lags = 1000
    return line_width(effective_window(name, n_lags, n_lags if biased else None), 1.0) * n_lags


def longest_lag_needed(name: str, width: float, timestep: float, *, biased: bool = False) -> int:
    """Return how long the longest lag must be, in samples, to give a sharp line this width.

    Args:
        name: a name of :data:`WINDOWS`.
        width: full width at half maximum, radian per unit of ``timestep``.
        timestep: time between samples.
        biased: True to include the widening by the triangle of a biased autocorrelation of a series
            of exactly that length.

    Raises:
        ConfigError: the window is unknown, or the width or time step is not positive.
    """
    check_window(name)
    for what, value in (("timestep", timestep), ("line width", width)):
        if not (np.isfinite(value) and value > 0.0):
            raise ConfigError(f"{what} = {value}: must be a positive, finite number")
    return round(_width_times_lag(name, biased) / (width * timestep))


def lag_for_line_width(
    name: str, width: float, timestep: float, n_samples: int | None = None
) -> int:
    """Return the lag, in samples, at which a window must end to give a sharp line this width.

    The triangle of a biased autocorrelation widens lines; a longer lag compensates for it.

    Args:
        name: a name of :data:`WINDOWS`.
        width: full width at half maximum, radian per unit of ``timestep``.
        timestep: time between samples.
        n_samples: number of samples of a biased autocorrelation, more than
            :func:`longest_lag_needed`; None for an unbiased one.

    Raises:
        ConfigError: as in :func:`longest_lag_needed`, or if the width is so large that fewer than
            :data:`SHORTEST_LAG` samples are left.
    """
    shortest = longest_lag_needed(name, width, timestep)
    if shortest < SHORTEST_LAG:
        raise ConfigError(
            f"the resolution leaves {shortest} samples of the autocorrelation function; ask for a "
            "finer resolution, or write the observable more often"
        )
    if n_samples is None:
        return shortest
    possible = range(shortest, n_samples - 1)

    def narrowness(max_lag: int) -> float:
        return -line_width(effective_window(name, max_lag, n_samples), timestep)

    return shortest + bisect_left(possible, -width, key=narrowness)


def points_for_line_width(width: float, timestep: float) -> int:
    """Return the number of frequencies that gives ten points per line width.

    Args:
        width: full width at half maximum, radian per unit of ``timestep``.
        timestep: time between samples.
    """
    return 1 + int(np.ceil(10.0 * np.pi / (timestep * width)))


def cosine_transform(correlation: Array, timestep: float, n_points: int) -> Array:
    r"""Transform an even function of time, given from lag 0 on, to angular frequencies.

    The function is padded with zeros: more points interpolate, but do not increase the resolution.
    The trapezoidal rule applied to the result gives :math:`\pi C(0)` exactly.

    Args:
        correlation: windowed autocorrelation, shape ``(..., n_lags)``, any unit.
        timestep: time between samples.
        n_points: number of frequencies, at least ``n_lags``.

    Returns:
        Shape ``(..., n_points)``, in the unit of the correlation times that of ``timestep``, at the
        angular frequencies ``k pi / ((n_points - 1) timestep)``, k = 0, 1, ...
    """
    missing = n_points - correlation.shape[-1]
    padding = [(0, 0)] * (correlation.ndim - 1) + [(0, missing)]
    return np.asarray(scipy.fft.dct(np.pad(correlation, padding), type=1, axis=-1) * timestep)


def longest_block(lengths: Sequence[int], n_blocks: int) -> int:
    """Return the largest length of ``n_blocks`` blocks of runs; 0 if there are too few samples.

    Args:
        lengths: number of samples of each run.
        n_blocks: number of blocks, 1 or more.
    """
    candidates = {n // k for n in lengths for k in range(1, n_blocks + 1)} - {0}
    possible = [length for length in candidates if sum(n // length for n in lengths) >= n_blocks]
    return max(possible, default=0)


def few_blocks(runs: Sequence[Array], n_blocks: int) -> list[Array]:
    """Return the longest run for one block, and otherwise the same as :func:`split_blocks`."""
    return [max(runs, key=len)] if n_blocks == 1 else split_blocks(runs, n_blocks)


def split_blocks(runs: Sequence[Array], n_blocks: int) -> list[Array]:
    """Cut independent runs into at least ``n_blocks`` blocks of equal length, as long as possible.

    Blocks do not cross from one run to the next; surplus samples are dropped from the start of a
    run.

    Args:
        runs: samples of each run, shape ``(t, ...)``, any unit; lengths may differ.
        n_blocks: minimum number of blocks, 2 or more.

    Returns:
        The blocks, shape ``(length, ...)``, which are views of the runs.

    Raises:
        ConfigError: there would be fewer than two blocks.
        RecordError: there are too few samples.
    """
    if n_blocks < 2:
        raise ConfigError(f"n_blocks = {n_blocks}: an error needs at least 2 blocks")
    lengths = [len(run) for run in runs]
    length = longest_block(lengths, n_blocks)
    if length == 0:
        raise RecordError(
            f"{sum(lengths)} samples in {len(lengths)} runs cannot be cut into {n_blocks} blocks; "
            "run longer"
        )
    blocks: list[Array] = []
    for run in runs:
        count = len(run) // length
        last = run[len(run) - count * length :]
        blocks.extend(last.reshape(count, length, *run.shape[1:]))
    return blocks
