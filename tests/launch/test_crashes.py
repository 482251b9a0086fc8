from pathlib import Path

import pytest

from mlobs_client.errors import LaunchError
from mlobs_client.launch.crashes import MAX_CRASHES, WINDOW, CrashCounter

LOG = Path("client-0.log")


def die(
    crashes: CrashCounter, words: str, times: int, n_steps: int | None = 7, **more: bool
) -> None:
    for _ in range(times):
        crashes.count(words, LOG, n_steps, **more)


def test_the_same_error_again_and_again_ends_the_run_even_if_there_are_steps_between() -> None:
    crashes = CrashCounter()
    for step in range(MAX_CRASHES - 1):
        die(crashes, "energy is nan", 1, step)
    die(crashes, "another error", 1)
    with pytest.raises(LaunchError, match=r"died 5 times in 0 s: energy is nan \(log: client-0"):
        die(crashes, "energy is nan", 1, 99)


def test_kills_are_borne_as_long_as_there_are_steps_between() -> None:
    crashes = CrashCounter()
    for step in range(100):
        die(crashes, "killed by SIGKILL", 1, step, is_error=False)
    die(crashes, "killed by SIGKILL", MAX_CRASHES - 2, 99, is_error=False)
    with pytest.raises(LaunchError, match="killed by SIGKILL"):
        die(crashes, "killed by SIGKILL", 1, 99, is_error=False)


@pytest.mark.parametrize("is_error", [True, False])
def test_models_that_take_long_to_load_do_not_hide_that_nothing_is_done(sleep, is_error) -> None:
    crashes = CrashCounter()
    for _ in range(MAX_CRASHES - 1):
        die(crashes, "no memory", 1, is_error=is_error)
        sleep(10.0 * WINDOW)
    with pytest.raises(LaunchError, match="died 5 times in 4800 s: no memory"):
        die(crashes, "no memory", 1, is_error=is_error)


@pytest.mark.parametrize("n_steps", [None, 1])
def test_old_crashes_are_forgotten(sleep, n_steps: int | None) -> None:
    crashes = CrashCounter()
    for k in range(20):
        die(crashes, "no memory", 1, None if n_steps is None else k)
        sleep(40.0)
