"""Leave out the start of a run, its equilibration."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from mlobs_client.structure import Array
from mlobs_client.units import PICOSECOND

SAME_TIME: Final = 1e-3
"""Rounding error of the times in a file, as a fraction of the time between samples."""


@dataclass(frozen=True)
class Skip:
    """The equilibration at the start of each run, which averages leave out.

    Attributes:
        picoseconds: simulated time, ps.
        fraction: fraction of the samples, used if no time is given.
    """

    picoseconds: float = 0.0
    fraction: float = 0.0

    def count(self, n_samples: int, times: Callable[[], Array]) -> int:
        """Return the number of samples that are left out.

        A sample exactly at the end of the skipped time is kept. Fractions of a sample are rounded
        to the nearest number, because 29 % of 100 samples are 28.999999999999996 in floating point.

        Args:
            n_samples: number of samples of the run.
            times: returns the times of the samples, shape ``(n_samples,)``, atu; it is called only
                if a time is left out, since not all runs have times.
        """
        if self.picoseconds == 0.0:
            return round(self.fraction * n_samples)
        since = (known := times()) - known[:1]
        rounding = SAME_TIME * float(np.ptp(known)) / max(1, n_samples - 1)
        return int((since < self.picoseconds * PICOSECOND - rounding).sum())

    def __str__(self) -> str:
        if self.picoseconds == 0.0:
            return f"{100.0 * self.fraction:g}%"
        return f"{self.picoseconds:g} ps"
