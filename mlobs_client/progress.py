"""Report how far an activity is that takes long."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""Called with an activity, the number of its parts that are done, and that of all, 0 at its end."""


def silent(activity: str, done: int, total: int) -> None:
    """Report no progress.

    Args:
        activity: the activity.
        done: number of its parts that are done.
        total: number of its parts; 0 when it ends.
    """
