"""A request to finish is seen by whoever waits, also when it came before."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator

import pytest

from mlobs_client.wire.stop import Stop, StopRequested


@pytest.fixture
def stop() -> Iterator[Stop]:
    stop = Stop()
    yield stop
    stop.close()


def test_nobody_is_woken_where_nobody_asked(stop: Stop) -> None:
    stop.wait(0.01)
    assert stop.signal is None


def test_a_request_ends_this_waiting_and_every_later_one(stop: Stop) -> None:
    threading.Timer(0.05, stop.request, (signal.SIGINT,)).start()
    for _ in range(2):
        with pytest.raises(StopRequested):
            stop.wait(10.0)
    assert stop.signal is signal.SIGINT
