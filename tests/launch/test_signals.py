"""Signals are collected, and act at once when they come again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from mlobs_client.launch import signals
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


def test_the_second_signal_interrupts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signals, "AT_ONCE", 0.01)
    with received_signals() as received:
        os.kill(os.getpid(), signal.SIGTERM)
        assert received == [signal.SIGTERM]
        time.sleep(0.02)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)


def test_another_signal_interrupts_at_once() -> None:
    with received_signals():
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_a_signal_that_timeout_sends_to_the_process_and_to_its_group_is_one() -> None:
    """GNU timeout does; a run that took it for two left no word of its RESTART."""
    waits = (
        "import time; from mlobs_client.launch.signals import received_signals\n"
        "with received_signals() as received:\n"
        "    print('ready', flush=True)\n"
        "    while not received: time.sleep(0.01)\n"
        "    time.sleep(0.2)\n"  # the second one comes at once
        "    print(len(received))\n"
    )
    command = ["timeout", "60", sys.executable, "-c", waits]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.terminate()
        assert process.stdout.read() == "1\n"
