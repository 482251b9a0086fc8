"""What several commands take, and kinds of options that click does not have."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click


def files_of_a_run(function: Callable[..., None]) -> Callable[..., None]:
    """The input of i-PI, the client files, and how many processes serve each of them."""
    decorators: list[Callable[[Any], Any]] = [
        click.argument("input_xml", metavar="INPUT.xml", type=click.Path(path_type=Path)),
        click.argument("clients", metavar="CLIENT.toml...", nargs=-1, required=True,
                       type=click.Path(path_type=Path)),
        click.option("-n", "n_clients", type=click.IntRange(0), default=1, show_default=True,
                     help="Clients for each client file; 0 for an input with <ffdirect>."),
    ]  # fmt: skip
    for decorate in reversed(decorators):
        function = decorate(function)
    return function


class FiniteRange(click.FloatRange):
    """A number between limits, neither NaN nor infinite."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number", param, ctx)
        return number


class ResultName(click.Path):
    """A path to which endings are added."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        path = Path(str(super().convert(value, param, ctx)))
        if path.name in ("", ".."):
            self.fail(f"{value!r} is a folder; give a name in it, without ending", param, ctx)
        return path
