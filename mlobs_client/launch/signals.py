"""Signals that ask us to end are collected, so that the work can end in good order."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType


@contextlib.contextmanager
def received_signals() -> Iterator[list[signal.Signals]]:
    """Collect SIGINT, SIGTERM and, but under nohup, SIGHUP; the second one acts at once."""
    received: list[signal.Signals] = []

    def handle(signum: int, frame: FrameType | None) -> None:
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
