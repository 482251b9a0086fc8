"""Which deaths of clients are borne, and which end a run."""

from __future__ import annotations

import time
from collections import deque
from pathlib import Path
from typing import Final

from mlobs_client.errors import LaunchError

MAX_DEATHS: Final = 5  # of the same kind within ...
WINDOW: Final = 120.0  # ... seconds


class Deaths:
    """Counts deaths of the same kind."""

    def __init__(self) -> None:
        self._deaths: deque[tuple[float, tuple[str, int | None]]] = deque()

    def count(self, words: str, log: Path, n_steps: int | None = None) -> None:
        """Count another one.

        Args:
            words: the last that were said; what is said again will be said a third time.
            log: where.
            n_steps: that the run has made; given for deaths that were nobody's error, such as a
                kill: they are of the same kind only as long as there is no other step.

        Raises:
            LaunchError: there were too many.
        """
        now = time.monotonic()
        self._deaths.append((now, (words, n_steps)))
        while now - self._deaths[0][0] > WINDOW:
            self._deaths.popleft()
        n_same = sum(kind == (words, n_steps) for _, kind in self._deaths)
        if n_same >= MAX_DEATHS:
            raise LaunchError(f"died {n_same} times in {WINDOW:g} s: {words} (log: {log})")
