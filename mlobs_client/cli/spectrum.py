"""What the commands for spectra have in common: options, several runs, and the figure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import wraps
from pathlib import Path
from typing import Any, Final

import click
import numpy as np

from mlobs_client.analysis.vibrations.bands import member_spreads
from mlobs_client.analysis.vibrations.spectra import SpectrumSettings
from mlobs_client.analysis.vibrations.spectral_density import LEFT, NOISE
from mlobs_client.analysis.vibrations.timestep import correct_timestep, peak_shifts
from mlobs_client.cli.options import FiniteRange, ResultName, command_line
from mlobs_client.errors import ConfigError
from mlobs_client.plot import write
from mlobs_client.results.curve import ESTIMATOR, Curve
from mlobs_client.results.result import Provenance, Result
from mlobs_client.studies.run_samples import Samples, common
from mlobs_client.studies.run_set import RunSet
from mlobs_client.studies.runs import Run
from mlobs_client.units import FEMTOSECOND

MOST_RANGES: Final = 5
"""Ranges of wavenumbers that a line lists."""


@dataclass(frozen=True)
class Wanted:
    """Which runs, how to treat them, and where the result goes.

    Attributes:
        prefixes: i-PI's output prefix of each run; none where all files are named.
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


@dataclass(frozen=True)
class Integrator:
    """What the time step has done to the wavenumbers, and whether to take it back.

    Attributes:
        timestep: fs, that of runs that do not tell it, or the innermost; None for that of the runs.
        corrects: whether to take it back.
    """

    timestep: float | None
    corrects: bool

    def treat(self, spectrum: Curve, wanted: Wanted, runs: RunSet) -> Curve:
        """Say how far the peaks in the figure have moved, and correct what is to be corrected.

        Raises:
            ConfigError: a time step longer than that of the runs.
        """
        names = list(map(str, wanted.prefixes))
        outer = common([run.timestep for run in runs.runs], "time steps", names)
        step = outer if self.timestep is None else self.timestep * FEMTOSECOND
        if step > outer * (1.0 + 1e-6):
            raise ConfigError(
                f"--timestep {self.timestep:g} fs is longer than the steps of the run, "
                f"{outer / FEMTOSECOND:g} fs; give the innermost of multiple time steps"
            )
        peaks = peak_shifts(spectrum.between(wanted.low, wanted.high), step)
        listed = ", ".join(f"{one.wavenumber:.1f} ({one.shift:+.1f})" for one in peaks)
        remedy = "taken back" if self.corrects else "--correct-timestep takes that back"
        click.echo(
            f"peaks, and what a time step of {step / FEMTOSECOND:g} fs adds to them: "
            + (f"{listed} cm^-1; {remedy}" if peaks else "none stands out of the noise")
        )
        return correct_timestep(spectrum, step) if self.corrects else spectrum


def timestep_options(function: Callable[..., None]) -> Callable[..., None]:
    """The options that make up an :class:`Integrator`, the argument ``integrator``."""

    @click.option(
        "--timestep", type=FiniteRange(0.0, min_open=True),
        help="fs, that of the run where its properties have no time, or the innermost of "
        "multiple time steps; without, that of the run.",
    )  # fmt: skip
    @click.option(
        "--correct-timestep", "corrects", is_flag=True,
        help="Take back what the time step adds to the wavenumbers (velocity Verlet).",
    )  # fmt: skip
    @wraps(function)
    def called(*arguments: Any, timestep: float | None, corrects: bool, **others: Any) -> None:
        function(*arguments, integrator=Integrator(timestep, corrects), **others)

    return called


