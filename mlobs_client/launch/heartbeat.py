"""Notice when a run stops making steps."""

from __future__ import annotations

import math
import time
from typing import Final

SHORTEST: Final = 300.0  # s
TIMES: Final = 20.0  # a step may take so many times longer than the longest before


class Heartbeat:
    """Notices that a step is overdue.

    Args:
        patience: longest time without a step, s; None for 20 times the longest interval between
            two steps so far, but at least 300 s, and no limit before the second step, whose
            duration is unknown.
    """

    def __init__(self, patience: float | None = None) -> None:
        self._patience = patience
        self._step: int | None = None
        self._n_steps = 0
        self._longest = 0.0
        self._since = time.monotonic()

    def beat(self, step: int | None) -> None:
        """Record the last step that was seen."""
        if step is None or step == self._step:
            return
        now = time.monotonic()
        if self._n_steps > 1:
            self._longest = max(self._longest, now - self._since)
        self._step, self._since = step, now
        self._n_steps += 1

    def reset_timer(self) -> None:
        """Restart the timer after an expected delay."""
        self._since = time.monotonic()

    @property
    def n_steps(self) -> int:
        """Number of steps that were seen."""
        return self._n_steps

    @property
    def silence(self) -> float | None:
        """Seconds since the last step if a step is overdue, else None."""
        silence = time.monotonic() - self._since
        return silence if silence > self._longest_silence() else None

    def _longest_silence(self) -> float:
        if self._patience is not None:
            return self._patience
        return max(SHORTEST, TIMES * self._longest) if self._n_steps > 1 else math.inf
