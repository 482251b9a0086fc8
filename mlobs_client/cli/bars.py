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
from rich.table import Column


def make_bar(
    console: Console | None = None, *, counts: bool = True, stays: bool = True
) -> Progress:
    """Make a progress bar; the description of a task is folded in a narrow terminal.

    Args:
        console: where the bar is shown; standard output by default.
        counts: show progress as two numbers, not as a percentage.
        stays: leave the bar on the screen at the end.
    """
    whole = Column(no_wrap=True)
    return Progress(
        BarColumn(20, table_column=whole),
        (MofNCompleteColumn if counts else TaskProgressColumn)(table_column=whole),
        TextColumn("{task.description}", table_column=Column(overflow="fold")),
        TimeElapsedColumn(table_column=whole),
        TimeRemainingColumn(table_column=whole),
        console=console,
        refresh_per_second=2,
        transient=not stays,
    )
