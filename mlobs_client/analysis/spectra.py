"""Spectra with error bars: what they are, and how runs become spectral densities.

Two errors are kept apart: the *statistical* one, from blocks of the trajectory, and the *spread
over a committee* of models, which does not shrink with the length of the run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.integrate import trapezoid

from mlobs_client.analysis import correlation
from mlobs_client.analysis.statistics import Estimate, check_series, jackknife
from mlobs_client.errors import ConfigError, MissingObservable, RecordError
from mlobs_client.structure import Array
from mlobs_client.units import INVERSE_CM, KELVIN

Runs = Array | Sequence[Array]
"""One run, or a sequence of independent runs (they may differ in length)."""


@dataclass(frozen=True)
class SpectrumSettings:
    """How a trajectory becomes a spectrum.

    Attributes:
        resolution: full width in cm^-1 that a sharp line gets; sets the longest lag. A finer one
            needs longer blocks and gives larger errors.
        n_blocks: how many blocks give the error, all runs together.
        window: one of :data:`~mlobs_client.analysis.correlation.WINDOWS`.

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
        wavenumber: shape ``(k,)``, cm^-1, in equal steps.
        blocks: shape ``(n_blocks, k)``, the intensity from each block of the trajectory.
        unit: of the intensity.
        resolution: full width at half maximum, in cm^-1, that a sharp line has here.
        members: shape ``(n_members, k)``, the intensity with each member of a committee; None
            without a committee.
        details: what else a reader needs to know, for the files beside a figure.
    """

    quantity: str
    wavenumber: Array
    blocks: Array
    unit: str
    resolution: float
    members: Array | None = None
    details: Mapping[str, str | float] = field(default_factory=dict)

    @property
    def intensity(self) -> Array:
        """Mean over blocks, shape ``(k,)``."""
        return np.asarray(self.blocks.mean(axis=0))

    @property
    def error(self) -> Array:
        """Standard error of the mean over blocks, shape ``(k,)``."""
        return np.asarray(self.blocks.std(axis=0, ddof=1) / np.sqrt(len(self.blocks)))

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
        members = None if self.members is None else self.members[:, kept]
        return replace(
            self,
            wavenumber=self.wavenumber[kept],
            blocks=self.blocks[:, kept],
            members=members,
        )


@dataclass(frozen=True)
class SpectralDensity:
    r"""Transforms of the autocorrelations of a signal, with no physics yet.

    Attributes:
        wavenumber: shape ``(k,)``, cm^-1.
        blocks: shape ``(n_blocks, k)``, :math:`\int C(t) \cos(\omega t)\, dt` over all t, in the
            unit of the signal squared times atu.
        resolution: full width at half maximum that a sharp line has, cm^-1.
        at_zero_lag: mean square of the signal.
        details: how it was made.
    """

    wavenumber: Array
    blocks: Array
    resolution: float
    at_zero_lag: float
    details: Mapping[str, str | float]

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
        """Cut runs into blocks, correlate, window and transform.

        Args:
            runs: each of shape ``(t, ...)``.
            timestep: between samples, atu.
            settings: resolution, blocks, window.
            weights: of the components of the signal, shape ``(...)``.
            biased: see :func:`~mlobs_client.analysis.correlation.autocorrelation`.

        Raises:
            ConfigError: an impossible parameter.
            RecordError: too short for the resolution, or not finite.
        """
        width = settings.resolution * INVERSE_CM
        max_lag = correlation.lag_for_line_width(settings.window, width, timestep)
        blocks = correlation.split_blocks(runs, settings.n_blocks)
        length = len(blocks[0])
        what = f"each of {settings.n_blocks} blocks"
        check_length(length, max_lag, settings.resolution, what)
        lagged = np.stack(
            [correlation.autocorrelation(b, max_lag, weights, biased=biased) for b in blocks]
        )
        window = effective = correlation.lag_window(settings.window, max_lag)
        n_points = correlation.points_for_line_width(width, timestep)
        if biased:  # the autocorrelation is itself cut by a triangle
            effective = window * (1.0 - np.arange(max_lag + 1) / length)
        return cls(
            wavenumber=np.linspace(0.0, np.pi / (timestep * INVERSE_CM), n_points),
            blocks=correlation.cosine_transform(lagged * window, timestep, n_points),
            resolution=correlation.line_width(effective, timestep) / INVERSE_CM,
            at_zero_lag=float(lagged[:, 0].mean()),
            details={
                "window": settings.window,
                "autocorrelation": "biased" if biased else "unbiased",
                "blocks": len(blocks),
                "samples per block": length,
                "longest lag (samples)": max_lag,
            },
        )


def peak(spectrum: Spectrum, low: float, high: float) -> Estimate:
    """Position of the band between two wavenumbers, with a jackknife error.

    The centre of a Gaussian fitted to the upper half of the band: noise on a broad band, which
    moves its highest point about, moves this by as much as the error says. For a skewed or
    composed band it is the middle of the upper half rather than the highest point. The error is
    statistical; see :func:`member_peaks` for that of the models.

    Args:
        spectrum: of two or more blocks.
        low: cm^-1, on one side of the band.
        high: cm^-1, on the other side.

    Raises:
        ConfigError: the range holds fewer than three points.
        RecordError: no maximum inside the range.
    """
    part = spectrum.between(low, high)
    upper = _upper_half(part.wavenumber, part.intensity)
    x = part.wavenumber[upper]
    return jackknife(part.blocks[:, upper], lambda mean: _vertex(x, mean), "cm^-1")


def member_peaks(spectrum: Spectrum, low: float, high: float) -> Array:
    """Position of the band, as :func:`peak` has it, for each member of the committee, in cm^-1.

    Raises:
        MissingObservable: the spectrum has no members.
        ConfigError: the range holds fewer than three points.
        RecordError: no maximum inside the range.
    """
    part = spectrum.between(low, high)
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
    unit = {"1/cm^-1": "1", "1": "cm^-1"}.get(part.unit, f"{part.unit} cm^-1")
    return jackknife(part.blocks, lambda mean: float(trapezoid(mean, part.wavenumber)), unit)


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


def _vertex(wavenumber: Array, intensity: Array) -> float:
    """Of a parabola through the logarithm: the noise of spectra is relative, and lines are more
    alike to Gaussians than to parabolas, so that the ends of the range do not hold the vertex."""
    middle = float(wavenumber.mean())
    logarithm = np.log(np.maximum(intensity, 0.1 * intensity.max()))
    curvature, slope, _ = np.polyfit(wavenumber - middle, logarithm, 2)
    if curvature >= 0.0:
        raise RecordError(
            f"no single band between {wavenumber[0]:g} and {wavenumber[-1]:g} cm^-1: the middle "
            "is lower than the ends; choose a range with one band"
        )
    return middle - 0.5 * float(slope / curvature)


def check_length(length: int, max_lag: int, resolution: float, what: str) -> None:
    """Refuse series that are shorter than the longest lag.

    Args:
        length: samples of the series.
        max_lag: that the resolution asks for, in samples.
        resolution: cm^-1.
        what: how to call the series in the error.

    Raises:
        RecordError: says which resolution they allow.
    """
    if length > max_lag:
        return
    finest = resolution * (max_lag + 1) / length
    raise RecordError(
        f"{what} has {length} samples, but {max_lag + 1} are needed for a resolution of "
        f"{resolution:g} cm^-1; run longer, or ask for a resolution of {np.ceil(finest):g} cm^-1"
    )
