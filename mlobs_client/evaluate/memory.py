"""Keep freed memory in the process, because every step needs it again."""

from __future__ import annotations

import ctypes
from typing import Final

# constants of <malloc.h>
_TRIM_THRESHOLD: Final = -1
_TOP_PAD: Final = -2
_MMAP_THRESHOLD: Final = -3

_LARGE: Final = (1 << 30, 1 << 25)  # bytes; some versions take no more than the second


def disable_malloc_trim() -> bool:
    """Tell glibc not to return freed blocks to the system.

    By default it returns all large ones, several times per step, and the system has to map and
    zero every page of them again: for 192 atoms this took a quarter of the time of a step. The
    process then holds as much memory as its largest step needed.

    Returns:
        True if the C library accepted the settings; only glibc has them.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return all(
        any(mallopt(setting, size) for size in _LARGE)
        for setting in (_MMAP_THRESHOLD, _TRIM_THRESHOLD)
    ) and bool(mallopt(_TOP_PAD, 1 << 26))
