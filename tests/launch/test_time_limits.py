"""Time limits of jobs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlobs_client.errors import ConfigError
from mlobs_client.launch.time_limits import in_full, seconds_of, seconds_to_warning


@pytest.mark.parametrize(
    ("time", "seconds"),
    [
        ("10", 600),
        ("10:30", 630),
        ("1:02:03", 3723),
        ("2-12", 216_000),
        ("2-12:30", 217_800),
        ("2-12:30:15", 217_815),
    ],
)
def test_times_are_read_as_slurm_reads_them(time: str, seconds: int) -> None:
    assert seconds_of(time) == seconds


@given(st.integers(0, 400 * 86400))
def test_every_time_that_is_written_in_full_is_read_back(seconds: int) -> None:
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    assert seconds_of(f"{days}-{hours:02}:{minutes:02}:{rest:02}") == seconds


@pytest.mark.parametrize("time", ["", "1 day", "24h", "1:2:3:4", "-1", "10\n#SBATCH --wrap=x"])
def test_other_times_are_refused(time: str) -> None:
    with pytest.raises(
        ConfigError, match=r"is not a time limit of Slurm; write hours:minutes:seconds"
    ):
        seconds_of(time)


@given(st.integers(0, 400 * 86400))
def test_a_time_is_the_same_in_full(seconds: int) -> None:
    assert seconds_of(in_full(f"0:{seconds}")) == seconds


def test_a_run_is_stopped_three_minutes_before_the_end() -> None:
    assert seconds_to_warning("6") == 180
    with pytest.raises(ConfigError, match=r"--time 5:59 is 359 s, of which the last 180"):
        seconds_to_warning("5:59")
