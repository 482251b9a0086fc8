"""Collect signals that ask this process to end, so that it can end in order."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Iterator
from types import FrameType
from typing import Final

AT_ONCE: Final = 0.5
"""Seconds within which a repeated signal counts once.

``timeout 1h mlobs run ...`` sends it to the process, and once more to its group.
"""


@contextlib.contextmanager
def received_signals() -> Iterator[list[signal.Signals]]:
    """Collect SIGINT, SIGTERM and, except under nohup, SIGHUP; a second signal acts at once.

    A signal that is repeated within :data:`AT_ONCE` does not count as a second one.
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
