"""Signals that ask us to end are collected, so that the work can end in good order."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Iterator
from types import FrameType
from typing import Final

AT_ONCE: Final = 0.5
"""Seconds within which a signal that is repeated is the same one.

``timeout 1h mlobs run ...`` sends it to the process, and once more to its group.
"""


@contextlib.contextmanager
def received_signals() -> Iterator[list[signal.Signals]]:
    """Collect SIGINT, SIGTERM and, but under nohup, SIGHUP; the second one acts at once.

    One that is repeated within :data:`AT_ONCE` is not a second one.
    """
    received: list[signal.Signals] = []
    first = 0.0

    def handle(signum: int, frame: FrameType | None) -> None:
        nonlocal first
        if not received:
            first = time.monotonic()
        elif signum == received[0] and time.monotonic() < first + AT_ONCE:
            return
        received.append(signal.Signals(signum))
        if len(received) > 1:
            raise KeyboardInterrupt

    handled = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        handled.append(signal.SIGHUP)
    previous = {signum: signal.signal(signum, handle) for signum in handled}
    try:
        yield received
    finally:
        for signum, handler in previous.items():
            signal.signal(signum, handler)
