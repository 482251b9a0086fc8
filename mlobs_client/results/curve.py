"""Curves with their two errors, and their peaks and integrals.

There are two separate errors: the *statistical* one, from the scatter of blocks, runs or pairs of
runs, and the *spread over a committee* of models, which does not shrink with the length of the run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
import scipy
from numpy.typing import NDArray

from mlobs_client.errors import ConfigError, MissingObservable, RecordError
from mlobs_client.results.estimate import Estimate, student
from mlobs_client.results.statistics import jackknife
from mlobs_client.structure import Array

ARRAYS: Final = ("blocks", "members", "other_windows")
"""Names of the arrays that have the points of x along the last axis."""

ESTIMATOR: Final = "estimator"
"""Name of the detail that says how beads were averaged."""

NOTE: Final = "note"
"""Name of the detail that is shown in the legend of a figure."""

NOT_AVERAGED: Final = "one series, no average"
"""Reason why a curve that is not an average, such as a line through points, has no error."""


@dataclass(frozen=True, eq=False)
class Curve:
    """One quantity as a function of another, with its errors.

    Attributes:
        quantity: name of y.
        unit: unit of y; ``"1"`` if it has none.
        x_name: name of x, such as ``"wavenumber"``.
        x_unit: unit of x; ``"1"`` if it has none.
        x: increasing values of x, shape ``(k,)``, in ``x_unit``.
        blocks: y from each block of the trajectory, shape ``(n_blocks, k)``, in ``unit``.
        members: y from each member of a committee, shape ``(n_members, k)``, in ``unit``; None
            without a committee.
        resolution: full width at half maximum of a sharp line, in ``x_unit``; None if the curve was
            not smoothed.
        other_windows: y from a window half as long and from one twice as long, shape ``(2, k)``, in
            ``unit``; NaN if the runs are too short, None if no other window was used.
        rows: what the rows of ``blocks`` are: blocks, runs, or pairs of runs.
        no_error: reason why there are no errors; empty if there are any.
        details: settings of the computation, such as estimator, temperature and window.
        label: label in the legend of a figure, such as ``"classical"``.

    Raises:
        RecordError: shapes do not match, x does not increase, or there are fewer than two rows of
            blocks and no reason in ``no_error``.

    Example:
        A band near 1650 cm^-1, at slightly different positions in four blocks::

            >>> import numpy as np
            >>> from mlobs_client.results import Curve
            >>> x = np.linspace(1500.0, 1800.0, 301)
            >>> centres = np.array([1644.0, 1648.0, 1652.0, 1656.0])
            >>> blocks = np.exp(-0.5 * ((x - centres[:, None]) / 20.0) ** 2)
            >>> band = Curve("absorption", "cm^-1", "wavenumber", "cm^-1", x, blocks)
            >>> peak = band.peak(1550.0, 1750.0)
            >>> print(f"{peak.value:.0f} ± {peak.error:.0f} {peak.unit}")
            1650 ± 3 cm^-1
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
            raise RecordError(f"{self.quantity}: {self.x_name} must increase, got {self.x}")
        if len(self.blocks) < 2 and not self.no_error:
            raise RecordError(
                f"{self.quantity}: {len(self.blocks)} rows of blocks have no scatter; give more, "
                "or a reason in no_error"
            )

    @classmethod
    def of_one_series(
        cls, quantity: str, unit: str, x_name: str, x_unit: str, x: Array, y: Array, label: str = ""
    ) -> Curve:
        """Make a curve that is not an average and has no error, such as the dipole along a path.

        Args:
            quantity: name of y.
            unit: unit of y.
            x_name: name of x.
            x_unit: unit of x.
            x: increasing values, shape ``(k,)``, in ``x_unit``.
            y: shape ``(k,)``, in ``unit``.
            label: label in the legend of a figure.

        Raises:
            RecordError: shapes do not match, or x does not increase.
        """
        y = np.asarray(y, dtype=np.float64)[None]
        return cls(quantity, unit, x_name, x_unit, x, y, no_error=NOT_AVERAGED, label=label)

    @property
    def mean(self) -> Array:
        """Mean over blocks, shape ``(k,)``, in ``unit``."""
        return np.asarray(self.blocks.mean(axis=0))

    @property
    def error(self) -> Array:
        """Standard error of the mean over blocks, shape ``(k,)``, in ``unit``, or NaN.

        It is widened by Student's t, so that the true value lies within one error in 68 % of cases,
        even for few blocks. It does not include the bias of the window; see :attr:`window_bias`.
        """
        if self.no_error:
            return np.full(len(self.x), np.nan)
        error = scipy.stats.sem(self.blocks, axis=0) * student(len(self.blocks) - 1)
        return np.asarray(error, dtype=np.float64)

    @property
    def error_from(self) -> str:
        """Source of :attr:`error`, such as "scatter of 10 blocks"."""
        return f"scatter of {len(self.blocks)} {self.rows}"

    @property
    def spread(self) -> Array | None:
        """Standard deviation (ddof=1) over the members, shape ``(k,)``, in ``unit``, or None."""
        return None if self.members is None else np.asarray(self.members.std(axis=0, ddof=1))

    @property
    def window_shift(self) -> Array | None:
        """Bias of the window according to other windows, shape ``(k,)``, in ``unit``, or None.

        It is the larger of two shifts: the shift to a window twice as long, averaged over one
        resolution (single points of a longer window are noisy), and a third of the shift from a
        window half as long (the bias falls with the square of the length). It is None without
        other windows or without a resolution.
        """
        if self.other_windows is None or self.resolution is None or len(self.x) < 2:
            return None
        shorter, longer = self.other_windows
        n_points = max(1, round(self.resolution / (self.x[1] - self.x[0])))
        ahead = scipy.ndimage.uniform_filter1d(longer - self.mean, n_points, mode="nearest")
        return np.asarray(np.fmax(np.abs(ahead), np.abs(self.mean - shorter) / 3.0))

    @property
    def window_bias(self) -> NDArray[np.bool_] | None:
        """Mask of points where the bias of the window exceeds the error, shape ``(k,)``, or None.

        It contains points that shift by more than their error with a window twice as long, points
        that have shifted by more than 2.5 errors from a window half as long (a bias of 0.8 errors
        then remains; with a smaller limit, noise would select so many points that the errors of
        the others are a tenth too large), and all points below the resolution. Lines that are
        sharper than the resolution are included, because their height depends on it. Noise alone
        selects about one point in twenty. The mask is None without other windows, or without
        errors.
        """
        shift = self.window_shift
        if self.other_windows is None or self.resolution is None or shift is None or self.no_error:
            return None
        moved = np.abs(self.mean - self.other_windows[0])
        below = (self.x > 0.0) & (self.x < self.resolution)
        return np.asarray(below | (shift > self.error) | (moved > 2.5 * self.error))

    def between(self, low: float, high: float) -> Curve:
        """Return the part between two values of x.

        Args:
            low: lower end, in ``x_unit``.
            high: upper end, in ``x_unit``.

        Raises:
            ConfigError: the part has fewer than three points.
        """
        inside = (self.x >= low) & (self.x <= high)
        if np.count_nonzero(inside) < 3:
            raise ConfigError(
                f"fewer than three points lie between {low:g} and {high:g} {self.x_unit}; "
                f"{self.quantity} extends from {self.x[0]:g} to {self.x[-1]:g} in steps of "
                f"{self.x[1] - self.x[0]:g}"
            )
        return self._with(self.x[inside], lambda array: array[:, inside])

    def scaled(self, factor: Array | float) -> Curve:
        """Return the curve with y multiplied by a factor.

        Args:
            factor: one number, or one for each x, shape ``(k,)``, without a unit.
        """
        return self._with(self.x, lambda array: array * factor)

    def _with(self, x: Array, change: Callable[[Array], Array]) -> Curve:
        """Return the curve with other values of x and with every array changed."""
        return replace(
            self,
            x=x,
            blocks=change(self.blocks),
            members=None if self.members is None else change(self.members),
            other_windows=None if self.other_windows is None else change(self.other_windows),
        )

    def peak(self, low: float, high: float) -> Estimate:
        """Return the position of the band between two positive values of x, with a jackknife error.

        It is the vertex of a parabola fitted to the logarithm of the upper half of the band as a
        function of the logarithm of x: it is less sensitive to noise on a broad band than the
        highest point, and its error is realistic. In these variables, the velocity spectrum and the
        absorption of a damped oscillator are symmetric about its frequency for any width. For
        overlapping bands it is the middle of the upper half rather than the highest point. The
        error is statistical; see :meth:`member_peaks` for the differences between models.

        Args:
            low: lower end of the range, in ``x_unit``.
            high: upper end of the range, in ``x_unit``.

        Raises:
            ConfigError: the range has fewer than three points.
            RecordError: there is no maximum inside the range, or there is more than one band.
        """
        part = self._above_zero(low, high)
        upper = part._upper_half(part.mean)
        x = part.x[upper]
        position = jackknife(part.blocks[:, upper], lambda y: part._vertex(x, y), self.x_unit)
        return position.without_error(self.no_error)

    def member_peaks(self, low: float, high: float) -> Array:
        """Return the position of the band for each member of the committee; see :meth:`peak`.

        Args:
            low: lower end of the range, in ``x_unit``.
            high: upper end of the range, in ``x_unit``.

        Returns:
            The positions, shape ``(n_members,)``, in ``x_unit``.

        Raises:
            MissingObservable: the curve has no members.
            ConfigError: the range has fewer than three points.
            RecordError: there is no maximum inside the range, or there is more than one band.
        """
        part = self._above_zero(low, high)
        if part.members is None:
            raise MissingObservable(
                "this curve has no committee members; give members= to infrared"
            )
        halves = [(member, part._upper_half(member)) for member in part.members]
        return np.array([part._vertex(part.x[half], member[half]) for member, half in halves])

    def integral(self, low: float, high: float) -> Estimate:
        """Return the integral over x between two values, with its statistical error.

        Args:
            low: lower end of the range, in ``x_unit``.
            high: upper end of the range, in ``x_unit``.

        Returns:
            The integral, in ``unit`` times ``x_unit``.

        Raises:
            ConfigError: the range has fewer than three points.
        """
        part = self.between(low, high)
        unit = product(self.unit, self.x_unit)
        area = jackknife(
            part.blocks, lambda mean: float(scipy.integrate.trapezoid(mean, part.x)), unit
        )
        return area.without_error(self.no_error)

    def _above_zero(self, low: float, high: float) -> Curve:
        """Return the part between two values where x is positive and has a logarithm."""
        part = self.between(low, high)
        return (
            part if part.x[0] > 0.0 else part.between(part.x[part.x > 0.0].min(initial=high), high)
        )

    def _upper_half(self, y: Array) -> slice:
        """Return the slice from the first to the last point above half the maximum."""
        top = int(np.argmax(y))
        if top in (0, len(y) - 1):
            raise RecordError(
                f"no maximum between {self.x[0]:g} and {self.x[-1]:g} {self.x_unit}: the highest "
                f"point is at the end, {self.x[top]:g}; choose another range"
            )
        above = np.flatnonzero(y > 0.5 * y[top])
        return slice(min(int(above[0]), top - 1), max(int(above[-1]), top + 1) + 1)

    def _vertex(self, x: Array, y: Array) -> float:
        """Return the vertex of a parabola fitted to the logarithm of y against that of x.

        The noise of spectra is proportional to y, and the shape of lines is closer to a Gaussian
        than to a parabola, so that in the logarithm the ends of the range do not bias the vertex.
        """
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
    """Return the unit of a product; a divisor may cancel: ``km/mol/cm^-1`` times ``cm^-1``."""
    if unit == f"1/{other}":
        return "1"
    if unit.endswith(f"/{other}"):
        return unit.removesuffix(f"/{other}")
    factors = [name for name in (unit, other) if name != "1"]
    return " ".join(factors) or "1"
