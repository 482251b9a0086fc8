"""Progress bars that look alike in all commands."""

from __future__ import annotations

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


def make_bar(
    console: Console | None = None, *, counts: bool = True, stays: bool = True
) -> Progress:
    """Make a progress bar; each of its tasks is one line.

    Args:
        console: where the bar is shown; standard output by default.
        counts: show progress as two numbers, not as a percentage.
        stays: leave the bar on the screen at the end.
    """
    return Progress(
        BarColumn(),
        MofNCompleteColumn() if counts else TaskProgressColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        refresh_per_second=2,
        transient=not stays,
    )
