"""Say how much longer runs must be for a result, or for its error."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence


class Interval(float):
    """The time between samples, ps, which also knows how many steps of the integrator it takes.

    It can stand wherever a function takes such a time for its messages, which then give the missing
    length in steps, too.

    Attributes:
        steps: number of steps.
    """

    steps: float

    def __new__(cls, picoseconds: float, steps: float) -> Interval:
        """Make an interval from its length in ps and in steps."""
        interval = super().__new__(cls, picoseconds)
        interval.steps = steps
        return interval

    def __getnewargs__(self) -> tuple[float, float]:  # type: ignore[override]
        """Return the arguments of ``__new__``, for copies and pickles."""
        return float(self), self.steps


def longer_by(
    n_samples: float, interval: float | None = None, n_runs: int = 1, what: str = "run"
) -> str:
    """Return by how much runs must be longer, rounded up to two digits: "14 ps more".

    Args:
        n_samples: number of samples that are missing in each run.
        interval: time between samples, ps; None to give the length in samples.
        n_runs: number of runs that must be longer.
        what: name of what must be longer, if there are several.
    """
    return f"{lasting(n_samples, interval)} more" + (f" in each {what}" if n_runs > 1 else "")


def count_blocks(lengths: Sequence[int], block: int) -> int:
    """Return the number of blocks that runs can be cut into.

    Args:
        lengths: number of samples of each run.
        block: number of samples of a block.
    """
    return sum(length // block for length in lengths)


def longer_for_blocks(
    lengths: Sequence[int],
    block: int,
    n_blocks: int,
    interval: float | None = None,
    what: str = "run",
) -> str:
    """Return by how much all runs must be longer to have more blocks than now.

    Args:
        lengths: number of samples of each run.
        block: number of samples of a block.
        n_blocks: number of blocks that are needed.
        interval: time between samples, ps; None to give the length in samples.
        what: name of what must be longer, if there are several.
    """
    missing = bisect_left(
        range(n_blocks * block),
        n_blocks,
        key=lambda more: count_blocks([length + more for length in lengths], block),
    )
    return longer_by(missing, interval, len(lengths), what)


def lasting(n_samples: float, interval: float | None = None) -> str:
    """Return the length of a number of samples, rounded up to two digits, with its unit.

    Args:
        n_samples: number of samples.
        interval: time between samples, ps; None to give the length in samples.
    """
    if interval is None:
        return f"{_round_up(n_samples):g} samples"
    if not isinstance(interval, Interval):
        return f"{_round_up(n_samples * interval):g} ps"
    n_steps = _round_up(n_samples * interval.steps)
    return f"{n_steps * interval / interval.steps:.3g} ps ({n_steps:.0f} steps)"


def _round_up(number: float) -> float:
    """Round a positive number up to two digits, but allow for rounding errors."""
    digit = 10.0 ** (math.floor(math.log10(number)) - 1)
    return math.ceil(number / digit - 1e-6) * digit
