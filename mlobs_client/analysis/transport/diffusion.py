"""Self-diffusion from mean squared displacements (Einstein) and from velocities (Green-Kubo).

Both methods measure the same coefficient: the slope of the mean squared displacement at a lag is
six times the integral of the velocity autocorrelation function, averaged over x, y and z, up to
that lag. For path integrals, use the centroids.

D refers to the frame in which the centre of mass of all atoms is at rest. In an infinite liquid, D
is larger by a factor of :math:`1/(1 - m/M)`, with the mass m of one molecule and M of all
molecules: 1.6 % for 64 molecules. The finite-size correction, :func:`correct_for_size`, applies to
D as defined here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from scipy import integrate

from mlobs_client.analysis.vibrations.spectra import as_runs, check_positive
from mlobs_client.errors import ConfigError, RecordError
from mlobs_client.results.correlation import autocorrelation, few_blocks
from mlobs_client.results.curve import Curve
from mlobs_client.results.estimate import FEWEST_RUNS, Estimate
from mlobs_client.results.run_length import Interval, count_blocks, longer_for_blocks
from mlobs_client.results.statistics import jackknife, mean_of_independent
from mlobs_client.structure import Array
from mlobs_client.units import ANGSTROM, MILLIPASCAL_SECOND, PICOSECOND

UNIT: Final = "angstrom^2/ps"
CUBIC: Final = 2.837297
"""Lattice sum of a cubic cell (Yeh and Hummer, J. Phys. Chem. B 108, 15873 (2004))."""

DIFFUSIVE_WITHIN: Final = 0.2
"""Largest significant deviation of the MSD exponent alpha from 1 at which motion counts as
diffusive."""

SHORTEST: Final = 6
"""Smallest number of samples of a block, of which a quarter to a half are three lags."""

CUBIC_WITHIN: Final = 0.05
"""Largest relative difference of lengths, and largest cosine of an angle, of a nearly cubic
cell."""


@dataclass(frozen=True)
class Diffusion:
    """A diffusion coefficient with the curve from which it was determined.

    Attributes:
        rate: D with the centre of mass at rest, between the lags of the window, angstrom^2/ps, even
            if the motion is not diffusive there; its error is from the scatter of the blocks.
        curve: mean squared displacement, angstrom^2, or integral of the velocity autocorrelation
            function up to each lag, angstrom^2/ps, against the lag, ps.
        window: first and last lag of the fit, ps.
        msd_exponent: exponent alpha with which the mean squared displacement grows in the window,
            as t^alpha.
    """

    rate: Estimate
    curve: Curve
    window: tuple[float, float]
    msd_exponent: Estimate

    @property
    def coefficient(self) -> Estimate:
        """The rate as a diffusion coefficient; it has no error if the motion is not diffusive."""
        exponent = self.msd_exponent
        if self.rate.no_error:
            return self.rate
        if exponent.no_error:
            return self.rate.without_error(exponent.no_error)
        if abs(exponent.value - 1.0) <= DIFFUSIVE_WITHIN or not exponent.is_beyond(1.0):
            return self.rate
        first, last = self.window
        return self.rate.without_error(
            f"from {first:.3g} to {last:.3g} ps the mean squared displacement grows as "
            f"t^{exponent.text}, not as t: the motion is not diffusive yet"
        )


@dataclass(frozen=True)
class _Method:
    """A method that computes a curve over lags from a block, and D from the curve.

    Attributes:
        quantity: name of the curve.
        unit: unit of the curve.
        curve: function of a block ``[t, I, i]`` and the longest lag in samples; gives the curve.
        read: function of lags and values; gives D, angstrom^2/ps.
        rate: function of lags and values; gives a number that is constant for diffusive motion.
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
    stride: float | None = None,
) -> Diffusion:
    """Determine D from the slope of the mean squared displacement (Einstein relation).

    Args:
        runs: unwrapped positions of all atoms, evenly spaced in time, each of shape
            ``(t, n_atoms, 3)``, bohr.
        masses: shape ``(n_atoms,)``, electron masses; the motion of the centre of mass is removed.
        timestep: time between samples, atu.
        chosen: mask of the atoms whose D is determined, shape ``(n_atoms,)``.
        n_blocks: minimum number of blocks for the error; short runs have fewer.
        window: lags between which the line is fitted, ps; by default from a quarter to a half of a
            block.
        stride: steps of the integrator between samples, for messages; None if not known.

    Raises:
        ConfigError: the window has fewer than three samples, or the time step is not positive.
        RecordError: shapes are wrong, numbers are not finite, or runs are too short.
    """

    def displacement(block: Array, max_lag: int) -> Array:
        return mean_squared_displacement(block, max_lag) / ANGSTROM**2

    def slope(lags: Array, values: Array) -> float:
        return _slope(lags, values) / 6.0

    method = _Method("mean squared displacement", "angstrom^2", displacement, slope, _slope)
    return _diffusion(runs, masses, timestep, chosen, n_blocks, window, stride, method)


