"""Self-diffusion, from how far atoms get and from how long they keep their velocity.

Both methods measure the same: the slope of the mean squared displacement at a lag is six times the
integral of the velocity autocorrelation up to that lag. Path integrals: give the centroids.

D is that of the frame in which the centre of mass of all atoms rests. In the frame of an endless
liquid D is larger by :math:`1/(1 - m/M)`, with m the mass of one molecule and M that of all: 1.6 %
for 64 molecules. The correction for the size of the cell, :func:`correct_for_size`, is for D as it
is here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from scipy import integrate

from mlobs_client.analysis.vibrations.spectra import as_runs, check_positive
from mlobs_client.errors import ConfigError, RecordError
from mlobs_client.results.correlation import autocorrelation, split_blocks
from mlobs_client.results.curve import Curve
from mlobs_client.results.estimate import Estimate
from mlobs_client.results.statistics import jackknife, mean_of_independent
from mlobs_client.structure import Array
from mlobs_client.units import ANGSTROM, MILLIPASCAL_SECOND, PICOSECOND

UNIT: Final = "angstrom^2/ps"
CUBIC: Final = 2.837297
"""Of the lattice sum for a cubic cell (Yeh and Hummer, J. Phys. Chem. B 108, 15873 (2004))."""
DIFFUSIVE_WITHIN: Final = 0.2
"""How far the power of time of displacements may be from 1, where that is certain."""

CUBIC_WITHIN: Final = 0.05
"""How much lengths may differ, and how large cosines of angles may be, in a nearly cubic cell."""


@dataclass(frozen=True)
class Diffusion:
    """A diffusion coefficient with the curve that it was read from.

    Attributes:
        rate: D with the centre of mass at rest, as read between the lags of the window, whether or
            not the motion is diffusive there, angstrom^2/ps; its error is from the scatter of the
            blocks.
        curve: against the lag, ps: mean squared displacement, angstrom^2, or integral of the
            velocity autocorrelation up to each lag, angstrom^2/ps.
        window: first and last lag that were used, ps.
        exponent: power of time with which the mean squared displacement grows there.
    """

    rate: Estimate
    curve: Curve
    window: tuple[float, float]
    exponent: Estimate

    @property
    def coefficient(self) -> Estimate:
        """The rate, as a diffusion coefficient: without an error where it is none."""
        exponent = self.exponent
        if exponent.no_error:
            return self.rate.without_error(exponent.no_error)
        if abs(exponent.value - 1.0) <= DIFFUSIVE_WITHIN or not exponent.is_beyond(1.0):
            return self.rate
        first, last = self.window
        return self.rate.without_error(
            f"from {first:.3g} to {last:.3g} ps displacements grow as t^{exponent.text}, not t: "
            "no diffusion yet"
        )


@dataclass(frozen=True)
class _Method:
    """How a block becomes a curve over lags, and how D is read off the curve.

    Attributes:
        quantity: of the curve, for a reader.
        unit: of the curve.
        curve: from a block ``[t, I, i]`` and the longest lag, in samples.
        read: D from lags and values.
        rate: what is constant where atoms diffuse, from lags and values.
    """

    quantity: str
    unit: str
    curve: Callable[[Array, int], Array]
    read: Callable[[Array, Array], float]
    rate: Callable[[Array, Array], float]


def diffusion_from_displacements(
    runs: Sequence[Array],
    masses: Array,
    timestep: float,
    chosen: Array,
    n_blocks: int = 4,
    window: tuple[float, float] | None = None,
) -> Diffusion:
    """D from the slope of the mean squared displacement, Einstein's way.

    Args:
        runs: unwrapped positions of all atoms, each ``[t, I, i]``, bohr, evenly spaced.
        masses: shape ``(n_atoms,)``; the center of mass of all atoms is held.
        timestep: between samples, atu.
        chosen: of which atoms, booleans of shape ``(n_atoms,)``.
        n_blocks: for the error, at least this many.
        window: lags between which the line is fitted, ps; from a quarter to half of a block, if it
            is not given.

    Raises:
        ConfigError: a window of fewer than three samples.
        RecordError: wrong shapes, not finite, or too short, also for the window.
    """

    def displacement(block: Array, max_lag: int) -> Array:
        return mean_squared_displacement(block, max_lag) / ANGSTROM**2

    def slope(lags: Array, values: Array) -> float:
        return _slope(lags, values) / 6.0

    method = _Method("mean squared displacement", "angstrom^2", displacement, slope, _slope)
    return _diffusion(runs, masses, timestep, chosen, n_blocks, window, method)


def diffusion_from_velocities(
    runs: Sequence[Array],
    masses: Array,
    timestep: float,
    chosen: Array,
    n_blocks: int = 4,
    window: tuple[float, float] | None = None,
) -> Diffusion:
    """D from the integral of the velocity autocorrelation, the way of Green and Kubo.

    Args:
        runs: velocities of all atoms, each ``[t, I, i]``, bohr/atu, evenly spaced, and often
            enough to follow them.
        masses: shape ``(n_atoms,)``; the center of mass of all atoms is held.
        timestep: between samples, atu.
        chosen: of which atoms, booleans of shape ``(n_atoms,)``.
        n_blocks: for the error, at least this many.
        window: lags between which the integral up to each is averaged, ps; from a quarter to half
            of a block, if it is not given.

    Raises:
        ConfigError: a window of fewer than three samples.
        RecordError: wrong shapes, not finite, or too short, also for the window.
    """

    def integral(block: Array, max_lag: int) -> Array:
        products = autocorrelation(block, max_lag, biased=False) / (3.0 * block.shape[1])
        summed = integrate.cumulative_trapezoid(products, dx=timestep, initial=0.0)
        return np.asarray(summed * PICOSECOND / ANGSTROM**2)

    def plateau(_: Array, values: Array) -> float:
        return float(values.mean())

    quantity = "integral of the velocity autocorrelation"
    method = _Method(quantity, UNIT, integral, plateau, plateau)
    return _diffusion(runs, masses, timestep, chosen, n_blocks, window, method)


def mean_squared_displacement(positions: Array, max_lag: int) -> Array:
    """Mean over atoms and over all starts, by FFT.

    Args:
        positions: ``[t, I, i]``, unwrapped.
        max_lag: the longest lag, in samples.

    Returns:
        Shape ``(max_lag + 1,)``, in the square of the unit of ``positions``.

    Raises:
        RecordError: not more samples than ``max_lag``, or not finite.
    """
    centered = positions - positions.mean(axis=0)  # keeps differences of squares exact
    products = autocorrelation(centered, max_lag, biased=False)
    squares = np.sum(centered**2, axis=(1, 2))  # [t]
    lags = np.arange(max_lag + 1)
    of_starts = np.cumsum(squares)[len(squares) - 1 - lags]
    of_ends = np.cumsum(squares[::-1])[len(squares) - 1 - lags]
    means = (of_starts + of_ends) / (len(squares) - lags)
    return np.asarray((means - 2.0 * products) / positions.shape[1])


def correct_for_size(
    coefficient: Estimate, temperature: float, viscosity: float, cell: Array
) -> Estimate:
    r"""D of an infinite system, by the correction of Yeh and Hummer.

    .. math:: D_0 = D + \frac{2.837297\, k T}{6 \pi \eta L}

    Args:
        coefficient: angstrom^2/ps, of a periodic cell.
        temperature: kT, Eh.
        viscosity: eta, mPa s; 0.85 of water at 300 K. It does not depend on the size.
        cell: shape ``(3, 3)``, bohr, rows.

    Raises:
        ConfigError: a viscosity that is not positive, or a cell that is not nearly cubic.

    Source:
        Yeh and Hummer, J. Phys. Chem. B 108, 15873 (2004).
    """
    check_positive("viscosity", viscosity, "mPa s")
    lengths = np.linalg.norm(cell, axis=1)
    directions = cell / lengths[:, None]
    cosines = directions @ directions.T - np.eye(3)
    if np.ptp(lengths) > CUBIC_WITHIN * lengths.min() or np.abs(cosines).max() > CUBIC_WITHIN:
        raise ConfigError(
            f"the correction for the size of the cell is for cubic cells; this one has the lengths "
            f"{np.round(lengths / ANGSTROM, 2).tolist()} angstrom and angles whose cosines reach "
            f"{np.abs(cosines).max():.2f}: leave the viscosity out, and compare several sizes"
        )
    length = float(abs(np.linalg.det(cell))) ** (1.0 / 3.0)
    friction = 6.0 * np.pi * viscosity * MILLIPASCAL_SECOND * length
    added = CUBIC * temperature / friction * PICOSECOND / ANGSTROM**2
    return replace(coefficient, value=coefficient.value + added)


def _diffusion(
    runs: Sequence[Array],
    masses: Array,
    timestep: float,
    chosen: Array,
    n_blocks: int,
    window: tuple[float, float] | None,
    method: _Method,
) -> Diffusion:
    check_positive("timestep", timestep, "atu")
    blocks = split_blocks(as_runs(runs, ("t", "n_atoms", "3"), "atoms"), n_blocks)
    if blocks[0].shape[1] != len(masses) or not chosen.any():
        raise RecordError(
            f"{blocks[0].shape[1]} atoms along the run, {len(masses)} masses, {chosen.sum()} atoms "
            "of which the diffusion is wanted: these do not fit"
        )
    spacing = timestep / PICOSECOND
    first, last = _find_window(window, spacing, len(blocks[0]))
    curves = np.array(
        [method.curve(_hold_center(block, masses)[:, chosen], last) for block in blocks]
    )
    lags: Array = np.linspace(0.0, spacing * last, last + 1)
    used = slice(first, last + 1)
    values = [method.read(lags[used], curve[used]) for curve in curves]
    exponent = _exponent(lags[used], curves[:, used], method.rate)
    found = mean_of_independent(np.array(values), UNIT)
    curve = Curve(method.quantity, method.unit, "lag", "ps", lags, curves, no_error=found.no_error)
    return Diffusion(found, curve, (float(lags[first]), float(lags[last])), exponent)


def _slope(lags: Array, values: Array) -> float:
    return float(np.polyfit(lags, values, 1)[0])


def _exponent(lags: Array, curves: Array, rate: Callable[[Array, Array], float]) -> Estimate:
    """Power of time of the mean squared displacement, from how fast it grows in either half.

    The rate is constant where atoms diffuse, also if they have flown before, which shifts the
    line but does not tilt it.
    """
    middle = len(lags) // 2
    early, late = slice(0, middle + 1), slice(middle, None)
    times = [lags[part].mean() for part in (early, late)]

    def exponent(curve: Array) -> float:
        rates = [rate(lags[part], curve[part]) for part in (early, late)]
        if min(rates) <= 0.0:
            return float("nan")
        return 1.0 + float(np.log(rates[1] / rates[0]) / np.log(times[1] / times[0]))

    found = jackknife(curves, exponent)
    unknown = not np.isfinite(found.value + found.error)
    return found.without_error("displacements shrink within their noise" if unknown else "")


def _find_window(
    window: tuple[float, float] | None, spacing: float, n_samples: int
) -> tuple[int, int]:
    if window is None:
        first, last = n_samples // 4, n_samples // 2
        if last - first < 2:
            raise RecordError(
                f"blocks of {n_samples} samples are too short to see diffusion; run longer"
            )
        return first, last
    first, last = (round(time / spacing) for time in window)
    if not 0 <= first < last - 1:
        raise ConfigError(
            f"the window from {window[0]} to {window[1]} ps needs three samples or more, which are "
            f"every {spacing:.3g} ps; choose a wider one"
        )
    if last > n_samples - 1:
        raise RecordError(
            f"the window from {window[0]} to {window[1]} ps does not fit into a block of "
            f"{(n_samples - 1) * spacing:.3g} ps; run longer, or choose shorter lags"
        )
    return first, last


def _hold_center(values: Array, masses: Array) -> Array:
    """Take the motion of the center of mass out: i-PI leaves it to thermostats and to rounding."""
    center = np.einsum("tIi,I->ti", values, masses) / masses.sum()
    return np.asarray(values - center[:, None])
