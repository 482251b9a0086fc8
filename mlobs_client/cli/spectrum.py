"""What the commands for spectra have in common: options, several runs, and the figure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

import click

from mlobs_client.analysis.spectra import Spectrum, SpectrumSettings
from mlobs_client.cli.options import FiniteRange, ResultName
from mlobs_client.errors import RecordError
from mlobs_client.plot import plot_spectra, save
from mlobs_client.runs import Run
from mlobs_client.structure import Integers
from mlobs_client.units import PICOSECOND


@dataclass(frozen=True)
class Wanted:
    """Which runs, how to treat them, and where the result goes.

    Attributes:
        prefixes: i-PI's output prefix of each run.
        output: path of the results without ending.
        settings: resolution, blocks and window.
        skip: ps left out at the start.
        low: left end of the figure, cm^-1.
        high: right end.
    """

    prefixes: tuple[Path, ...]
    output: Path
    settings: SpectrumSettings
    skip: float
    low: float
    high: float


def options(function: Callable[..., None]) -> Callable[..., None]:
    """The options that make up :class:`Wanted`, the first argument of ``function``."""
    decorators: list[Callable[[Any], Any]] = [
        click.argument("prefixes", metavar="PREFIX...", nargs=-1, required=True,
                       type=click.Path(path_type=Path)),
        click.option("-o", "--output", required=True, type=ResultName(),
                     help="Name of the results, without ending."),
        click.option("--resolution", default=10.0, show_default=True,
                     type=FiniteRange(0.0, min_open=True), help="cm^-1, full width."),
        click.option("--blocks", default=10, show_default=True, help="Give the error bars."),
        click.option("--window", default="parzen", show_default=True, help="Of the correlation."),
        click.option("--skip", default=0.0, show_default=True, type=FiniteRange(0.0),
                     help="ps left out at the start."),
        click.option("--low", default=0.0, show_default=True, type=FiniteRange(),
                     help="Left end, cm^-1."),
        click.option("--high", default=4500.0, show_default=True, type=FiniteRange(),
                     help="Right end, cm^-1."),
    ]  # fmt: skip

    @wraps(function)
    def called(
        prefixes: tuple[Path, ...],
        output: Path,
        resolution: float,
        blocks: int,
        window: str,
        skip: float,
        low: float,
        high: float,
        **others: Any,
    ) -> None:
        settings = SpectrumSettings(resolution=resolution, n_blocks=blocks, window=window)
        function(Wanted(prefixes, output, settings, skip, low, high), **others)

    for decorate in reversed(decorators):
        called = decorate(called)
    return called


def kept(run: Run, steps: Integers, skip: float) -> slice:
    """The samples after the first ``skip`` picoseconds.

    Raises:
        RecordError: nothing is left.
    """
    first = int((steps - steps[0] < skip * PICOSECOND / run.timestep).sum())
    if first >= len(steps) - 1:
        raise RecordError(f"{run.prefix}: shorter than the {skip} ps of --skip")
    return slice(first, None)


def common(values: list[float], what: str, prefixes: tuple[Path, ...]) -> float:
    """The one value that all runs share.

    Raises:
        RecordError: they differ.
    """
    if max(values) - min(values) > 1e-6 * abs(values[0]):
        raise RecordError(f"the {what} of {', '.join(map(str, prefixes))} differ: {values} (a.u.)")
    return values[0]


def finish(spectrum: Spectrum, wanted: Wanted) -> None:
    """Write figure and data, and say where."""
    label = wanted.prefixes[0].name
    figure = plot_spectra({label: spectrum}, low=wanted.low, high=wanted.high)
    for path in save(figure, wanted.output):
        click.echo(path)
