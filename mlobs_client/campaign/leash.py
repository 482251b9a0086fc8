"""Start a program that Ctrl-C does not reach, and that ends when we do, however that is.

``python -m mlobs_client.campaign.leash PROGRAM ARGUMENTS...`` becomes the program.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from typing import Final

PR_SET_PDEATHSIG: Final = 1  # linux/prctl.h: the signal for the death of the parent


def main(command: list[str]) -> None:
    """Become a program, in a session of its own; on Linux, SIGTERM ends it with its parent."""
    os.setsid()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    os.execv(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1:])
