"""The option ``--skip``, for the equilibration of each run."""

from __future__ import annotations

from typing import Any

import click

from mlobs_client.cli.options import FiniteRange
from mlobs_client.results.skip import Skip


class SkipType(click.ParamType[Skip]):
    """A time in picoseconds, or a percentage of each run."""

    name = "PS|PERCENT%"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Skip:
        if isinstance(value, Skip):
            return value
        if value.endswith("%"):
            percent = FiniteRange(0.0, 100.0, max_open=True).convert(value[:-1], param, ctx)
            return Skip(fraction=percent / 100.0)
        return Skip(picoseconds=FiniteRange(0.0).convert(value, param, ctx))


skip_option = click.option(
    "--skip", type=SkipType(), default="0", show_default=True,
    help="Time to leave out at the start of each run: 2.5 (ps) or 20%.",
)  # fmt: skip
