"""Make the best of runs that are too short for the settings of a spectrum.

If the runs are too short for all blocks at a resolution, there are fewer blocks; less than three
give no error. If they are too short for a single block, the resolution is coarser.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from mlobs_client.analysis.vibrations.spectra import SpectrumSettings
from mlobs_client.errors import RecordError
from mlobs_client.results import correlation
from mlobs_client.results.curve import NOTE
from mlobs_client.results.estimate import FEWEST_RUNS
from mlobs_client.results.run_length import count_blocks, lasting, longer_for_blocks
from mlobs_client.units import INVERSE_CM

COARSEST: Final = 1000.0
"""Coarsest resolution of a spectrum from short runs, cm^-1: bends and stretches of hydrogen are
still two bands."""

PIECE: Final = "run, or stretch between exchanges"

SHORT: Final = "short runs"
"""Name of the detail of a spectrum that says for what its runs are too short."""


@dataclass(frozen=True)
class Cut:
    """The blocks and the resolution of a spectrum.

    Attributes:
        n_blocks: number of blocks, 1 or more.
        resolution: full width at half maximum of a sharp line, cm^-1.
        no_error: reason why there are no errors; empty if there are any.
        details: details of the spectrum that say for what its runs are too short.
    """

    n_blocks: int
    resolution: float
    no_error: str = ""
    details: dict[str, str | float] = field(default_factory=dict)


def cut_runs(
    lengths: Sequence[int], timestep: float, settings: SpectrumSettings, *, biased: bool
) -> Cut:
    """Return the blocks and the resolution that are asked for, or those that the runs allow.

    Args:
        lengths: number of samples of each run.
        timestep: time between samples, atu.
        settings: the blocks and the resolution that are asked for.
        biased: normalization of the autocorrelation.

    Raises:
        ConfigError: a parameter is invalid.
        RecordError: the runs are too short for a spectrum.
    """
    asked, n_asked = settings.resolution, settings.n_blocks
    block = _block(asked, timestep, settings, biased=biased)
    if count_blocks(lengths, block) >= n_asked:
        return Cut(n_asked, asked)
    # the mean of a single block is subtracted, after which nothing is known at zero frequency
    fewest = 1 if biased else 2
    resolution, details = finest_resolution(lengths, timestep, settings, fewest, biased=biased)
    allowed = _block(resolution, timestep, settings, biased=biased)
    n_blocks = min(n_asked, count_blocks(lengths, allowed))
    what = f"{n_blocks} block{'s' if n_blocks > 1 else ''} at {resolution:g} cm^-1"

    def wanted(n: int) -> str:
        """Say how much longer the runs must be for this number of blocks."""
        more = longer_for_blocks(lengths, block, n, settings.interval(timestep), PIECE)
        return f"{n} at {asked:g} cm^-1: run {more}"

    details = {**details, SHORT: f"{what}, not {wanted(n_asked)}"}
    least = min(FEWEST_RUNS, n_asked)
    if n_blocks >= least:
        return Cut(n_blocks, resolution, details=details)
    coarse = _coarsened(correlation.longest_block(lengths, least), timestep, settings, block)
    remedy = f", or ask for a resolution of {coarse:g} cm^-1" if np.isfinite(coarse) else ""
    return Cut(n_blocks, resolution, f"{what}, needs {wanted(least)}{remedy}", details)


def finest_resolution(
    lengths: Sequence[int],
    timestep: float,
    settings: SpectrumSettings,
    n_blocks: int = 1,
    *,
    biased: bool = False,
) -> tuple[float, dict[str, str | float]]:
    """Return the resolution that is asked for, or the finest that runs allow.

    Args:
        lengths: number of samples of each run.
        timestep: time between samples, atu.
        settings: the resolution that is asked for, and the window.
        n_blocks: number of blocks that must have it.
        biased: normalization of the autocorrelation.

    Returns:
        The resolution, cm^-1, and details of the spectrum that say what is missing.

    Raises:
        ConfigError: a parameter is invalid.
        RecordError: the runs are too short for a spectrum.
    """
    asked, length = settings.resolution, correlation.longest_block(lengths, n_blocks)
    block = _block(asked, timestep, settings, biased=biased)
    if length >= block:
        return asked, {}
    interval = settings.interval(timestep)
    coarse = _coarsened(length, timestep, settings, block)
    if not np.isfinite(coarse):
        least = bisect_left(
            range(block), True, key=lambda n: _coarsened(n, timestep, settings, block) < np.inf
        )
        raise RecordError(
            f"{max(lengths)} samples are too few for a spectrum, which takes blocks of "
            f"{lasting(least, interval)}, and of {lasting(block, interval)} at {asked:g} cm^-1; "
            f"run at least {longer_for_blocks(lengths, least, n_blocks, interval, PIECE)}"
        )
    more = longer_for_blocks(lengths, block, n_blocks, interval, PIECE)
    return coarse, {
        NOTE: f"resolution {coarse:g} cm⁻¹, not {asked:g}",
        SHORT: f"a resolution of {coarse:g} cm^-1, not of {asked:g} cm^-1: run {more}",
    }


def _block(resolution: float, timestep: float, settings: SpectrumSettings, *, biased: bool) -> int:
    """Return the length of the shortest block with a resolution, in samples."""
    width = resolution * INVERSE_CM
    lag = correlation.longest_lag_needed(settings.window, width, timestep, biased=biased)
    return max(lag, correlation.SHORTEST_LAG) + 1  # refused later if it has fewer lags


def _coarsened(length: int, timestep: float, settings: SpectrumSettings, block: int) -> float:
    """Return the finest resolution of a block, or infinity if it would show nothing, cm^-1.

    ``block`` is the length that the resolution of the settings takes.
    """
    if length <= correlation.SHORTEST_LAG:
        return np.inf
    # lags are rounded to samples
    coarse = float(np.ceil(settings.resolution * (block - 0.5) / (length - 0.51)))
    lag = correlation.longest_lag_needed(settings.window, coarse * INVERSE_CM, timestep)
    return coarse if coarse <= COARSEST and lag >= correlation.SHORTEST_LAG else np.inf
