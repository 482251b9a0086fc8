"""File locks, for example on the log of a folder in which a process works.

The kernel releases a lock when the last process that holds the open file has ended, for any reason.
Children can inherit the descriptor, which no locking library allows.
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
    """Lock an open file; return False if another process holds its lock.

    Raises:
        OSError: this file system has no locks.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def lock(descriptor: int, path: Path) -> bool:
    """Lock an open file like :func:`try_lock`; warn and return True if there are no locks."""
    try:
        return try_lock(descriptor)
    except OSError as error:
        logger.warning("%s: this file system has no locks (%s)", path, error.strerror)
        return True


@contextlib.contextmanager
def hold(path: Path) -> Iterator[int | None]:
    """Lock a file, which is created if it does not exist; nothing is written to it.

    Yields:
        The descriptor of the lock, for children that may outlive us; None if another process holds
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
    """Hold the lock of a file, after waiting for other processes.

    Args:
        path: path of the file, which is created if it does not exist.
        patience: longest time to wait, s.

    Raises:
        LaunchError: another process holds the lock for longer, or the file cannot be written.
    """
    deadline = time.monotonic() + patience
    while True:
        with hold(path) as descriptor:
            if descriptor is not None:
                yield
                return
        if time.monotonic() >= deadline:
            raise LaunchError(f"another process has held {path} for {patience:g} s; wait for it")
        time.sleep(PAUSE)


def is_held(log: Path) -> bool:
    """Return True if a process holds the lock of a log; False if there is no such file.

    Raises:
        LaunchError: the log cannot be read.
    """
    try:
        with log.open("rb") as stream:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)  # two who ask do not meet
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    except OSError as error:
        if error.filename is not None:
            raise LaunchError(f"{log} cannot be read: {error.strerror}") from error
    return False  # also where the file system has no locks


def find_holders(log: Path) -> dict[int, int]:
    """Return the processes that hold the lock of a log, each with the process that took it.

    A child inherits a lock without taking it. Only Linux gives this information, and only for
    visible processes: those on other machines are missing, and the process that took the lock is
    given as 0 or -1 if it is invisible.

    Raises:
        LaunchError: the log does not exist.
    """
    holders = {}
    for process, info in _descriptors(log):
        if taker := re.search(r"^lock:.* FLOCK +\S+ +\S+ +(-?\d+) ", info, re.MULTILINE):
            holders[process] = int(taker[1])
    return holders


def find_writers(path: Path) -> list[int]:
    """Return the visible processes of this machine that have opened a file to write it.

    Raises:
        LaunchError: the file does not exist.
    """
    writers = set()
    for process, info in _descriptors(path):
        flags = re.search(r"^flags:\s*([0-7]+)", info, re.MULTILINE)
        if flags and int(flags[1], 8) & os.O_ACCMODE != os.O_RDONLY:
            writers.add(process)
    return sorted(writers)


def _descriptors(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the process and the state of each descriptor of a file, where there is a /proc.

    Raises:
        LaunchError: the file does not exist.
    """
    try:
        wanted = path.stat()
    except OSError as error:
        raise LaunchError(f"{path}: {error.strerror}") from error
    for process in Path("/proc").glob("[0-9]*"):
        for file in _open_files(process):
            with contextlib.suppress(OSError):  # the file was closed meanwhile
                if os.path.samestat(file.stat(), wanted):
                    yield int(process.name), (process / "fdinfo" / file.name).read_text()


def _open_files(process: Path) -> list[Path]:
    try:
        return list((process / "fd").iterdir())
    except OSError:  # the process has ended, or belongs to another user
        return []
