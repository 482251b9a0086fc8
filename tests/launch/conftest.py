"""A clock that tests set."""

from __future__ import annotations

from collections.abc import Callable

import pytest


@pytest.fixture
def sleep(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """``sleep(seconds)`` takes no time."""
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])

    def sleep(seconds: float) -> None:
        now[0] += seconds

    return sleep
