"""Start a program that Ctrl-C does not reach, and that ends when this process ends or is killed.

``python parent_death_signal.py PARENT PROGRAM ARGUMENTS...`` becomes the program. It imports no
module of this package, so that it starts at once.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Sequence
from typing import Final

PR_SET_PDEATHSIG: Final = 1  # linux/prctl.h: the signal for the death of the parent


def with_parent_death_signal(command: Sequence[str]) -> list[str]:
    """Return the command that starts a program so that it ends with this process.

    On Linux it receives SIGTERM as soon as the thread that started it ends, even if this process
    goes on. So it must be started from the main thread.

    Args:
        command: path of the program, and its arguments.
    """
    return [sys.executable, "-I", __file__, str(os.getpid()), *command]


def main(parent: int, command: list[str]) -> None:
    """Execute a program in place of this process, in a session of its own."""
    if os.getsid(0) != os.getpid():
        os.setsid()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # which died before
            sys.exit(128 + signal.SIGTERM)
    os.execv(command[0], command)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
