"""What the commands for spectra have in common: options, several runs, and the figure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, Final

import click
import numpy as np

from mlobs_client.analysis.vibrations.spectra import Spectrum, SpectrumSettings
from mlobs_client.analysis.vibrations.spectral_density import LEFT, NOISE
from mlobs_client.analysis.vibrations.timestep import correct_timestep, peak_shifts
from mlobs_client.cli.options import FiniteRange, ResultName
from mlobs_client.errors import ConfigError, RecordError
from mlobs_client.plot import plot_spectra, save
from mlobs_client.structure import Integers
from mlobs_client.studies.runs import Run
from mlobs_client.studies.temperature import compare_temperature
from mlobs_client.units import FEMTOSECOND, PICOSECOND

SAME_TIME: Final = 1e-3
"""Of a time step: what times in a file are rounded by."""

SHORTEST: Final = 8
"""Samples of a stretch that has any correlation to show."""

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

    def treat(self, spectrum: Spectrum, wanted: Wanted, runs: Sequence[Run]) -> Spectrum:
        """Say how far the peaks in the figure have moved, and correct what is to be corrected.

        Raises:
            ConfigError: a time step longer than that of the runs.
        """
        outer = common([run.timestep for run in runs], "time steps", wanted.prefixes)
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


def kept(run: Run, steps: Integers, skip: float) -> slice:
    """The samples after the first ``skip`` picoseconds.

    Raises:
        RecordError: nothing is left.
    """
    times = run.times(steps)
    first = int((times - times[0] < skip * PICOSECOND - SAME_TIME * run.timestep).sum())
    if first >= len(steps) - 1:
        raise RecordError(f"{run.prefix}: shorter than the {skip} ps of --skip")
    return slice(first, None)


def stretches(run: Run, steps: Integers) -> list[slice]:
    """The samples that follow each other in time; of replica exchange, those between exchanges.

    Blocks lie within one of them, and what is too short for a block is left out: it says so.

    Raises:
        RecordError: none is long enough for anything.
    """
    found = run.stretches(steps)
    if len(found) == 1:
        return found
    lengths = [one.stop - one.start for one in found]
    if max(lengths) < SHORTEST:
        raise RecordError(
            f"{run.prefix}: at most {max(lengths)} samples follow each other between exchanges, "
            "too few for a spectrum; exchange less often, with a larger <stride> in <remd>"
        )
    click.echo(
        f"{run.prefix}: {len(found)} stretches between exchanges, of {min(lengths)} to "
        f"{max(lengths)} samples; those shorter than a block are left out"
    )
    return [one for one in found if one.stop - one.start >= SHORTEST]


@dataclass(frozen=True)
class Selection:
    """The samples of a run that count.

    Attributes:
        kept: those after what is skipped.
        parts: of the kept ones, those that follow each other in time.
        first: step of the first one.
        spacing: time between samples, atu.
    """

    kept: slice
    parts: list[slice]
    first: int
    spacing: float

    @classmethod
    def of(cls, run: Run, steps: Integers, skip: float, temperature: float | None) -> Selection:
        """Choose samples; what is left out, and doubts about the temperature, are said.

        Args:
            run: whose they are.
            steps: of all samples, shape ``(t,)``.
            skip: ps left out at the start.
            temperature: K, held against that of the run; None for a run that is not at equilibrium.

        Raises:
            RecordError: nothing is left, or the samples are not evenly spaced.
            ConfigError: the run was at another temperature.
        """
        left = kept(run, steps, skip)
        first = int(steps[left][0])
        if temperature is not None:
            compare_temperature(run, temperature, first)
        parts = stretches(run, steps[left])
        return cls(left, parts, first, run.spacing(steps[left]))


def common(values: list[float], what: str, prefixes: tuple[Path, ...]) -> float:
    """The one value that all runs share.

    Raises:
        RecordError: they differ.
    """
    if max(values) - min(values) > 1e-6 * abs(values[0]):
        raise RecordError(f"the {what} of {', '.join(map(str, prefixes))} differ: {values} (a.u.)")
    return values[0]


def finish(
    spectrum: Spectrum, wanted: Wanted, integrator: Integrator, runs: Sequence[Run]
) -> Spectrum:
    """Say what window and time step have done, write figure and data, and say where.

    Returns:
        The spectrum that was written.

    Raises:
        ConfigError: a time step that the runs do not have.
    """
    shown = integrator.treat(spectrum, wanted, runs)
    for line in window_report(shown.between(wanted.low, wanted.high)):
        click.echo(line)
    label = wanted.prefixes[0].name
    figure = plot_spectra({label: shown}, low=wanted.low, high=wanted.high)
    for path in save(figure, wanted.output):
        click.echo(path)
    return shown


def window_report(spectrum: Spectrum) -> Iterator[str]:
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
    ends = [(spectrum.wavenumber[a], spectrum.wavenumber[b - 1]) for a, b in edges]
    wide = [(low, high) for low, high in ends if high - low >= 0.5 * spectrum.resolution]
    listed = ", ".join(f"{low:.0f}-{high:.0f}" for low, high in wide[:MOST_RANGES])
    more = f" and {len(wide) - MOST_RANGES} more" if len(wide) > MOST_RANGES else ""
    where = f"at {listed}{more} cm^-1" if wide else "at single points"
    known = marked & (spectrum.error > 0.0)  # a loss is zero at zero, without error
    worst = float(np.max(shift[known] / spectrum.error[known], initial=0.0))
    yield (
        f"window bias: {marked.mean():.0%} of the points are marked, {where}; with other windows "
        f"they move by {worst:.2g} errors at most, and below the resolution nothing is known"
    )
