"""Locks of files, such as the log of a folder in which somebody works.

The kernel gives a lock up when the last process that holds the open file is gone, however it ended.
Children inherit the descriptor if we let them, which no lock of a library allows.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from mlobs_client.errors import LaunchError

logger = logging.getLogger(__name__)

PAUSE: Final = 0.05  # s
PATIENCE: Final = 30.0  # s


def try_lock(descriptor: int) -> bool:
    """Lock an open file; return False where somebody else has its lock.

    Raises:
        OSError: this file system has no locks.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def lock(descriptor: int, path: Path) -> bool:
    """The same; where the file system has no locks, warn and return True."""
    try:
        return try_lock(descriptor)
    except OSError as error:
        logger.warning("%s: this file system has no locks (%s)", path, error.strerror)
        return True


@contextlib.contextmanager
def hold(path: Path) -> Iterator[int | None]:
    """Lock a file, which is made if it is not there; nothing is written into it.

    Yields:
        The descriptor of the lock, for children that may outlive us; None where somebody else has
        the lock.

    Raises:
        LaunchError: the file cannot be written.
    """
    try:
        stream = path.open("ab")
    except OSError as error:
        raise LaunchError(f"{path} cannot be written: {error.strerror}") from error
    with stream:
        yield stream.fileno() if lock(stream.fileno(), path) else None


@contextlib.contextmanager
def in_turn(path: Path, patience: float = PATIENCE) -> Iterator[None]:
    """Hold the lock of a file; wait for others who have it.

    Args:
        path: of the file, which is made if it is not there.
        patience: seconds to wait.

    Raises:
        LaunchError: others have it for longer, or the file cannot be written.
    """
    deadline = time.monotonic() + patience
    while True:
        with hold(path) as descriptor:
            if descriptor is not None:
                yield
                return
        if time.monotonic() >= deadline:
            raise LaunchError(f"another process has locked {path} for {patience:g} s; wait for it")
        time.sleep(PAUSE)


def is_held(log: Path) -> bool:
    """Return whether somebody has the lock of a log; nobody has that of one that is not there."""
    if not log.exists():
        return False
    with hold(log) as descriptor:
        return descriptor is None


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
                if taker := re.search(r"^lock:.* FLOCK +\S+ +\S+ +(-?\d+) ", info, re.MULTILINE):
                    holders[int(process.name)] = int(taker[1])
    return holders


def _open_files(process: Path) -> list[Path]:
    try:
        return list((process / "fd").iterdir())
    except OSError:  # it has ended, or is of another user
        return []