def options(function: Callable[..., None], needs_prefix: bool = True) -> Callable[..., None]:
    """The options that make up :class:`Wanted`, the first argument of ``function``."""
    metavar = "PREFIX..." if needs_prefix else "[PREFIX...]"
    decorators: list[Callable[[Any], Any]] = [
        click.argument("prefixes", metavar=metavar, nargs=-1, required=needs_prefix,
                       type=click.Path(path_type=Path)),
        click.option("-o", "--output", required=True, type=ResultName(),
                     help="Name of the results, without ending."),
        click.option("--resolution", default=10.0, show_default=True,
                     type=FiniteRange(0.0, min_open=True), help="cm^-1, full width."),
        click.option("--blocks", default=10, show_default=True,
                     help="Number of blocks, for the error bars."),
        click.option("--window", default="parzen", show_default=True,
                     help="Lag window of the correlation function."),
        click.option("--skip", default=0.0, show_default=True, type=FiniteRange(0.0),
                     help="ps left out at the start."),
        click.option("--low", default=0.0, show_default=True, type=FiniteRange(0.0),
                     help="Lowest wavenumber shown, cm^-1."),
        click.option("--high", default=4500.0, show_default=True, type=FiniteRange(0.0),
                     help="Highest wavenumber shown, cm^-1."),
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


def finish(spectrum: Curve, wanted: Wanted, integrator: Integrator, runs: RunSet) -> Curve:
    """Say what window and time step have done, write figure and data, and say where.

    Returns:
        The spectrum that was written.

    Raises:
        ConfigError: a time step that the runs do not have.
    """
    shown = integrator.treat(spectrum, wanted, runs)
    part = replace(shown.between(wanted.low, wanted.high), label=wanted.prefixes[0].name)
    say(window_report(part))
    say(member_report(part))
    result = Result(shown.quantity, (part,), provenance=provenance(runs.runs))
    for path in write(result, wanted.output):
        click.echo(path)
    return shown


def say(lines: Iterable[str]) -> None:
    """Print lines."""
    for line in lines:
        click.echo(line)


def estimated(curve: Curve, samples: Samples) -> Curve:
    """The curve with its estimator, beads or centroids, among the details."""
    return replace(curve, details={**curve.details, ESTIMATOR: samples.estimator})


def provenance(runs: Iterable[Run]) -> Provenance:
    """The command line, and the files of runs that it has read."""
    return Provenance.of({path for run in runs for path in run.inputs}, command_line())


def member_report(spectrum: Curve) -> Iterator[str]:
    """Say how far the members of the committee disagree about the peaks."""
    if spectrum.members is None:
        return
    peaks = member_spreads(spectrum)
    listed = ", ".join(
        f"{at:.1f} (not a single band in all members)" if np.isnan(by) else f"{at:.1f} ± {by:.1f}"
        for at, by in peaks
    )
    yield f"peaks, and their spread over {len(spectrum.members)} members: " + (
        f"{listed} cm^-1" if peaks else "none stands out of the noise"
    )


def window_report(spectrum: Curve) -> Iterator[str]:
    """Say how much correlation the window cuts off, and where the spectrum depends on it."""
    if LEFT in spectrum.details:  # of all but responses to a pulse
        left, noise = (float(spectrum.details[name]) for name in (LEFT, NOISE))
        yield f"correlation left at the longest lag: {left:.2g} of that at lag 0, noise {noise:.2g}"
    if spectrum.no_error:
        yield f"no error: {spectrum.no_error}"
    marked, shift, others = spectrum.window_bias, spectrum.window_shift, spectrum.other_windows
    if marked is None or shift is None or others is None:
        return
    if np.isnan(others[1]).all():
        yield "window bias: the blocks are too short to try a window twice as long"
    if not marked.any():
        yield "window bias: none seen"
        return
    edges = np.flatnonzero(np.diff(marked, prepend=False, append=False)).reshape(-1, 2)
    ends = [(spectrum.x[a], spectrum.x[b - 1]) for a, b in edges]
    width = 0.5 * (spectrum.resolution or 0.0)
    wide = [(low, high) for low, high in ends if high - low >= width]
    listed = ", ".join(f"{low:.0f}-{high:.0f}" for low, high in wide[:MOST_RANGES])
    more = f" and {len(wide) - MOST_RANGES} more" if len(wide) > MOST_RANGES else ""
    where = f"at {listed}{more} cm^-1" if wide else "at single points"
    known = marked & (spectrum.error > 0.0)  # a loss is zero at zero, without error
    worst = float(np.max(shift[known] / spectrum.error[known], initial=0.0))
    yield (
        f"window bias: {marked.mean():.0%} of the points are marked, {where}; with other windows "
        f"they move by {worst:.2g} errors at most, and below the resolution nothing is known"
    )
