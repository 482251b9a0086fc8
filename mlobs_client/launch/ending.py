"""Read from the log of i-PI how it ended, since its exit status is 0 in most cases.

Source:
    i-PI 3.3.1, ``ipi/utils/softexit.py`` and ``ipi/engine/simulation.py``.
"""

from __future__ import annotations

import re
import tempfile
from enum import Enum
from pathlib import Path
from typing import Final

# the last line of a traceback; "Exception in thread" is its first
ERROR: Final = r"(?!Exception in thread)[A-Za-z_.]*(Error|Exception|Interrupt|Invalid[A-Z]\w+)\b.*"


ALL_STEPS: Final = "@ SIMULATION: Exiting cleanly."
"""i-PI's message after the last step, unless an optimization converged earlier."""
SUCCESS: Final = "I-PI reports success"


class Ending(Enum):
    """The way in which a run ended."""

    FINISHED = "finished"  # all steps are done, or it is converged
    STOPPED = "stopped"  # a signal, an EXIT file or the wall clock; can be resumed
    FAILED = "failed"


def read_ending(log: str, status: int) -> tuple[Ending, str]:
    """Return how i-PI ended, and its own message.

    Args:
        log: end of its log.
        status: its exit status, or minus the signal that killed it.
    """
    reasons = re.findall(r"Soft exit has been requested with message: '(.*?)'\. Cleaning", log)
    bye = re.findall(r"@simulation\.run: (.*) Bye bye!", log)
    if bye:
        return Ending.STOPPED, bye[-1]
    if status == 0 and reasons:
        reason = reasons[-1].strip()
        words = re.split(r"\s*(?:I-PI reports|Restartable as is)", reason)[0]
        if SUCCESS in reason:
            return Ending.FINISHED, words
        if words.startswith("@SOFTEXIT"):
            return Ending.STOPPED, words.removeprefix("@SOFTEXIT: ")
        return Ending.FAILED, words
    if status < 0:
        return Ending.FAILED, f"killed by signal {-status}"
    words = last_error(log)
    if words is None:
        words = f"exit status {status}"
    return Ending.FAILED, words


def last_error(log: str) -> str | None:
    """Return the last line of a traceback, else the last warning, else None."""
    lines = [line.strip() for line in log.splitlines()]
    for pattern in (ERROR, r"!W!(?!.*Install PyFFTW).*"):
        found = [line for line in lines if re.fullmatch(pattern, line)]
        if found:
            return found[-1]
    return None


def find_full_disk(folder: Path) -> str:
    """Describe why a folder cannot be written, as on a full disk; empty if it can be."""
    try:
        with tempfile.TemporaryFile(dir=folder, buffering=0) as stream:
            stream.write(bytes(1 << 14))
    except OSError as error:
        return f"; {folder.resolve()} cannot be written: {error.strerror}"
    return ""
