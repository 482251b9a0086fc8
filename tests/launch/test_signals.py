"""Signals are collected, and act at once when they come again."""

from __future__ import annotations

import os
import signal

import pytest

from mlobs_client.launch.signals import received_signals


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_is_collected_and_afterwards_everything_is_as_before(signum) -> None:
    inherited = signal.signal(signum, signal.SIG_DFL)  # nohup ignores SIGHUP
    try:
        with received_signals() as received:
            os.kill(os.getpid(), signum)
            assert received == [signum]
        assert signal.getsignal(signum) is signal.SIG_DFL
    finally:
        signal.signal(signum, inherited)


def test_the_second_signal_interrupts() -> None:
    with received_signals() as received:
        os.kill(os.getpid(), signal.SIGTERM)
        assert received == [signal.SIGTERM]
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)
