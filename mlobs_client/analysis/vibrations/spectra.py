"""Settings of spectra, and checks of the data from which they are computed.

A spectrum is a :class:`~mlobs_client.results.curve.Curve` over wavenumbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mlobs_client.errors import ConfigError, RecordError
from mlobs_client.results import correlation
from mlobs_client.results.curve import Curve
from mlobs_client.results.estimate import check_series
from mlobs_client.results.run_length import Interval
from mlobs_client.structure import Array
from mlobs_client.units import KELVIN, PICOSECOND

Runs = Array | Sequence[Array]
"""One run, or a sequence of independent runs, which may differ in length."""


@dataclass(frozen=True)
class SpectrumSettings:
    """Settings for the computation of a spectrum from a trajectory.

    Attributes:
        resolution: full width at half maximum of a sharp line, cm^-1; it determines the longest
            lag. A finer resolution needs longer blocks and gives larger errors.
        n_blocks: number of blocks for the error, from all runs together. Runs that are too short
            for these give fewer blocks, or a coarser resolution
            (:mod:`~mlobs_client.analysis.vibrations.short_runs`).
        window: lag window, a name of :data:`~mlobs_client.results.correlation.WINDOWS`.
        stride: steps of the integrator between samples, for messages that say how much longer runs
            must be; None if not known.

    Raises:
        ConfigError: a value is invalid.
    """

    resolution: float = 10.0
    n_blocks: int = 10
    window: str = "parzen"
    stride: float | None = None

    def __post_init__(self) -> None:
        if not (np.isfinite(self.resolution) and self.resolution > 0.0):
            raise ConfigError(
                f"resolution = {self.resolution}: must be a positive width in cm^-1, such as 10"
            )
        if self.n_blocks < 2:
            raise ConfigError(f"n_blocks = {self.n_blocks}: an error needs at least 2 blocks")
        correlation.check_window(self.window)

    def interval(self, timestep: float) -> float:
        """Return the time between samples, ps, with :attr:`stride` if that is known.

        Args:
            timestep: time between samples, atu.
        """
        picoseconds = timestep / PICOSECOND
        return picoseconds if self.stride is None else Interval(picoseconds, self.stride)


def spectrum(
    quantity: str,
    wavenumber: Array,
    blocks: Array,
    unit: str,
    resolution: float,
    *,
    members: Array | None = None,
    other_windows: Array | None = None,
    details: Mapping[str, str | float] | None = None,
    rows: str = "blocks",
    no_error: str = "",
) -> Curve:
    """Make a curve over wavenumbers.

    Args:
        quantity: name of y.
        wavenumber: shape ``(k,)``, cm^-1, in equal steps unless corrected for the time step.
        blocks: y from each block of the trajectory, shape ``(n_blocks, k)``, in ``unit``.
        unit: unit of y.
        resolution: full width at half maximum of a sharp line, cm^-1.
        members: y from each member of a committee, shape ``(n_members, k)``, in ``unit``.
        other_windows: y with a window half as long and with one twice as long, shape ``(2, k)``, in
            ``unit``.
        details: settings of the computation, for captions and files.
        rows: what the rows of ``blocks`` are.
        no_error: reason why there are no errors; empty if there are any.

    Raises:
        RecordError: shapes do not match.
    """
    return Curve(
        quantity, unit, "wavenumber", "cm^-1", wavenumber, blocks, members, resolution,
        other_windows, rows, no_error, details or {},
    )  # fmt: skip


def as_runs(data: Runs, axes: tuple[str, ...], what: str) -> list[Array]:
    """Return one run or several runs as a list after checking them.

    Args:
        data: one array with as many axes as ``axes``, or a sequence of such arrays, of any unit.
        axes: names of the axes for error messages; the last axis has length 3.
        what: name of the data in error messages.

    Raises:
        RecordError: there is no run, a shape is wrong, or a number is not finite.
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

    Args:
        name: name of the parameter, for the error message.
        value: its value, in ``unit``.
        unit: its unit, for the error message.

    Raises:
        ConfigError: the parameter is not such a number.
    """
    if not (np.isfinite(value) and value > 0.0):
        raise ConfigError(f"{name} = {value} {unit}: must be a positive, finite number")


def check_temperature(temperature: float) -> None:
    """Refuse a temperature that is impossible or most likely in kelvin.

    Args:
        temperature: kT, Eh.

    Raises:
        ConfigError: it is not positive, or larger than 0.1 Eh.
    """
    check_positive("temperature", temperature, "Eh")
    if temperature > 0.1:
        raise ConfigError(
            f"temperature = {temperature} Eh is {temperature / KELVIN:.3g} K; multiply kelvin by "
            "mlobs_client.units.KELVIN"
        )
