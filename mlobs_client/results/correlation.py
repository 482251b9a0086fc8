r"""Autocorrelation functions, the windows that cut them, and their transform.

A spectral density is the transform of an autocorrelation function,

.. math:: S(\omega) = \int_{-\infty}^{\infty} C(t) \cos(\omega t)\, dt,\qquad
          \int_0^\infty S\, d\omega = \pi\, C(0),

cut smoothly at a longest lag: the window decides the resolution.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from functools import cache
from typing import Final

import numpy as np
from scipy import fft, optimize
from scipy.signal import windows

from mlobs_client.errors import ConfigError, RecordError
from mlobs_client.results.estimate import check_series
from mlobs_client.structure import Array

WINDOWS: Final = ("parzen", "hann", "blackman", "bartlett", "boxcar")
"""``parzen`` and ``bartlett`` have transforms without negative parts: a spectrum from a biased
autocorrelation stays positive. ``boxcar`` cuts hard: narrow lines with strong ripples."""

SHORTEST_LAG: Final = 4
"""Samples of an autocorrelation function from which a spectrum can be made."""

_COMPONENTS_AT_ONCE: Final = 48  # bounds the memory of the transforms of many atoms


def autocorrelation(
    signal: Array, max_lag: int, weights: Array | None = None, *, biased: bool = True
) -> Array:
    r"""Autocorrelation of a signal with many components, by zero-padded FFT.

    .. math:: C_n = \frac{1}{M} \sum_c w_c \sum_{t} x_c(t)\, x_c(t + n)

    with :math:`M` the number of samples (biased: transforms to a spectrum that is never
    negative) or of terms (unbiased: right on average, noisy at long lags). The mean is not
    removed.

    Args:
        signal: shape ``(t, ...)``.
        max_lag: the longest lag, in samples; less than the number of samples.
        weights: one per component, shape ``(...)``; 1 if absent.
        biased: which of the two normalisations.

    Returns:
        Shape ``(max_lag + 1,)``, from lag 0 on.

    Raises:
        ConfigError: ``max_lag`` is negative.
        RecordError: not more samples than ``max_lag``, not finite, or weights of another shape.
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
    n_padded = fft.next_fast_len(n_samples + max_lag, real=True)
    power = np.zeros(n_padded // 2 + 1)
    flat = np.ravel(weights)
    for first in range(0, len(flat), _COMPONENTS_AT_ONCE):
        some = slice(first, first + _COMPONENTS_AT_ONCE)
        power += np.abs(fft.rfft(components[:, some], n_padded, axis=0)) ** 2 @ flat[some]
    products = fft.irfft(power, n_padded)[: max_lag + 1]
    counts = np.full(max_lag + 1, n_samples) if biased else n_samples - np.arange(max_lag + 1)
    return np.asarray(products / counts)


def lag_window(name: str, max_lag: int) -> Array:
    """Weights that take an autocorrelation function smoothly to zero.

    Args:
        name: one of :data:`WINDOWS`.
        max_lag: the longest lag, in samples.

    Returns:
        Shape ``(max_lag + 1,)``, 1 at lag 0.

    Raises:
        ConfigError: unknown name, or no lag.
    """
    if name not in WINDOWS:
        raise ConfigError(f"window = {name!r}: unknown; use one of {', '.join(WINDOWS)}")
    if max_lag < 1:
        raise ConfigError(f"max_lag = {max_lag}: a window needs at least 1 sample")
    whole = windows.get_window(name, 2 * max_lag + 1, fftbins=False)
    return np.asarray(whole[max_lag:])


def line_width(weights: Array, timestep: float) -> float:
    """Full width at half maximum that a window gives to an infinitely sharp line.

    Args:
        weights: of the lags from 0 on, shape ``(n_lags,)``.
        timestep: between samples.

    Returns:
        Angular frequency, in radian per unit of ``timestep``.
    """
    lags = np.arange(len(weights))
    doubled = np.where(lags == 0, 1.0, 2.0) * weights

    def above_half(phase: float) -> float:
        return float(doubled @ np.cos(phase * lags)) / float(doubled.sum()) - 0.5

    # each window falls below one half before one period over the longest lag
    return 2.0 * float(optimize.brentq(above_half, 0.0, 2.0 * np.pi / (len(lags) - 1))) / timestep


def effective_window(name: str, max_lag: int, n_samples: int | None = None) -> Array:
    """The lag window, times the triangle that a biased autocorrelation has by itself.

    Args:
        name: one of :data:`WINDOWS`.
        max_lag: the longest lag, in samples.
        n_samples: of a biased autocorrelation; None for an unbiased one, which has no triangle.

    Returns:
        Shape ``(max_lag + 1,)``, 1 at lag 0.

    Raises:
        ConfigError: unknown name, or no lag.
    """
    window = lag_window(name, max_lag)
    return window if n_samples is None else window * (1.0 - np.arange(max_lag + 1) / n_samples)


@cache
def _width_times_lag(name: str, biased: bool) -> float:
    """The narrower limit of a biased one: its longest lag is the whole series."""
    n_lags = 1000
    return line_width(effective_window(name, n_lags, n_lags if biased else None), 1.0) * n_lags


def longest_lag_needed(name: str, width: float, timestep: float, *, biased: bool = False) -> int:
    """Return the lag, in samples, without which no window is as narrow as ``width``.

    Args:
        name: one of :data:`WINDOWS`.
        width: full width at half maximum, radian per unit of ``timestep``.
        timestep: between samples.
        biased: whether lines are also widened by the triangle of a biased autocorrelation of a
            series that is just that long.

    Raises:
        ConfigError: unknown window, or a width or time step that is not positive.
    """
    lag_window(name, 1)
    for what, value in (("timestep", timestep), ("line width", width)):
        if not (np.isfinite(value) and value > 0.0):
            raise ConfigError(f"{what} = {value}: must be a positive, finite number")
    return round(_width_times_lag(name, biased) / (width * timestep))


def lag_for_line_width(
    name: str, width: float, timestep: float, n_samples: int | None = None
) -> int:
    """Return the longest lag, in samples, that gives a sharp line this width.

    The triangle of a biased autocorrelation widens lines; a longer lag makes up for it.

    Args:
        name: one of :data:`WINDOWS`.
        width: full width at half maximum, radian per unit of ``timestep``.
        timestep: between samples.
        n_samples: of a biased autocorrelation, more than :func:`longest_lag_needed`; None for an
            unbiased one.

    Raises:
        ConfigError: as :func:`longest_lag_needed`, or a width so large that fewer than
            :data:`SHORTEST_LAG` samples are left.
    """
    shortest = longest_lag_needed(name, width, timestep)
    if shortest < SHORTEST_LAG:
        raise ConfigError(
            f"the resolution leaves {shortest} samples of the autocorrelation function; ask for a "
            "finer one, or write the observable more often"
        )
    if n_samples is None:
        return shortest
    possible = range(shortest, n_samples - 1)

    def narrowness(max_lag: int) -> float:
        return -line_width(effective_window(name, max_lag, n_samples), timestep)

    return shortest + bisect_left(possible, -width, key=narrowness)


def points_for_line_width(width: float, timestep: float) -> int:
    """Return how many frequencies show a line of this width with ten points.

    Args:
        width: full width at half maximum, radian per unit of ``timestep``.
        timestep: between samples.
    """
    return 1 + int(np.ceil(10.0 * np.pi / (timestep * width)))


def cosine_transform(correlation: Array, timestep: float, n_points: int) -> Array:
    r"""Transform an even function of time, known from lag 0 on, to angular frequencies.

    Zero padded: more points are an interpolation, not more resolution. The trapezoidal rule over
    the result gives :math:`\pi C(0)` exactly.

    Args:
        correlation: shape ``(..., n_lags)``, already windowed.
        timestep: between samples.
        n_points: of the result, at least ``n_lags``.

    Returns:
        Shape ``(..., n_points)`` at ``k pi / ((n_points - 1) timestep)``, k = 0, 1, ...
    """
    missing = n_points - correlation.shape[-1]
    padding = [(0, 0)] * (correlation.ndim - 1) + [(0, missing)]
    return np.asarray(fft.dct(np.pad(correlation, padding), type=1, axis=-1) * timestep)


def split_blocks(runs: Sequence[Array], n_blocks: int) -> list[Array]:
    """Cut independent runs into at least ``n_blocks`` blocks of one length, as long as possible.

    No block reaches over the end of a run; what is left over is dropped from its front.

    Args:
        runs: each of shape ``(t, ...)``; lengths may differ.
        n_blocks: 2 or more.

    Returns:
        Blocks of shape ``(length, ...)``, views of the runs.

    Raises:
        ConfigError: fewer than two blocks.
        RecordError: too few samples.
    """
    if n_blocks < 2:
        raise ConfigError(f"n_blocks = {n_blocks}: an error needs at least 2 blocks")
    lengths = [len(run) for run in runs]
    candidates = {n // k for n in lengths for k in range(1, n_blocks + 1)} - {0}
    possible = [length for length in candidates if sum(n // length for n in lengths) >= n_blocks]
    if not possible:
        raise RecordError(
            f"{sum(lengths)} samples in {len(lengths)} runs cannot be cut into {n_blocks} blocks; "
            "run longer"
        )
    length = max(possible)
    blocks: list[Array] = []
    for run in runs:
        count = len(run) // length
        kept = run[len(run) - count * length :]
        blocks.extend(kept.reshape(count, length, *run.shape[1:]))
    return blocks
