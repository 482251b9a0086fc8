"""Count crashes of clients, and end a run in which the same crash repeats."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final, NamedTuple

from mlobs_client.errors import LaunchError

MAX_CRASHES: Final = 5  # of the same kind
WINDOW: Final = 120.0  # s


class _Crash(NamedTuple):
    time: float
    words: str
    n_steps: int | None


class CrashCounter:
    """Counts crashes of the same kind."""

    def __init__(self) -> None:
        self._crashes: list[_Crash] = []

    def count(self, words: str, log: Path, n_steps: int | None, *, is_error: bool = True) -> None:
        """Count one more crash.

        Crashes with the same last line of output are of the same kind if the run made no step
        between them, however long a client takes to start; so are repeated errors within
        :data:`WINDOW`.

        Args:
            words: last line of its output.
            log: its log file.
            n_steps: steps that the run has made; None if no output shows them.
            is_error: True if the client reported an error itself; False if it was killed.

        Raises:
            LaunchError: too many crashes were of the same kind.
        """
        now = time.monotonic()
        window = WINDOW if is_error or n_steps is None else 0.0
        self._crashes.append(_Crash(now, words, n_steps))
        same = [
            crash
            for crash in self._crashes
            if crash.words == words
            and (now - crash.time <= window or (crash.n_steps == n_steps and n_steps is not None))
        ]
        if len(same) >= MAX_CRASHES:
            seconds = now - same[0].time
            raise LaunchError(f"died {len(same)} times in {seconds:.0f} s: {words} (log: {log})")
