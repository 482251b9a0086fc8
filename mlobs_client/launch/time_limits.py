"""Read the time limit of a job, and keep enough of it for stopping the run."""

from __future__ import annotations

import re
from typing import Final

from mlobs_client.errors import ConfigError

WARNING: Final = 180
"""Seconds before the time limit of a job at which its run is stopped. Slurm checks its clock once a
minute; the rest is for a step and the RESTART."""


def seconds_of(time: str, name: str = "--time") -> int:
    """Return a time limit in seconds.

    Slurm reads ``minutes``, ``minutes:seconds``, ``hours:minutes:seconds``, ``days-hours``,
    ``days-hours:minutes`` and ``days-hours:minutes:seconds``.

    Args:
        time: the time limit.
        name: option or setting that it is the value of, for the error.

    Raises:
        ConfigError: it has another form.
    """
    match = re.fullmatch(r"(?:(\d+)-)?(\d+(?::\d+){0,2})", time)
    if match is None:
        raise ConfigError(
            f"{name} {time!r} is not a time limit of Slurm; write hours:minutes:seconds, for "
            "example 24:00:00, or days-hours, for example 2-12"
        )
    days, numbers = match[1], [int(number) for number in match[2].split(":")]
    if days is not None:  # from hours downwards
        hours, minutes, seconds = (*numbers, 0, 0)[:3]
    elif len(numbers) == 3:
        hours, minutes, seconds = numbers
    else:  # from minutes downwards
        hours, (minutes, seconds) = 0, (*numbers, 0)[:2]
    return ((int(days or 0) * 24 + hours) * 60 + minutes) * 60 + seconds


def in_full(time: str) -> str:
    """Return a time limit as hours:minutes:seconds, which all schedulers read alike.

    Raises:
        ConfigError: it is not a time limit.
    """
    minutes, seconds = divmod(seconds_of(time), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}"


def seconds_to_warning(time: str) -> int:
    """Return after how many seconds a run must be stopped.

    Raises:
        ConfigError: the time limit is invalid, or too short to stop in.
    """
    if (seconds := seconds_of(time)) < 2 * WARNING:
        raise ConfigError(
            f"--time {time} is {seconds} s, of which the last {WARNING} are for stopping; give "
            f"at least {2 * WARNING} s, for example 00:10:00"
        )
    return seconds - WARNING
