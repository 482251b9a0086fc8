"""Whether somebody works in a folder: the lock of a log that is open while a process writes it.

The kernel gives it up when the last process that holds the open file is gone, however it ended.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path

from mlobs_client.errors import LaunchError

logger = logging.getLogger(__name__)


@contextlib.contextmanager
def hold(log: Path) -> Iterator[int | None]:
    """Lock a log, which is made if it is not there.

    Yields:
        The descriptor of the lock, for children that may outlive us; None where somebody else has
        the lock.

    Raises:
        LaunchError: the log cannot be written.
    """
    try:
        stream = log.open("ab")
    except OSError as error:
        raise LaunchError(f"{log} cannot be written: {error.strerror}") from error
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
            return
        except OSError as error:
            logger.warning("%s: this file system has no locks (%s)", log, error.strerror)
        yield stream.fileno()


def is_held(log: Path) -> bool:
    """Return whether somebody has the lock of a log; nobody has that of one that is not there."""
    if not log.exists():
        return False
    with hold(log) as lock:
        return lock is None


def find_holders(log: Path) -> dict[int, int]:
    """Find the processes that have the lock of a log, and for each the one that has taken it.

    A child that has inherited the lock has not taken it. Only Linux tells, and only of processes
    that we may see: nothing is found of those of other machines, and a taker who cannot be seen is
    0 or -1.

    Raises:
        LaunchError: the log is gone.
    """
    try:
        wanted = log.stat()
    except OSError as error:
        raise LaunchError(f"{log}: {error.strerror}") from error
    holders = {}
    for process in Path("/proc").glob("[0-9]*"):
        for file in _open_files(process):
            with contextlib.suppress(OSError):  # it was closed meanwhile
                if not os.path.samestat(file.stat(), wanted):
                    continue
                info = (process / "fdinfo" / file.name).read_text()
                if lock := re.search(r"^lock:.* FLOCK +\S+ +\S+ +(-?\d+) ", info, re.MULTILINE):
                    holders[int(process.name)] = int(lock[1])
    return holders


def _open_files(process: Path) -> list[Path]:
    try:
        return list((process / "fd").iterdir())
    except OSError:  # it has ended, or is of another user
        return []