def diffusion_from_velocities(
    runs: Sequence[Array],
    masses: Array,
    timestep: float,
    chosen: Array,
    n_blocks: int = 4,
    window: tuple[float, float] | None = None,
    stride: float | None = None,
) -> Diffusion:
    """Determine D from the integral of the velocity autocorrelation function (Green-Kubo relation).

    Args:
        runs: velocities of all atoms, evenly spaced in time, at intervals that resolve the
            vibrations, each of shape ``(t, n_atoms, 3)``, bohr/atu.
        masses: shape ``(n_atoms,)``, electron masses; the motion of the centre of mass is removed.
        timestep: time between samples, atu.
        chosen: mask of the atoms whose D is determined, shape ``(n_atoms,)``.
        n_blocks: minimum number of blocks for the error; short runs have fewer.
        window: lags between which the integral up to each lag is averaged, ps; by default from a
            quarter to a half of a block.
        stride: steps of the integrator between samples, for messages; None if not known.

    Raises:
        ConfigError: the window has fewer than three samples, or the time step is not positive.
        RecordError: shapes are wrong, numbers are not finite, or runs are too short.
    """

    def integral(block: Array, max_lag: int) -> Array:
        products = autocorrelation(block, max_lag, biased=False) / (3.0 * block.shape[1])
        summed = integrate.cumulative_trapezoid(products, dx=timestep, initial=0.0)
        return np.asarray(summed * PICOSECOND / ANGSTROM**2)

    def plateau(_: Array, values: Array) -> float:
        return float(values.mean())

    quantity = "integral of the velocity autocorrelation"
    method = _Method(quantity, UNIT, integral, plateau, plateau)
    return _diffusion(runs, masses, timestep, chosen, n_blocks, window, stride, method)


def mean_squared_displacement(positions: Array, max_lag: int) -> Array:
    """Return the mean squared displacement, averaged over atoms and starting times, by FFT.

    Args:
        positions: unwrapped positions, shape ``(t, n_atoms, 3)``, any unit.
        max_lag: the longest lag, in samples.

    Returns:
        Shape ``(max_lag + 1,)``, in the square of the unit of ``positions``.

    Raises:
        RecordError: there are at most ``max_lag`` samples, or numbers are not finite.
    """
    centered = positions - positions.mean(
        axis=0
    )  # small numbers, whose differences of squares are precise
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
    r"""Correct D of a periodic cubic cell to that of an infinite system.

    .. math:: D_0 = D + \frac{2.837297\, k T}{6 \pi \eta L}

    Args:
        coefficient: D in the periodic cell, angstrom^2/ps.
        temperature: kT, Eh.
        viscosity: eta, mPa s, such as 0.85 for water at 300 K; it hardly depends on the cell size.
        cell: shape ``(3, 3)``, bohr, lattice vectors are rows.

    Raises:
        ConfigError: the viscosity is not positive, or the cell is not nearly cubic.

    Source:
        Yeh and Hummer, J. Phys. Chem. B 108, 15873 (2004).
    """
    check_positive("viscosity", viscosity, "mPa s")
    lengths = np.linalg.norm(cell, axis=1)
    directions = cell / lengths[:, None]
    cosines = directions @ directions.T - np.eye(3)
    if np.ptp(lengths) > CUBIC_WITHIN * lengths.min() or np.abs(cosines).max() > CUBIC_WITHIN:
        raise ConfigError(
            f"the finite-size correction holds for cubic cells; this one has the lengths "
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
    stride: float | None,
    method: _Method,
) -> Diffusion:
    check_positive("timestep", timestep, "atu")
    if n_blocks < 2:
        raise ConfigError(f"n_blocks = {n_blocks}: an error needs at least 2 blocks")
    checked = as_runs(runs, ("t", "n_atoms", "3"), "atoms")
    spacing = timestep / PICOSECOND
    interval = spacing if stride is None else Interval(spacing, stride)
    blocks, reason = _cut(checked, n_blocks, window, interval)
    if blocks[0].shape[1] != len(masses) or not chosen.any():
        raise RecordError(
            f"the runs have {blocks[0].shape[1]} atoms, with {len(masses)} masses, and "
            f"{chosen.sum()} atoms are chosen; give one mass for each atom, and choose at least one"
        )
    first, last = _find_window(window, spacing, len(blocks[0]))
    curves = np.array(
        [method.curve(_hold_center(block, masses)[:, chosen], last) for block in blocks]
    )
    lags: Array = np.linspace(0.0, spacing * last, last + 1)
    used = slice(first, last + 1)
    values = [method.read(lags[used], curve[used]) for curve in curves]
    exponent = _exponent(lags[used], curves[:, used], method.rate)
    rate = mean_of_independent(np.array(values), UNIT).without_error(reason)
    curve = Curve(method.quantity, method.unit, "lag", "ps", lags, curves, no_error=rate.no_error)
    return Diffusion(rate, curve, (float(lags[first]), float(lags[last])), exponent)


