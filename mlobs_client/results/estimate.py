"""Numbers with errors, or with the reason why they have none.

An error is one standard error, widened so that the true value lies within it in 68 % of all cases,
even for few samples (Student's t). A series with too few independent samples gives no reliable
error: its value then has a reason in place of the error.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import scipy

from mlobs_client.errors import RecordError
from mlobs_client.results.run_length import longer_by
from mlobs_client.structure import Array

FEWEST: Final = 20
"""Minimum number of independent samples of a correlated series that gives an error."""

FEWEST_RUNS: Final = 3
"""Minimum number of independent runs of any length whose scatter gives an error."""

ONE_SIGMA: Final = 0.8413447460685429
"""Cumulative probability of a normal distribution at one standard deviation."""


@dataclass(frozen=True)
class Estimate:
    """A number with its standard error.

    Attributes:
        value: the number, in ``unit``.
        error: standard error of the number, in ``unit``; NaN if there is none.
        unit: name of the unit, ``"1"`` if there is none.
        n_independent: number of independent samples, or of blocks.
        no_error: reason why there is no error; empty if there is one.
        freedom: degrees of freedom of the error; None means one less than the number of independent
            samples, as for blocks.
        error_from: source of the error, such as "scatter of 5 runs".
    """

    value: float
    error: float
    unit: str
    n_independent: float
    no_error: str = ""
    freedom: float | None = None
    error_from: str = ""

    def without_error(self, reason: str) -> Estimate:
        """Return the value with a reason in place of its error, or unchanged without a reason."""
        return replace(self, error=np.nan, no_error=reason) if reason else self

    def as_json(self) -> dict[str, float | str | None]:
        """Return a mapping for JSON, with the error and its source, or with null and the reason."""
        content: dict[str, float | str | None] = {
            "value": self.value,
            "error": None if self.no_error else self.error,
            "unit": self.unit,
            "n_independent": self.n_independent,
        }
        if self.no_error:
            return {**content, "no_error": self.no_error}
        return {**content, "error_from": self.error_from} if self.error_from else content

    def is_beyond(self, value: float) -> bool:
        """Return True if the true value differs from another value with 95 % confidence.

        For few blocks or runs this takes more than two errors (Student's t). Without an error, the
        result is False.
        """
        errors = float(scipy.stats.t.ppf(0.975, self._freedom)) / student(self._freedom)
        return bool(abs(self.value - value) > errors * self.error)

    @property
    def before_widening(self) -> float:
        """The error before it is widened by Student's t; its square is right on average."""
        return self.error / student(self._freedom)

    @property
    def _freedom(self) -> float:
        return max(self.n_independent - 1.0 if self.freedom is None else self.freedom, 1.0)

    @property
    def text(self) -> str:
        """Value ± error, without the unit; the value alone if there is no error."""
        if self.no_error:
            return f"{self.value:.5g}"
        if not (np.isfinite(self.error) and self.error > 0):
            return f"{self.value:.6g}"
        decimals = max(0, 1 - int(np.floor(np.log10(self.error))))
        return f"{self.value:.{decimals}f} ± {self.error:.{decimals}f}"

    def __str__(self) -> str:
        unit = "" if self.unit == "1" else f" {self.unit}"
        reason = f", no error: {self.no_error}" if self.no_error else ""
        return f"{self.text}{unit}{reason}"

    def __mul__(self, factor: float) -> Estimate:
        """Scale the value and the error but keep the unit, which ``replace`` can change."""
        return replace(self, value=self.value * factor, error=self.error * abs(factor))


def student(freedom: float) -> float:
    """Return the factor that widens a standard error to contain 68.3 % of all cases.

    Args:
        freedom: degrees of freedom of the standard error; at least 1.
    """
    return float(scipy.stats.t.ppf(ONE_SIGMA, max(freedom, 1.0)))


def too_few(
    n_independent: float,
    n_samples: float,
    interval: float | None = None,
    least: float = FEWEST,
    n_runs: int = 1,
) -> str:
    """Return the reason why a correlated series has no error, or an empty string if it has one.

    Args:
        n_independent: number of independent samples.
        n_samples: number of all samples; the mean number if several runs have them.
        interval: time between samples, ps; None to give the missing length in samples.
        least: minimum number of independent samples that gives an error.
        n_runs: number of runs that must be longer.
    """
    if n_independent >= least:
        return ""
    missing = (least / n_independent - 1.0) * n_samples
    count = int(n_independent)
    what = f"{count} independent sample{'s' if count != 1 else ''}"
    return f"{what}, needs {least:g}: run about {longer_by(missing, interval, n_runs)}"


def check_series(values: Array, what: str, least: int = 2) -> Array:
    """Return values as floats after checking that there are enough and that all are finite.

    Args:
        values: shape ``(t, ...)``, any unit.
        what: name of the values in error messages.
        least: minimum number of samples.

    Raises:
        RecordError: there are fewer than ``least`` samples, or a number is not finite.
    """
    checked = np.asarray(values, dtype=np.float64)
    if checked.ndim == 0 or len(checked) < least:
        length = 0 if checked.ndim == 0 else len(checked)
        raise RecordError(f"{what}: {length} samples, but at least {least} are needed; run longer")
    if not np.isfinite(checked).all():
        index = [int(i) for i in np.argwhere(~np.isfinite(checked))[0]]
        raise RecordError(
            f"{what}{index} is {checked[tuple(index)]}, not a finite number; find that step in the "
            "trajectory, and cut the trajectory off before it"
        )
    return checked
