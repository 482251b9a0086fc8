from pathlib import Path

import pytest

from mlobs_client.errors import LaunchError
from mlobs_client.launch.deaths import MAX_DEATHS, Deaths

LOG = Path("client-0.log")


def test_the_same_error_again_and_again_ends_the_run_even_if_there_are_steps_between() -> None:
    deaths = Deaths()
    for _ in range(MAX_DEATHS - 1):
        deaths.count("energy is nan", LOG)
    deaths.count("another error", LOG)
    with pytest.raises(LaunchError, match=r"died 5 times in 120 s: energy is nan \(log: client-0"):
        deaths.count("energy is nan", LOG)


def test_kills_are_borne_as_long_as_there_are_steps_between() -> None:
    deaths = Deaths()
    for step in range(100):
        deaths.count("killed by SIGKILL", LOG, step)
    for _ in range(MAX_DEATHS - 2):
        deaths.count("killed by SIGKILL", LOG, 99)
    with pytest.raises(LaunchError, match="killed by SIGKILL"):
        deaths.count("killed by SIGKILL", LOG, 99)


def test_old_deaths_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    deaths = Deaths()
    for k in range(20):
        now[0] = 40.0 * k
        deaths.count("out of memory", LOG)