def _slope(lags: Array, values: Array) -> float:
    return float(np.polyfit(lags, values, 1)[0])


def _exponent(lags: Array, curves: Array, rate: Callable[[Array, Array], float]) -> Estimate:
    """Return the MSD exponent alpha, from the growth rates in both halves of the window.

    The rate is constant for diffusive motion, even after ballistic motion at short lags, which
    shifts the line but does not change its slope.
    """
    middle = len(lags) // 2
    early, late = slice(0, middle + 1), slice(middle, None)
    times = [lags[part].mean() for part in (early, late)]

    def exponent(curve: Array) -> float:
        rates = [rate(lags[part], curve[part]) for part in (early, late)]
        if min(rates) <= 0.0:
            return float("nan")
        return 1.0 + float(np.log(rates[1] / rates[0]) / np.log(times[1] / times[0]))

    estimate = jackknife(curves, exponent)
    if estimate.no_error:
        return estimate
    is_unknown = not np.isfinite(estimate.value + estimate.error)
    return estimate.without_error("displacements shrink within their noise" if is_unknown else "")


def _cut(
    runs: Sequence[Array], n_blocks: int, window: tuple[float, float] | None, interval: float
) -> tuple[list[Array], str]:
    """Return blocks that hold the window, and why they are too few for an error, if they are."""
    shortest = SHORTEST if window is None else round(window[1] / interval) + 1
    lengths = [len(run) for run in runs]
    n_possible = min(n_blocks, count_blocks(lengths, shortest))
    if n_possible == 0:
        what = "to see diffusion" if window is None else f"for lags of up to {window[1]:g} ps"
        more = longer_for_blocks(lengths, shortest, 1, interval)
        raise RecordError(
            f"runs of at most {max(lengths)} samples, {max(lengths) * interval:.3g} ps, are too "
            f"short {what}; run {more}, or choose shorter lags"
        )
    least = min(FEWEST_RUNS, n_blocks)
    if n_possible >= least:
        return few_blocks(runs, n_possible), ""
    what = f"{n_possible} block{'s' if n_possible > 1 else ''}"
    more = longer_for_blocks(lengths, shortest, least, interval)
    return few_blocks(runs, n_possible), f"{what}, needs {least}: run {more}"


def _find_window(
    window: tuple[float, float] | None, spacing: float, n_samples: int
) -> tuple[int, int]:
    """Return the first and the last lag, in samples, for blocks that are long enough."""
    if window is None:
        return n_samples // 4, n_samples // 2
    first, last = (round(time / spacing) for time in window)
    if not 0 <= first < last - 1:
        raise ConfigError(
            f"the window from {window[0]} to {window[1]} ps must contain three samples or more, "
            f"which are {spacing:.3g} ps apart; choose a wider window"
        )
    return first, last


def _hold_center(values: Array, masses: Array) -> Array:
    """Subtract the motion of the centre of mass, which thermostats and rounding cause."""
    centre = np.einsum("tIi,I->ti", values, masses) / masses.sum()
    return np.asarray(values - centre[:, None])
