"""Make a folder for the sockets of one run, and remove those that killed runs have left.

Each has a locked file for as long as a ``mlobs run`` or an i-PI works with it, however they end.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from mlobs_client.errors import LaunchError
from mlobs_client.ipi.input import PREFIX, PRIVATE
from mlobs_client.locks import hold, try_lock

logger = logging.getLogger(__name__)

NAME: Final = f"{Path(PREFIX).name}{PRIVATE}"
# other machines that share the folder may not see our locks, nor we theirs
LOCK: Final = f"lock-{socket.gethostname()}"


@contextlib.contextmanager
def made() -> Iterator[tuple[Path, int]]:
    """Make a folder that only its owner can enter, and remove it after the run.

    Yields:
        The folder, and the file descriptor of its lock, to be inherited by child processes that may
        outlive this process.

    Raises:
        LaunchError: no folder can be made.
    """
    try:
        # not in $TMPDIR, if that can be helped: paths of sockets have 107 characters at most
        parent = Path("/tmp" if os.access("/tmp", os.W_OK) else tempfile.gettempdir())
        _remove_left(parent)
        folder = tempfile.TemporaryDirectory(prefix=NAME, dir=parent)
    except OSError as error:
        raise LaunchError(
            f"no folder for sockets can be made: {error}; make room there, or set TMPDIR"
        ) from error
    unlocked = Path(folder.name, "unlocked")  # not seen as left by a run before it is locked
    with folder, hold(unlocked) as lock:
        assert lock is not None  # nobody else knows this file
        unlocked.rename(unlocked.with_name(LOCK))
        try:
            yield Path(folder.name), lock
        finally:
            folder.cleanup()  # before its lock is given up, for another run would say so


def _remove_left(parent: Path) -> None:
    """Remove our folders whose lock is free."""
    for folder in parent.glob(f"{NAME}*"):
        with contextlib.suppress(OSError):  # it is in use, is not ours, or has just gone
            if folder.is_symlink() or folder.stat().st_uid != os.getuid():
                continue
            with (folder / LOCK).open("rb") as lock:
                if not try_lock(lock.fileno()):
                    continue
                shutil.rmtree(folder)
            logger.warning("removed %s, which a run that was killed has left", folder)
