"""Spectra with error bars: what they are, and what is read off them.

Two errors are kept apart: the *statistical* one, from blocks of the trajectory, and the *spread
over a committee* of models, which does not shrink with the length of the run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.integrate import trapezoid
from scipy.ndimage import uniform_filter1d

from mlobs_client.errors import ConfigError, MissingObservable, RecordError
from mlobs_client.results import correlation
from mlobs_client.results.estimate import Estimate, check_series, student
from mlobs_client.results.statistics import jackknife
from mlobs_client.structure import Array
from mlobs_client.units import KELVIN

Runs = Array | Sequence[Array]
"""One run, or a sequence of independent runs (they may differ in length)."""


@dataclass(frozen=True)
class SpectrumSettings:
    """How a trajectory becomes a spectrum.

    Attributes:
        resolution: full width in cm^-1 that a sharp line gets; sets the longest lag. A finer one
            needs longer blocks and gives larger errors.
        n_blocks: how many blocks give the error, all runs together.
        window: one of :data:`~mlobs_client.results.correlation.WINDOWS`.

    Raises:
        ConfigError: values that are impossible.
    """

    resolution: float = 10.0
    n_blocks: int = 10
    window: str = "parzen"

    def __post_init__(self) -> None:
        if not (np.isfinite(self.resolution) and self.resolution > 0.0):
            raise ConfigError(
                f"resolution = {self.resolution}: must be a positive width in cm^-1, such as 10"
            )
        if self.n_blocks < 2:
            raise ConfigError(f"n_blocks = {self.n_blocks}: an error needs at least 2 blocks")
        correlation.lag_window(self.window, 1)


@dataclass(frozen=True)
class Spectrum:
    """A spectrum with its two errors.

    Attributes:
        quantity: what the intensity is, for a reader.
        wavenumber: shape ``(k,)``, cm^-1, in equal steps unless a time step was corrected for.
        blocks: shape ``(n_blocks, k)``, the intensity from each block of the trajectory.
        unit: of the intensity.
        resolution: full width at half maximum, in cm^-1, that a sharp line has here.
        members: shape ``(n_members, k)``, the intensity with each member of a committee; None
            without a committee.
        details: what else a reader needs to know, for the files beside a figure.
        other_windows: shape ``(2, k)``, the intensity with a window half as long and with one
            twice as long; NaN where the runs are too short. None if nobody has tried.
        no_error: why there are no errors, for a reader; empty where there are.
    """

    quantity: str
    wavenumber: Array
    blocks: Array
    unit: str
    resolution: float
    members: Array | None = None
    details: Mapping[str, str | float] = field(default_factory=dict)
    other_windows: Array | None = None
    no_error: str = ""

    @property
    def intensity(self) -> Array:
        """Mean over blocks, shape ``(k,)``."""
        return np.asarray(self.blocks.mean(axis=0))

    @property
    def error(self) -> Array:
        """Standard error of the mean over blocks, shape ``(k,)``; NaN where there is none.

        Widened by Student's t, so that one error holds 68 % of repetitions also for few blocks.
        It says nothing about what depends on the window: see :attr:`window_bias`.
        """
        if self.no_error:
            return np.full(len(self.wavenumber), np.nan)
        error = stats.sem(self.blocks, axis=0) * student(len(self.blocks) - 1)
        return np.asarray(error, dtype=np.float64)

    @property
    def error_from(self) -> str:
        """What :attr:`error` was made of, for a reader."""
        what = next((name for name in ("pairs", "runs") if name in self.details), "blocks")
        return f"scatter of {len(self.blocks)} {what}"

    @property
    def window_shift(self) -> Array | None:
        """How much of the intensity is the window's, as far as other windows show it: (k,).

        The larger of two: what the mean over one resolution moves by with a window twice as long
        (single points of a longer window are noise), and a third of what has moved from a window
        half as long (bias falls with the square of the length). None without other windows.
        """
        if self.other_windows is None:
            return None
        shorter, longer = self.other_windows
        spacing = self.wavenumber[1] - self.wavenumber[0]
        n_points = max(1, round(self.resolution / spacing))
        ahead = uniform_filter1d(longer - self.intensity, n_points, mode="nearest")
        return np.asarray(np.fmax(np.abs(ahead), np.abs(self.intensity - shorter) / 3.0))

    @property
    def window_bias(self) -> NDArray[np.bool_] | None:
        """Where the window shapes the spectrum more than its error says, shape ``(k,)``.

        Marked is what moves by more than its error with a window twice as long, what has moved by
        more than 2.5 errors from one half as long (0.8 of one is left then; with less, noise marks
        so many that the errors of the others are a tenth too large), and everything below the
        resolution. So are lines that are sharper than the resolution: their height is one at this
        resolution. Noise alone marks about one point in twenty. None without other windows, or
        without errors.
        """
        shift = self.window_shift
        if self.other_windows is None or shift is None or self.no_error:
            return None
        moved = np.abs(self.intensity - self.other_windows[0])
        below = (self.wavenumber > 0.0) & (self.wavenumber < self.resolution)
        return np.asarray(below | (shift > self.error) | (moved > 2.5 * self.error))

    @property
    def member_spread(self) -> Array | None:
        """Standard deviation (ddof=1) over the members, shape ``(k,)``; None without members."""
        return None if self.members is None else np.asarray(self.members.std(axis=0, ddof=1))

    def between(self, low: float, high: float) -> Spectrum:
        """The part between two wavenumbers in cm^-1.

        Raises:
            ConfigError: fewer than three points are left.
        """
        kept = (self.wavenumber >= low) & (self.wavenumber <= high)
        if np.count_nonzero(kept) < 3:
            raise ConfigError(
                f"fewer than three points lie between {low:g} and {high:g} cm^-1; the spectrum "
                f"reaches from {self.wavenumber[0]:g} to {self.wavenumber[-1]:g} in steps of "
                f"{self.wavenumber[1] - self.wavenumber[0]:g}"
            )
        return replace(
            self,
            wavenumber=self.wavenumber[kept],
            blocks=self.blocks[:, kept],
            members=None if self.members is None else self.members[:, kept],
            other_windows=None if self.other_windows is None else self.other_windows[:, kept],
        )

    def scaled(self, factor: Array | float) -> Spectrum:
        """The same with every curve multiplied by a number, or by one for each wavenumber."""
        return replace(
            self,
            blocks=self.blocks * factor,
            members=None if self.members is None else self.members * factor,
            other_windows=None if self.other_windows is None else self.other_windows * factor,
        )


def peak(spectrum: Spectrum, low: float, high: float) -> Estimate:
    """Position of the band between two wavenumbers, with a jackknife error.

    A parabola through the logarithm of the upper half of the band, against the logarithm of the
    wavenumber: noise on a broad band, which moves its highest point about, moves this by as much
    as the error says. The velocity spectrum and the absorption of a damped oscillator are
    symmetric there about its frequency, however broad. For a composed band it is the middle of
    the upper half rather than the highest point. The error is statistical; see
    :func:`member_peaks` for that of the models.

    Args:
        spectrum: of two or more blocks.
        low: cm^-1, on one side of the band.
        high: cm^-1, on the other side.

    Raises:
        ConfigError: the range holds fewer than three points.
        RecordError: no maximum inside the range.
    """
    part = _above_zero(spectrum, low, high)
    upper = _upper_half(part.wavenumber, part.intensity)
    x = part.wavenumber[upper]
    found = jackknife(part.blocks[:, upper], lambda mean: _vertex(x, mean), "cm^-1")
    return found.without_error(spectrum.no_error)


def member_peaks(spectrum: Spectrum, low: float, high: float) -> Array:
    """Position of the band, as :func:`peak` has it, for each member of the committee, in cm^-1.

    Raises:
        MissingObservable: the spectrum has no members.
        ConfigError: the range holds fewer than three points.
        RecordError: no maximum inside the range.
    """
    part = _above_zero(spectrum, low, high)
    if part.members is None:
        raise MissingObservable("this spectrum has no committee members; give members= to infrared")
    positions = []
    for member in part.members:
        upper = _upper_half(part.wavenumber, member)
        positions.append(_vertex(part.wavenumber[upper], member[upper]))
    return np.array(positions)


def integrate(spectrum: Spectrum, low: float, high: float) -> Estimate:
    """Integrated intensity between two wavenumbers, with its statistical error.

    Args:
        spectrum: of two or more blocks.
        low: cm^-1.
        high: cm^-1.

    Raises:
        ConfigError: the range holds fewer than three points.
    """
    part = spectrum.between(low, high)
    known = {"1/cm^-1": "1", "1": "cm^-1", "km/mol/cm^-1": "km/mol"}
    unit = known.get(part.unit, f"{part.unit} cm^-1")
    found = jackknife(part.blocks, lambda mean: float(trapezoid(mean, part.wavenumber)), unit)
    return found.without_error(spectrum.no_error)


def as_runs(data: Runs, axes: tuple[str, ...], what: str) -> list[Array]:
    """Return one run or several as a list, checked.

    Args:
        data: one array with as many axes as ``axes``, or a sequence of such.
        axes: what they are, the last of length 3, for the error.
        what: how to call the data in the error.

    Raises:
        RecordError: no run, wrong shape, NaN or infinity.
    """
    n_axes = len(axes)
    runs = [data] if isinstance(data, np.ndarray) and data.ndim == n_axes else list(data)
    if not runs:
        raise RecordError(f"{what}: no run was given")
    for run in runs:
        if np.ndim(run) != n_axes or np.shape(run)[-1] != 3:
            expected = ", ".join(axes)
            raise RecordError(f"{what} must have shape ({expected}) each, got {np.shape(run)}")
    return [check_series(run, what, least=1) for run in runs]


def check_positive(name: str, value: float, unit: str) -> None:
    """Refuse a parameter that is not a positive, finite number.

    Raises:
        ConfigError: with the name, the value and the unit.
    """
    if not (np.isfinite(value) and value > 0.0):
        raise ConfigError(f"{name} = {value} {unit}: must be a positive, finite number")


def check_temperature(temperature: float) -> None:
    """Refuse a temperature that is impossible, or in kelvin.

    Args:
        temperature: Eh.

    Raises:
        ConfigError: with the value, and what to multiply it with.
    """
    check_positive("temperature", temperature, "Eh")
    if temperature > 0.1:
        raise ConfigError(
            f"temperature = {temperature} Eh is {temperature / KELVIN:.3g} K; multiply kelvin by "
            "mlobs_client.units.KELVIN"
        )


def _upper_half(wavenumber: Array, intensity: Array) -> slice:
    """From the first to the last point above half of the highest."""
    top = int(np.argmax(intensity))
    if top in (0, len(intensity) - 1):
        raise RecordError(
            f"no maximum between {wavenumber[0]:g} and {wavenumber[-1]:g} cm^-1: the highest point "
            f"is at the end, {wavenumber[top]:g}; choose another range"
        )
    above = np.flatnonzero(intensity > 0.5 * intensity[top])
    return slice(min(int(above[0]), top - 1), max(int(above[-1]), top + 1) + 1)


def _above_zero(spectrum: Spectrum, low: float, high: float) -> Spectrum:
    """The part between two wavenumbers, of which logarithms exist."""
    part = spectrum.between(low, high)
    return part if part.wavenumber[0] > 0.0 else part.between(part.wavenumber[1], high)


def _vertex(wavenumber: Array, intensity: Array) -> float:
    """Of a parabola through the logarithm: the noise of spectra is relative, and lines are more
    like Gaussians than like parabolas, so that the ends of the range do not hold the vertex."""
    middle = float(wavenumber.mean())
    logarithm = np.log(np.maximum(intensity, 0.1 * intensity.max()))
    curvature, slope, _ = np.polyfit(np.log(wavenumber / middle), logarithm, 2)
    if curvature >= 0.0:
        raise RecordError(
            f"no single band between {wavenumber[0]:g} and {wavenumber[-1]:g} cm^-1: the middle "
            "is lower than the ends; choose a range with one band"
        )
    return middle * float(np.exp(-0.5 * slope / curvature))
