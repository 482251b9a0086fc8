"""Which deaths of clients are borne, and which end a run."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final, NamedTuple

from mlobs_client.errors import LaunchError

MAX_DEATHS: Final = 5  # of the same kind
WINDOW: Final = 120.0  # s


class _Death(NamedTuple):
    time: float
    words: str
    n_steps: int | None


class Deaths:
    """Counts deaths of the same kind."""

    def __init__(self) -> None:
        self._deaths: list[_Death] = []

    def count(self, words: str, log: Path, n_steps: int | None, *, is_error: bool = True) -> None:
        """Count another one.

        Deaths between which there was no step are of one kind if they have the same last words,
        however long it takes to start again. Of errors, so are those within some minutes.

        Args:
            words: the last that were said.
            log: where.
            n_steps: that the run has made; None where nobody sees them.
            is_error: whether the client itself has found it; a kill is none.

        Raises:
            LaunchError: there were too many.
        """
        now = time.monotonic()
        window = WINDOW if is_error or n_steps is None else 0.0
        self._deaths.append(_Death(now, words, n_steps))
        same = [
            death
            for death in self._deaths
            if death.words == words
            and (now - death.time <= window or (death.n_steps == n_steps and n_steps is not None))
        ]
        if len(same) >= MAX_DEATHS:
            seconds = now - same[0].time
            raise LaunchError(f"died {len(same)} times in {seconds:.0f} s: {words} (log: {log})")
