"""Keep the log of ``mlobs run`` itself, ``mlobs-run.log`` in the folder of i-PI.

It has a section for each start, whose title is the command line, dated warnings, a line with the
progress every ten minutes, and at the end the outcome.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shlex
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Self

from mlobs_client.launch.ending import ALL_STEPS, Ending
from mlobs_client.launch.options import Outcome
from mlobs_client.launch.progress import Status
from mlobs_client.launch.sections import Section, heading, now, split_date

NAME: Final = "mlobs-run.log"
INTERVAL: Final = 600.0  # s between two lines with the progress
_FROM: Final = "  # in "


class Started(NamedTuple):
    """A command line that started a run.

    Attributes:
        words: its words.
        folder: its working directory, as seen from the folder of i-PI.
    """

    words: list[str]
    folder: str


class RunLog(logging.Handler):
    """Writes the log while a run works; no more is lost than a line if it cannot be written.

    Args:
        folder: folder of i-PI.
        words: command line of the run.
    """

    def __init__(self, folder: Path, words: Sequence[str]) -> None:
        super().__init__(logging.WARNING)
        self._path = folder / NAME
        self._next = 0.0
        self._unsaid: Status | None = None
        away = os.path.relpath(Path.cwd(), folder.resolve())
        where = "" if away == "." else f"{_FROM}{shlex.quote(away)}"
        self._write(heading(f"{shlex.join(words)}{where}"))

    def __enter__(self) -> Self:
        logging.getLogger("mlobs_client").addHandler(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        logging.getLogger("mlobs_client").removeHandler(self)
        if isinstance(error, KeyboardInterrupt):
            self.say(f"{Ending.STOPPED.value}: by a second signal, without waiting for a RESTART")
        elif error is not None:
            self.say(f"{Ending.FAILED.value}: {str(error) or type(error).__name__}")

    def emit(self, record: logging.LogRecord) -> None:
        """Write a warning."""
        self.say(self.format(record))

    def say(self, words: str) -> None:
        """Write a line."""
        self._write(f"{now()} {' '.join(words.split())}\n")

    def follow(self, report: Callable[[Status], None]) -> Callable[[Status], None]:
        """Return a function that reports a status, and writes one in a while."""

        def report_and_write(status: Status) -> None:
            report(status)
            self._unsaid = status
            if status.step is not None and time.monotonic() >= self._next:
                self._next = time.monotonic() + INTERVAL
                self._say_status()

        return report_and_write

    def say_end(self, outcome: Outcome) -> None:
        """Write the last status, and how the run ended."""
        self._say_status()
        reason = "all steps are done" if outcome.reason == ALL_STEPS else outcome.reason
        self.say(f"{outcome.ending.value}: {reason}")

    def _say_status(self) -> None:
        if self._unsaid is not None:
            self.say(str(self._unsaid))
            self._unsaid = None

    def _write(self, text: str) -> None:
        # a run that needs no disk must not end because this one is full
        with contextlib.suppress(OSError), self._path.open("ab") as stream:
            stream.write(text.encode(errors="surrogateescape"))


def find_command(section: Section, folder: Path) -> Started | None:
    """Return the command line in the title of a section.

    Args:
        section: a section of the log.
        folder: folder of i-PI, in which the log is.

    Returns:
        The command line; None if there is none, or if it is for another folder: this one may be a
        copy.
    """
    line, _, away = section.title.partition(_FROM)
    try:
        words, [cwd] = shlex.split(line), shlex.split(away) or ["."]
    except ValueError:
        return None
    files = [(folder / cwd / word).resolve() for word in words]
    is_here = any(path.parent == folder.resolve() for path in files)
    return Started(words, cwd) if is_here else None


def find_ending(section: Section) -> Ending | None:
    """Return how the last run ended; None if it was killed, or still works."""
    for ending in Ending:
        if split_date(section.last_line)[1].startswith(f"{ending.value}: "):
            return ending
    return None
