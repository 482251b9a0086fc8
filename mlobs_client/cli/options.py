"""Options that several commands share, and types of options that click does not have."""

from __future__ import annotations

import functools
import itertools
import math
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from mlobs_client.client.service import ClientFile

Decorator = Callable[[Callable[..., None]], Callable[..., None]]


def in_order(*decorators: Callable[[Any], Any]) -> Decorator:
    """Return a decorator that adds several arguments and options, in the order of the help text."""

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        return functools.reduce(lambda decorated, add: add(decorated), decorators[::-1], function)

    return decorate


def files_of_a_run(function: Callable[..., None]) -> Callable[..., None]:
    """Add the input of i-PI, the client files, and the number of clients for each client file."""

    @in_order(
        click.argument("input_xml", metavar="INPUT.xml", type=click.Path(path_type=Path)),
        click.argument("clients", metavar="CLIENT.toml...", nargs=-1, required=True,
                       type=click.Path(path_type=Path)),
        click.option("-n", "n_clients", type=click.IntRange(0), default=(1,), show_default=True,
                     multiple=True,
                     help="Number of clients for each client file; give it once for all files, or "
                     "once for each. Give 0 for a file that i-PI reads itself, with "
                     "<ffdirect>."),
    )  # fmt: skip
    @functools.wraps(function)
    def with_counts(clients: tuple[Path, ...], n_clients: tuple[int, ...], **others: Any) -> None:
        if len(n_clients) not in (1, len(clients)):
            raise click.UsageError(
                f"-n is given {len(n_clients)} times for {len(clients)} client files; give it "
                "once for all of them, or once for each"
            )
        counts = n_clients * len(clients) if len(n_clients) == 1 else n_clients
        function(clients=clients, n_clients=counts, **others)

    return with_counts


def load_clients(clients: Sequence[Path], n_clients: Sequence[int]) -> list[ClientFile]:
    """Read the client files that the arguments of :func:`files_of_a_run` name.

    Raises:
        ConfigError: a file is missing or invalid.
    """
    from mlobs_client.client import config
    from mlobs_client.client.service import ClientFile

    files = zip(clients, n_clients, strict=True)
    return [ClientFile(path, config.load_config(path), n_processes) for path, n_processes in files]


def command_line() -> tuple[str, ...]:
    """Return the command line of this process, as the user typed it."""
    return ("mlobs", *sys.argv[1:])


def continued(words: Sequence[str], steps: int | None = None) -> list[str]:
    """Return the command line that continues a run.

    Args:
        words: command line that has started or continued it.
        steps: number of the last step; None to keep that of the run.
    """
    kept = [word for word in words if word != "--resume"]
    if steps is None:
        return [*kept, "--resume"]
    pairs = itertools.pairwise(["", *kept])
    kept = [word for before, word in pairs if "--steps" not in (before, word.partition("=")[0])]
    return [*kept, "--resume", "--steps", str(steps)]


def renamed(old: str, new: str) -> Decorator:
    """Add the old name of an option; using it is an error that names the new one."""

    def refuse(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> None:
        if value:
            raise click.UsageError(f"{old} is now called {new}")

    return click.option(old, multiple=True, hidden=True, expose_value=False, callback=refuse)


class FiniteNumber(click.types.FloatParamType):
    """A number, neither NaN nor infinite."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number", param, ctx)
        return number


class FiniteRange(FiniteNumber, click.FloatRange):
    """A number between limits, neither NaN nor infinite."""


class ResultName(click.Path):
    """A path without a file extension, to which extensions are added."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        path = Path(str(super().convert(value, param, ctx)))
        if path.name in ("", ".."):
            self.fail(
                f"{value!r} is a folder; give a name in it, without a file extension", param, ctx
            )
        return path


class LabelledMass(click.ParamType[tuple[str, float]]):
    """LABEL=U: a label of the trajectory, and the mass of its atoms in u."""

    name = "mass"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, float]:
        label, _, mass = str(value).partition("=")
        try:
            return label, float(mass)
        except ValueError:
            self.fail(f"{value!r}: write a label and a mass in u, as in H=2.014", param, ctx)


class Gpus(click.ParamType[tuple[str | None, int]]):
    """[TYPE:]N: a type of GPU, and their number."""

    name = "gpus"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str | None, int]:
        match = re.fullmatch(r"(?:([A-Za-z0-9_.-]+):)?([0-9]+)", str(value))
        if match is None:
            self.fail(
                f"{value!r}: write a number, or a type and a number, as in a100:4", param, ctx
            )
        return match[1], int(match[2])


class SpeciesNumbers(click.ParamType[dict[str, int]]):
    """An integer for each species: O=-2,H=1."""

    name = "O=-2,H=1"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> dict[str, int]:
        found = {}
        for part in str(value).split(","):
            symbol, _, number = part.partition("=")
            try:
                found[symbol.strip()] = int(number)
            except ValueError:
                self.fail(f"{part!r} is not a species with an integer; write O=-2,H=1", param, ctx)
        return found


class ResultFile(click.Path):
    """A file to write or replace; never a folder."""

    def __init__(self) -> None:
        super().__init__(path_type=Path, dir_okay=False)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        path = Path(str(super().convert(value, param, ctx)))
        if not path.name:
            self.fail(f"{value!r} is not a file name", param, ctx)
        return path


client_file = click.argument("client", metavar="CLIENT.toml", type=click.Path(path_type=Path))

temperature = click.option(
    "--temperature", required=True, type=FiniteRange(0.0, min_open=True),
    help="Temperature of the runs, K.",
)  # fmt: skip

site = click.option(
    "--site", type=click.Path(path_type=Path), metavar="FILE",
    help="Site file, which says what jobs on this cluster need.  [default: mlobs/site.toml in "
    "$XDG_CONFIG_HOME or ~/.config, if it exists]",
)  # fmt: skip

branches = click.option(
    "--branches", default="align", show_default=True, type=click.Choice(["align", "keep"]),
    help="'align' moves runs whose dipoles differ by whole quanta to one branch; 'keep' moves "
    "none, for runs that are already on one branch.",
)  # fmt: skip

no_check = click.option("--no-check", is_flag=True, help="Do not check the files first.")


def prefixes(*, required: bool) -> Decorator:
    """Add the argument for the output prefix of each run."""
    metavar = "PREFIX..." if required else "[PREFIX...]"
    path = click.Path(path_type=Path)
    return click.argument("prefixes", metavar=metavar, nargs=-1, required=required, type=path)


def output(**settings: Any) -> Decorator:
    """Add the option for the name of all files of a result; ``settings`` are passed to click."""
    text = "Path and name of the results, without a file extension."
    return click.option("-o", "--output", type=ResultName(), help=text, **settings)
