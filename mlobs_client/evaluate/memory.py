"""Memory that is needed again at every step stays with the process."""

from __future__ import annotations

import ctypes
from typing import Final

# of <malloc.h>
_TRIM_THRESHOLD: Final = -1
_TOP_PAD: Final = -2
_MMAP_THRESHOLD: Final = -3

_LARGE: Final = (1 << 30, 1 << 25)  # bytes; some versions take no more than the second


def keep_freed_memory() -> bool:
    """Tell glibc not to return freed blocks to the system.

    It would do so with all large ones, several times a step, and every page of them would have to
    be asked for, and zeroed, again: for 192 atoms this took a quarter of the time of a step. What
    the process holds is what it needed at its largest step.

    Returns:
        Whether the C library understood; others than glibc have no such setting.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return all(
        any(mallopt(setting, size) for size in _LARGE)
        for setting in (_MMAP_THRESHOLD, _TRIM_THRESHOLD)
    ) and bool(mallopt(_TOP_PAD, 1 << 26))
