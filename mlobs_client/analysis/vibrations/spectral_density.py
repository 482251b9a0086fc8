r"""Spectral densities of runs, from blocks, autocorrelation functions, windows and transforms.

Each density is computed three times: with the given window, with a window half as long, and with a
window twice as long from half as many blocks. The differences show the bias of the window.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from mlobs_client.analysis.vibrations.short_runs import Cut, cut_runs
from mlobs_client.analysis.vibrations.spectra import SpectrumSettings
from mlobs_client.results import correlation
from mlobs_client.structure import Array
from mlobs_client.units import INVERSE_CM

LEFT: Final = "correlation left at the longest lag"
NOISE: Final = "noise of the correlation left"
"""Names, in the details of a spectrum, of the two numbers from :func:`correlation_left`."""

LAST_LAGS: Final = 0.1
"""Final fraction of the lags, over which the remaining correlation is measured, because at a single
lag an oscillation may be zero."""


@dataclass(frozen=True)
class SpectralDensity:
    r"""Transforms of the autocorrelation functions of a signal.

    Attributes:
        wavenumber: shape ``(k,)``, cm^-1.
        blocks: :math:`\int C(t) \cos(\omega t)\, dt` over all t for each block, shape
            ``(n_blocks, k)``, in the unit of the signal squared times atu.
        resolution: full width at half maximum of a sharp line, cm^-1.
        at_zero_lag: mean square of the signal in each block, shape ``(n_blocks,)``, in the unit of
            the signal squared.
        details: settings of the computation.
        no_error: reason why there are too few blocks for errors; empty if there are enough.
        other_windows: mean over blocks with a window half as long and with one twice as long, shape
            ``(2, k)``, in the unit of ``blocks``; NaN if the runs are too short, or if no other
            window was used.
    """

    wavenumber: Array
    blocks: Array
    resolution: float
    at_zero_lag: Array
    details: Mapping[str, str | float]
    no_error: str
    other_windows: Array

    @classmethod
    def of(
        cls,
        runs: Sequence[Array],
        timestep: float,
        settings: SpectrumSettings,
        weights: Array | None = None,
        *,
        biased: bool = True,
    ) -> SpectralDensity:
        """Cut runs into blocks, correlate, window and transform them, with three windows.

        Runs that are too short for the settings give fewer blocks or a coarser resolution
        (:mod:`~mlobs_client.analysis.vibrations.short_runs`).

        Args:
            runs: signal along each run, shape ``(t, ...)``, of any unit.
            timestep: time between samples, atu.
            settings: resolution, number of blocks, and window.
            weights: weights of the components of the signal, shape ``(...)``, any unit.
            biased: normalization of the autocorrelation, see
                :func:`~mlobs_client.results.correlation.autocorrelation`.

        Raises:
            ConfigError: a parameter is invalid.
            RecordError: runs are too short for any spectrum, or numbers are not finite.
        """
        cut = cut_runs(list(map(len, runs)), timestep, settings, biased=biased)

        def compute(cut: Cut, n_points: int | None = None) -> SpectralDensity:
            return cls._of_cut(
                runs, timestep, settings.window, cut, weights, biased=biased, n_points=n_points
            )

        density = compute(cut)
        n_points, width = len(density.wavenumber), cut.resolution
        coarser = replace(cut, resolution=2.0 * width)
        finer = replace(cut, resolution=0.5 * width, n_blocks=max(2, cut.n_blocks // 2))
        others = np.full((2, n_points), np.nan)
        for row, other in zip(others, (coarser, finer), strict=True):
            if _allow(runs, timestep, settings.window, other, biased=biased):
                row[:] = compute(other, n_points).blocks.mean(axis=0)
        return replace(density, other_windows=others)

    @classmethod
    def of_one_window(
        cls,
        runs: Sequence[Array],
        timestep: float,
        settings: SpectrumSettings,
        weights: Array | None = None,
        *,
        biased: bool = True,
    ) -> SpectralDensity:
        """Do the same as :meth:`of`, which describes the arguments, but only with one window."""
        cut = cut_runs(list(map(len, runs)), timestep, settings, biased=biased)
        return cls._of_cut(runs, timestep, settings.window, cut, weights, biased=biased)

    @classmethod
    def _of_cut(
        cls,
        runs: Sequence[Array],
        timestep: float,
        window_name: str,
        cut: Cut,
        weights: Array | None,
        *,
        biased: bool,
        n_points: int | None = None,
    ) -> SpectralDensity:
        """Compute the density with one window, by default at ten wavenumbers per line width."""
        blocks = correlation.few_blocks(runs, cut.n_blocks)
        width, length = cut.resolution * INVERSE_CM, len(blocks[0])
        n_samples = length if biased else None  # a biased autocorrelation is cut by a triangle
        max_lag = correlation.lag_for_line_width(window_name, width, timestep, n_samples)
        lagged = np.stack(
            [correlation.autocorrelation(b, max_lag, weights, biased=biased) for b in blocks]
        )
        n_points = n_points or correlation.points_for_line_width(width, timestep)
        window = correlation.lag_window(window_name, max_lag)
        effective = correlation.effective_window(window_name, max_lag, n_samples)
        triangle = correlation.effective_window("boxcar", max_lag, n_samples)
        return cls(
            wavenumber=np.linspace(0.0, np.pi / (timestep * INVERSE_CM), n_points),
            blocks=correlation.cosine_transform(lagged * window, timestep, n_points),
            resolution=correlation.line_width(effective, timestep) / INVERSE_CM,
            at_zero_lag=lagged[:, 0],
            details={
                "window": window_name,
                "autocorrelation": "biased" if biased else "unbiased",
                "blocks": len(blocks),
                "samples per block": length,
                "longest lag (samples)": max_lag,
                **correlation_left(lagged / triangle),
                **cut.details,
            },
            no_error=cut.no_error,
            other_windows=np.full((2, n_points), np.nan),
        )

    def restore_mean(self, timestep: float, duration: float) -> SpectralDensity:
        """Correct the correlation at every lag for the subtraction of a sample mean.

        The subtraction lowers it by the variance of the mean, S(0)/duration, and lowers S(0)
        itself.

        Args:
            timestep: time between samples, atu.
            duration: total time of the samples from which the mean was estimated, atu.
        """

        def restored(transforms: Array, n_windows: float) -> Array:
            max_lag = round(n_windows * int(self.details["longest lag (samples)"]))
            window = correlation.lag_window(str(self.details["window"]), max_lag)
            shape = correlation.cosine_transform(window, timestep, len(self.wavenumber))
            at_zero = float(np.mean(transforms[..., 0]))
            return np.asarray(transforms + at_zero / (duration - shape[0]) * shape)

        shorter, longer = self.other_windows
        return replace(
            self,
            blocks=restored(self.blocks, 1.0),
            other_windows=np.stack([restored(shorter, 0.5), restored(longer, 2.0)]),
        )


def _allow(runs: Sequence[Array], timestep: float, window: str, cut: Cut, *, biased: bool) -> bool:
    """Return True if the runs are long enough for the window, and the window has enough lags."""
    width = cut.resolution * INVERSE_CM
    needed = correlation.longest_lag_needed(window, width, timestep, biased=biased)
    return correlation.SHORTEST_LAG <= needed < len(correlation.few_blocks(runs, cut.n_blocks)[0])


def correlation_left(lagged: Array) -> dict[str, float]:
    """Return the correlation at the end of the window, for the details of a spectrum.

    Args:
        lagged: unbiased autocorrelation of each block, shape ``(n_blocks, n_lags)``, of any unit.

    Returns:
        Root mean squares over the last tenth of the lags: of the mean over blocks, and of its
        standard error (NaN for one block), both relative to lag 0. If the first is not larger than
        the second, no correlation is detected, though there may be some.
    """
    n_blocks, n_lags = lagged.shape
    at_zero = float(lagged[:, 0].mean()) or 1.0  # a signal of zero has no correlation
    end = lagged[:, -max(1, round(LAST_LAGS * n_lags)) :] / at_zero
    left = float(np.sqrt(np.mean(end.mean(axis=0) ** 2)))
    if n_blocks < 2:
        return {LEFT: left, NOISE: np.nan}
    error = end.std(axis=0, ddof=1) / np.sqrt(n_blocks)
    return {LEFT: left, NOISE: float(np.sqrt(np.mean(error**2)))}
