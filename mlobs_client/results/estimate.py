"""Numbers with errors, and when a number has none.

An error is one standard error, widened such that it covers the true value in 68 % of all cases,
also where it rests on few samples (Student's t). A series that holds too few independent samples
does not know its own error: then the value stands alone, and why stands in place of the error.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from scipy import stats

from mlobs_client.errors import RecordError
from mlobs_client.structure import Array

FEWEST: Final = 20
"""Independent samples of a correlated series below which its error is not printed."""

FEWEST_RUNS: Final = 3
"""Independent runs whose scatter gives an error, however short they are."""

ONE_SIGMA: Final = float(stats.norm.cdf(1.0))


@dataclass(frozen=True)
class Estimate:
    """A number with its standard error.

    Attributes:
        value: in ``unit``.
        error: one sigma, in ``unit``; of the mean, not of one sample; NaN where there is none.
        unit: written as for a reader, ``"1"`` where there is none.
        n_independent: how many independent samples (or blocks) it rests on.
        no_error: why there is no error, for a reader; empty where there is one.
        freedom: degrees of freedom that the error rests on; None for one less than the number of
            independent samples, as with blocks.
        error_from: what the error was made of, for a reader: "scatter of 5 runs".
    """

    value: float
    error: float
    unit: str
    n_independent: float
    no_error: str = ""
    freedom: float | None = None
    error_from: str = ""

    def without_error(self, reason: str) -> Estimate:
        """The value alone, with the reason for a reader; unchanged if there is no reason."""
        return replace(self, error=np.nan, no_error=reason) if reason else self

    def as_json(self) -> dict[str, float | str | None]:
        """All of it; the error is null where there is none, and why is said; else, what made it."""
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
        """Whether the true value differs from another one, with 95 % confidence.

        Of few blocks or runs this takes more than two errors (Student's t). Never where there is
        no error.
        """
        errors = float(stats.t.ppf(0.975, self._freedom)) / student(self._freedom)
        return bool(abs(self.value - value) > errors * self.error)

    @property
    def before_widening(self) -> float:
        """The error as it was before Student's t: its square is right on average."""
        return self.error / student(self._freedom)

    @property
    def _freedom(self) -> float:
        return max(self.n_independent - 1.0 if self.freedom is None else self.freedom, 1.0)

    @property
    def text(self) -> str:
        """Value ± error, without unit; the value alone where there is no error."""
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
        """Scale value and error; the unit stays, so give the result its own with ``replace``."""
        return replace(self, value=self.value * factor, error=self.error * abs(factor))


def student(freedom: float) -> float:
    """By how much a standard error has to be widened to hold 68.3 % of all cases.

    Args:
        freedom: degrees of freedom that the standard error rests on; 1 at least.
    """
    return float(stats.t.ppf(ONE_SIGMA, max(freedom, 1.0)))


def too_few(
    n_independent: float, n_samples: int, interval: float | None = None, least: float = FEWEST
) -> str:
    """Return why a correlated series has no error; nothing if it has one.

    Args:
        n_independent: samples that count.
        n_samples: that there are.
        interval: between samples, ps; without it, what is needed is said in samples.
        least: independent samples that are needed.
    """
    if n_independent >= least:
        return ""
    needed = least * n_samples / n_independent
    amount = f"{needed:.2g} samples" if interval is None else f"{needed * interval:.2g} ps"
    count = int(n_independent)
    return f"{count} independent sample{'s' if count != 1 else ''}, needs about {amount}"


def check_series(values: Array, what: str, least: int = 2) -> Array:
    """Return ``values`` as floats after checking that there are enough and all are finite.

    Args:
        values: the first axis is time.
        what: how to call them in the error.
        least: the smallest number of samples that makes sense.

    Raises:
        RecordError: fewer than ``least`` samples, NaN or infinity.
    """
    checked = np.asarray(values, dtype=np.float64)
    if checked.ndim == 0 or len(checked) < least:
        length = 0 if checked.ndim == 0 else len(checked)
        raise RecordError(f"{what}: {length} samples, at least {least} are needed; run longer")
    if not np.isfinite(checked).all():
        index = [int(i) for i in np.argwhere(~np.isfinite(checked))[0]]
        raise RecordError(
            f"{what}{index} is {checked[tuple(index)]}, not a finite number; find the step in the "
            "trajectory and cut it off before"
        )
    return checked
