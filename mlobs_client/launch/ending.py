"""Read from its log how i-PI ended: its exit status is 0 in most cases.

Source:
    i-PI 3.3.1, ``ipi/utils/softexit.py`` and ``ipi/engine/simulation.py``.
"""

from __future__ import annotations

import re
from enum import Enum


class Ending(Enum):
    """How a run ended."""

    FINISHED = "finished"  # all steps are done
    STOPPED = "stopped"  # a signal, an EXIT file or the wall clock; can be resumed
    FAILED = "failed"


def read_ending(log: str, status: int) -> tuple[Ending, str]:
    """Return how i-PI ended, and its own words for it.

    Args:
        log: the end of its log.
        status: its exit status; minus the signal that killed it.
    """
    reasons = re.findall(r"Soft exit has been requested with message: '(.*?)'\. Cleaning", log)
    bye = re.findall(r"@simulation\.run: (.*) Bye bye!", log)
    if bye:
        return Ending.STOPPED, bye[-1]
    if status == 0 and reasons:
        reason = reasons[-1].strip()
        words = re.split(r"\s*(?:I-PI reports|Restartable as is)", reason)[0]
        if "I-PI reports success" in reason:
            return Ending.FINISHED, words
        if words.startswith("@SOFTEXIT"):
            return Ending.STOPPED, words.removeprefix("@SOFTEXIT: ")
        return Ending.FAILED, words
    words = last_error(log)
    if words is None:
        words = f"killed by signal {-status}" if status < 0 else f"exit status {status}"
    return Ending.FAILED, words


def last_error(log: str) -> str | None:
    """Return the last line of a traceback, else the last warning, else None."""
    lines = [line.strip() for line in log.splitlines()]
    for pattern in (r"[A-Za-z_.]*(Error|Exception|Interrupt)\b.*", r"!W!.*"):
        found = [line for line in lines if re.fullmatch(pattern, line)]
        if found:
            return found[-1]
    return None
