"""How trajectories become spectra, and checks of what they are made from.

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
    """A curve over wavenumbers.

    Args:
        quantity: the name of y, for a reader.
        wavenumber: shape ``(k,)``, cm^-1, in equal steps unless a time step was corrected for.
        blocks: shape ``(n_blocks, k)``, y from each block of the trajectory.
        unit: of y.
        resolution: full width at half maximum, in cm^-1, that a sharp line has here.
        members: shape ``(n_members, k)``, y with each member of a committee.
        other_windows: shape ``(2, k)``, y with a window half as long and with one twice as long.
        details: how it was made, for a reader.
        rows: what the rows of ``blocks`` are.
        no_error: why there are no errors, for a reader.

    Raises:
        RecordError: shapes that do not fit.
    """
    return Curve(
        quantity, unit, "wavenumber", "cm^-1", wavenumber, blocks, members, resolution,
        other_windows, rows, no_error, details or {},
    )  # fmt: skip


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
