"""Show the progress of training: as bars in a terminal, and as lines in a log file."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import click
from rich.console import Console

from mlobs_client.cli.bars import make_bar

LINES: Final = 20
"""Number of lines for each member, one for each validation."""

FIRST: Final = "preparing; the steps of a long training are compiled, which takes some minutes"
"""Words for a member before its first step."""


@contextmanager
def shown(
    console: Console, n_members: int, steps: int
) -> Iterator[Callable[[int, int, float], None]]:
    """Show the step and the last validation error of each member.

    Args:
        console: the terminal for the bars; if it is not a terminal, lines go to stderr.
        n_members: number of members of the committee.
        steps: number of steps of each member.

    Yields:
        The function to call with member, step and relative error.
    """
    if not console.is_terminal:
        yield _Lines(steps)
        return
    with make_bar(console) as bar:
        tasks = [bar.add_task(f"member {m}", total=steps) for m in range(n_members)]

        def report(member: int, step: int, error: float) -> None:
            text = f"member {member}: {_describe(step, error)}"
            bar.update(tasks[member], completed=step, description=text)

        yield report


class _Lines:
    """Print a line for each twentieth of the steps of a member, for files and pipes."""

    def __init__(self, steps: int) -> None:
        self._steps = steps
        self._said: dict[int, int] = {}

    def __call__(self, member: int, step: int, error: float) -> None:
        part = LINES * step // self._steps
        if part <= self._said.get(member, -1) or (math.isnan(error) and step):
            return
        self._said[member] = part
        where = f"step {step}/{self._steps}, " if step else ""
        click.echo(f"member {member}: {where}{_describe(step, error)}", err=True)


def _describe(step: int, error: float) -> str:
    if not step:
        return FIRST
    return f"{100 * error:.3g} %" if math.isfinite(error) else "not yet validated"
