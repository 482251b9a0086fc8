"""Allow one run at a time in the folder of i-PI, even after a run was killed."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from mlobs_client.errors import LaunchError
from mlobs_client.launch import exit_file
from mlobs_client.locks import find_holders, hold, is_held

logger = logging.getLogger(__name__)

LOG: Final = "i-pi.log"
POLL_INTERVAL: Final = 0.2  # s
PATIENCE: Final = 120.0  # s, for the RESTART of a large system
DYING: Final = 5.0  # s; a process that dies is seen no more before its lock is gone


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[int]:
    """Lock a folder: two runs would write the same files, and stop each other.

    Yields:
        The descriptor of the lock. i-PI inherits it, since it may outlive us.

    Raises:
        LaunchError: another run works there, or a user's EXIT file would end i-PI at once.
    """
    wait_for_rest(folder)
    with hold(folder / LOG) as lock:
        if lock is None:
            raise _refusal(folder, find_holders(folder / LOG))
        exit_file.clear(folder)
        yield lock


def wait_for_rest(folder: Path) -> None:
    """Wait until the i-PI of a killed ``mlobs run`` has ended, by itself and with a RESTART.

    See :mod:`~mlobs_client.launch.parent_death_signal`.

    Raises:
        LaunchError: another run works there, or i-PI does not end.
    """
    log = folder / LOG
    begun = time.monotonic()
    is_said = False
    while is_held(log):
        holders = find_holders(log)
        if not _are_rest(holders):
            if holders or time.monotonic() - begun > DYING:
                raise _refusal(folder, holders)
            time.sleep(POLL_INTERVAL)
            continue
        pids = " ".join(map(str, holders))
        who = (
            f"i-PI (process {pids}) of a 'mlobs run' that was killed is running in "
            f"{folder.resolve()}"
        )
        if time.monotonic() - begun > PATIENCE:
            raise LaunchError(f"{who}, and has not ended in {PATIENCE:g} s; run: kill -9 {pids}")
        if not is_said:
            logger.warning("%s: waiting for it to end", who)
            is_said = True
        time.sleep(POLL_INTERVAL)


def _are_rest(holders: Mapping[int, int]) -> bool:
    """Return whether all holders of the lock inherited it from a process that has ended."""
    takers = set(holders.values())
    return bool(holders) and min(takers) > 0 and not takers & set(holders)


def _refusal(folder: Path, holders: Mapping[int, int]) -> LaunchError:
    owners = [pid for pid in holders if pid in holders.values()]
    who = f"another 'mlobs run' (process {owners[0]})" if owners else "another process"
    where = "" if owners else ", perhaps on another machine or as another user"
    return LaunchError(
        f"{who} is running in {folder.resolve()}{where}; wait until it ends, or copy the inputs to "
        "a folder of their own"
    )
