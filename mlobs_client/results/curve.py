"""Curves with their two errors, and what is read off them.

Two errors are kept apart: the *statistical* one, from the scatter of blocks, runs or pairs of runs,
and the *spread over a committee* of models, which does not shrink with the length of the run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.integrate import trapezoid
from scipy.ndimage import uniform_filter1d

from mlobs_client.errors import ConfigError, MissingObservable, RecordError
from mlobs_client.results.estimate import Estimate, student
from mlobs_client.results.statistics import jackknife
from mlobs_client.structure import Array

ARRAYS: Final = ("blocks", "members", "other_windows")
"""What a curve has for each point of x, along the last axis."""

ESTIMATOR: Final = "estimator"
"""The detail of curves and points that says how beads were averaged."""
NOTE: Final = "note"
"""Another detail that a reader of the figure needs."""
NOT_AVERAGED: Final = "one series, no average"
"""Why a curve has no error that is no average: the dipole along a path, a line through points."""


@dataclass(frozen=True, eq=False)
class Curve:
    """One quantity as a function of another, with its errors.

    Attributes:
        quantity: the name of y, for a reader.
        unit: of y; ``"1"`` where it has none.
        x_name: of the other quantity, for a reader, such as ``"wavenumber"``.
        x_unit: of x; ``"1"`` where it has none.
        x: shape ``(k,)``, rising, in ``x_unit``.
        blocks: shape ``(n_blocks, k)``, y from each block of the trajectory, in ``unit``.
        members: shape ``(n_members, k)``, y from each member of a committee; None without one.
        resolution: full width at half maximum of a sharp line, in ``x_unit``; None where nothing
            was smoothed.
        other_windows: shape ``(2, k)``, y from a window half as long and from one twice as long;
            NaN where the runs are too short. None where no other window was tried.
        rows: what the rows of ``blocks`` are, for a reader: blocks, runs, pairs of runs.
        no_error: why there are no errors, for a reader; empty where there are.
        details: how the curve was made, for a reader: estimator, temperature, window.
        label: name in the legend of a figure, such as ``"classical"``.

    Raises:
        RecordError: shapes that do not fit, x that does not rise, or one row of blocks without a
            reason in ``no_error``.
    """

    quantity: str
    unit: str
    x_name: str
    x_unit: str
    x: Array
    blocks: Array
    members: Array | None = None
    resolution: float | None = None
    other_windows: Array | None = None
    rows: str = "blocks"
    no_error: str = ""
    details: Mapping[str, str | float] = field(default_factory=dict)
    label: str = ""

    def __post_init__(self) -> None:
        n_points = len(self.x) if np.ndim(self.x) == 1 else -1
        for name in ARRAYS:
            array = getattr(self, name)
            if array is not None and (np.ndim(array) != 2 or np.shape(array)[1] != n_points):
                raise RecordError(
                    f"{self.quantity}: {name} must have shape (n, k) and x shape (k,), got "
                    f"{np.shape(array)} and {np.shape(self.x)}"
                )
        if not (np.diff(self.x) > 0.0).all() or not len(self.x):
            raise RecordError(f"{self.quantity}: {self.x_name} must rise, got {self.x}")
        if len(self.blocks) < 2 and not self.no_error:
            raise RecordError(
                f"{self.quantity}: {len(self.blocks)} rows of blocks have no scatter; give more, "
                "or say in no_error why there is no error"
            )

    @classmethod
    def of_one_series(
        cls, quantity: str, unit: str, x_name: str, x_unit: str, x: Array, y: Array, label: str = ""
    ) -> Curve:
        """A curve that is no average and has no error, such as the dipole along a path.

        Args:
            quantity: the name of y, for a reader.
            unit: of y.
            x_name: of the other quantity, for a reader.
            x_unit: of x.
            x: shape ``(k,)``, rising, in ``x_unit``.
            y: shape ``(k,)``, in ``unit``.
            label: name in the legend of a figure.

        Raises:
            RecordError: shapes that do not fit, or x that does not rise.
        """
        y = np.asarray(y, dtype=np.float64)[None]
        return cls(quantity, unit, x_name, x_unit, x, y, no_error=NOT_AVERAGED, label=label)

    @property
    def mean(self) -> Array:
        """Mean over blocks, shape ``(k,)``, in ``unit``."""
        return np.asarray(self.blocks.mean(axis=0))

    @property
    def error(self) -> Array:
        """Standard error of the mean over blocks, shape ``(k,)``; NaN where there is none.

        Widened by Student's t, so that one error holds 68 % of repetitions also for few blocks.
        It says nothing about what depends on the window: see :attr:`window_bias`.
        """
        if self.no_error:
            return np.full(len(self.x), np.nan)
        error = stats.sem(self.blocks, axis=0) * student(len(self.blocks) - 1)
        return np.asarray(error, dtype=np.float64)

    @property
    def error_from(self) -> str:
        """The scatter that made :attr:`error`, for a reader."""
        return f"scatter of {len(self.blocks)} {self.rows}"

    @property
    def spread(self) -> Array | None:
        """Standard deviation (ddof=1) over the members, shape ``(k,)``; None without members."""
        return None if self.members is None else np.asarray(self.members.std(axis=0, ddof=1))

    @property
    def window_shift(self) -> Array | None:
        """How much of y is the window's, as far as other windows show it, shape ``(k,)``.

        The larger of two: what the mean over one resolution moves by with a window twice as long
        (single points of a longer window are noise), and a third of what has moved from a window
        half as long (bias falls with the square of the length). None without other windows.
        """
        if self.other_windows is None or self.resolution is None or len(self.x) < 2:
            return None
        shorter, longer = self.other_windows
        n_points = max(1, round(self.resolution / (self.x[1] - self.x[0])))
        ahead = uniform_filter1d(longer - self.mean, n_points, mode="nearest")
        return np.asarray(np.fmax(np.abs(ahead), np.abs(self.mean - shorter) / 3.0))

    @property
    def window_bias(self) -> NDArray[np.bool_] | None:
        """Where the window shapes the curve more than its error says, shape ``(k,)``.

        Marked is what moves by more than its error with a window twice as long, what has moved by
        more than 2.5 errors from one half as long (0.8 of one is left then; with less, noise marks
        so many that the errors of the others are a tenth too large), and everything below the
        resolution. So are lines that are sharper than the resolution: their height is one at this
        resolution. Noise alone marks about one point in twenty. None without other windows, or
        without errors.
        """
        shift = self.window_shift
        if self.other_windows is None or self.resolution is None or shift is None or self.no_error:
            return None
        moved = np.abs(self.mean - self.other_windows[0])
        below = (self.x > 0.0) & (self.x < self.resolution)
        return np.asarray(below | (shift > self.error) | (moved > 2.5 * self.error))

    def between(self, low: float, high: float) -> Curve:
        """The part between two values of x.

        Raises:
            ConfigError: fewer than three points are left.
        """
        kept = (self.x >= low) & (self.x <= high)
        if np.count_nonzero(kept) < 3:
            raise ConfigError(
                f"fewer than three points lie between {low:g} and {high:g} {self.x_unit}; "
                f"{self.quantity} reaches from {self.x[0]:g} to {self.x[-1]:g} in steps of "
                f"{self.x[1] - self.x[0]:g}"
            )
        return self._with(self.x[kept], lambda array: array[:, kept])

    def scaled(self, factor: Array | float) -> Curve:
        """The same with every y multiplied by a number, or by one for each x, shape ``(k,)``."""
        return self._with(self.x, lambda array: array * factor)

    def _with(self, x: Array, change: Callable[[Array], Array]) -> Curve:
        """The same with another x, and every array changed."""
        return replace(
            self,
            x=x,
            blocks=change(self.blocks),
            members=None if self.members is None else change(self.members),
            other_windows=None if self.other_windows is None else change(self.other_windows),
        )

    def peak(self, low: float, high: float) -> Estimate:
        """Position of the band between two positive values of x, with a jackknife error.

        A parabola through the logarithm of the upper half of the band, against the logarithm of
        x: noise on a broad band, which moves its highest point about, moves this by as much as
        the error says. The velocity spectrum and the absorption of a damped oscillator are
        symmetric there about its frequency, however broad. For a composed band it is the middle
        of the upper half rather than the highest point. The error is statistical; see
        :meth:`member_peaks` for that of the models.

        Args:
            low: on one side of the band, in ``x_unit``.
            high: on the other side.

        Raises:
            ConfigError: the range holds fewer than three points.
            RecordError: no maximum inside the range.
        """
        part = self._above_zero(low, high)
        upper = part._upper_half(part.mean)
        x = part.x[upper]
        found = jackknife(part.blocks[:, upper], lambda y: part._vertex(x, y), self.x_unit)
        return found.without_error(self.no_error)

    def member_peaks(self, low: float, high: float) -> Array:
        """Position of the band, as :meth:`peak` has it, for each member of the committee.

        Returns:
            Shape ``(n_members,)``, in ``x_unit``.

        Raises:
            MissingObservable: the curve has no members.
            ConfigError: the range holds fewer than three points.
            RecordError: no maximum inside the range.
        """
        part = self._above_zero(low, high)
        if part.members is None:
            raise MissingObservable(
                "this curve has no committee members; give members= to infrared"
            )
        halves = [(member, part._upper_half(member)) for member in part.members]
        return np.array([part._vertex(part.x[half], member[half]) for member, half in halves])

    def integral(self, low: float, high: float) -> Estimate:
        """Integral over x between two values, with its statistical error.

        Args:
            low: in ``x_unit``.
            high: in ``x_unit``.

        Raises:
            ConfigError: the range holds fewer than three points.
        """
        part = self.between(low, high)
        unit = product(self.unit, self.x_unit)
        found = jackknife(part.blocks, lambda mean: float(trapezoid(mean, part.x)), unit)
        return found.without_error(self.no_error)

    def _above_zero(self, low: float, high: float) -> Curve:
        """The part between two values, of which logarithms exist."""
        part = self.between(low, high)
        return (
            part if part.x[0] > 0.0 else part.between(part.x[part.x > 0.0].min(initial=high), high)
        )

    def _upper_half(self, y: Array) -> slice:
        """From the first to the last point above half of the highest."""
        top = int(np.argmax(y))
        if top in (0, len(y) - 1):
            raise RecordError(
                f"no maximum between {self.x[0]:g} and {self.x[-1]:g} {self.x_unit}: the highest "
                f"point is at the end, {self.x[top]:g}; choose another range"
            )
        above = np.flatnonzero(y > 0.5 * y[top])
        return slice(min(int(above[0]), top - 1), max(int(above[-1]), top + 1) + 1)

    def _vertex(self, x: Array, y: Array) -> float:
        """Of a parabola through the logarithm: the noise of spectra is relative, and lines are more
        like Gaussians than like parabolas, so that the ends of the range do not hold the vertex."""
        middle = float(x.mean())
        logarithm = np.log(np.maximum(y, 0.1 * y.max()))
        curvature, slope, _ = np.polyfit(np.log(x / middle), logarithm, 2)
        if curvature >= 0.0:
            raise RecordError(
                f"no single band between {x[0]:g} and {x[-1]:g} {self.x_unit}: the middle is lower "
                "than the ends; choose a range with one band"
            )
        return middle * float(np.exp(-0.5 * slope / curvature))


def product(unit: str, other: str) -> str:
    """The unit of a product, where a divisor cancels: ``km/mol/cm^-1`` times ``cm^-1``."""
    if unit == f"1/{other}":
        return "1"
    if unit.endswith(f"/{other}"):
        return unit.removesuffix(f"/{other}")
    words = [one for one in (unit, other) if one != "1"]
    return " ".join(words) or "1"
