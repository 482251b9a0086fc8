"""Whether a run still makes steps."""

from __future__ import annotations

import math
import time
from typing import Final

SHORTEST: Final = 300.0  # s
TIMES: Final = 20.0  # a step may take so many times longer than the longest before


class Heartbeat:
    """Watches for a silence: no step for a time in which there should have been one.

    Args:
        patience: seconds; None: 20 times the longest pause between two steps so far, and at least
            300 s, but for ever before the second step, for nobody knows how long one takes.
    """

    def __init__(self, patience: float | None = None) -> None:
        self._patience = patience
        self._step: int | None = None
        self._n_steps = 0
        self._longest = 0.0
        self._since = time.monotonic()

    def beat(self, step: int | None) -> None:
        """Say which step was seen last."""
        if step is None or step == self._step:
            return
        now = time.monotonic()
        if self._n_steps > 1:
            self._longest = max(self._longest, now - self._since)
        self._step, self._since = step, now
        self._n_steps += 1

    def forgive(self) -> None:
        """Begin to count anew: there was a reason."""
        self._since = time.monotonic()

    @property
    def n_steps(self) -> int:
        """How many times another step was seen."""
        return self._n_steps

    @property
    def silence(self) -> float | None:
        """Seconds since the last step, if that is longer than it may be."""
        silence = time.monotonic() - self._since
        return silence if silence > self._longest_silence() else None

    def _longest_silence(self) -> float:
        if self._patience is not None:
            return self._patience
        return max(SHORTEST, TIMES * self._longest) if self._n_steps > 1 else math.inf
