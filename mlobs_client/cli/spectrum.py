"""Options and output that the commands for spectra share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import wraps
from pathlib import Path
from typing import Any, Final

import click
import numpy as np

from mlobs_client.analysis.vibrations.bands import member_spreads
from mlobs_client.analysis.vibrations.short_runs import SHORT
from mlobs_client.analysis.vibrations.spectra import SpectrumSettings
from mlobs_client.analysis.vibrations.spectral_density import LEFT, NOISE
from mlobs_client.analysis.vibrations.timestep import correct_timestep, peak_shifts
from mlobs_client.cli.options import FiniteRange, command_line, in_order, output, prefixes
from mlobs_client.cli.skip import skip_option
from mlobs_client.errors import ConfigError
from mlobs_client.results.correlation import WINDOWS
from mlobs_client.results.curve import Curve
from mlobs_client.results.provenance import Provenance
from mlobs_client.results.result import Result
from mlobs_client.results.skip import Skip
from mlobs_client.studies.run_samples import Samples, common
from mlobs_client.studies.run_set import RunSet
from mlobs_client.studies.runs import Run
from mlobs_client.units import FEMTOSECOND

MOST_RANGES: Final = 5
"""Largest number of wavenumber ranges that a line lists."""


@dataclass(frozen=True)
class SpectrumOptions:
    """The runs, how to analyse them, and where to write the result.

    Attributes:
        prefixes: i-PI's output prefix of each run; empty if all files are named.
        output: path of the results without a file extension.
        settings: resolution, blocks and window.
        skip: time to leave out at the start of each run.
        low: lowest wavenumber that is shown, cm^-1.
        high: highest wavenumber that is shown, cm^-1.
    """

    prefixes: tuple[Path, ...]
    output: Path
    settings: SpectrumSettings
    skip: Skip
    low: float
    high: float


@dataclass(frozen=True)
class Integrator:
    """The time step of the integrator, and how to treat the wavenumbers that it shifts.

    Attributes:
        timestep: innermost time step, fs; None to use that of the runs.
        corrects: remove the shift of the wavenumbers.
    """

    timestep: float | None
    corrects: bool

    def treat(self, spectrum: Curve, wanted: SpectrumOptions, runs: RunSet) -> Curve:
        """Print the shift of each peak in the figure, and remove it if requested.

        Raises:
            ConfigError: the time step is longer than that of the runs.
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
        if peaks and spectrum.no_error:
            click.echo("without errors, some of these peaks may be noise:")
        remedy = "removed" if self.corrects else "--correct-timestep removes these shifts"
        click.echo(
            f"peaks, and their shifts due to a time step of {step / FEMTOSECOND:g} fs: "
            + (f"{listed} cm^-1; {remedy}" if peaks else "none stands out from the noise")
        )
        return correct_timestep(spectrum, step) if self.corrects else spectrum


def timestep_options(function: Callable[..., None]) -> Callable[..., None]:
    """Add the options that make up the argument ``integrator``, an :class:`Integrator`."""

    @click.option(
        "--timestep", type=FiniteRange(0.0, min_open=True),
        help="Time step of the integrator, fs, from which the shifts of peaks that it causes are "
        "computed. With multiple time steps, give the innermost one. If i-PI's output does not "
        "contain the properties step and time, give the outermost one instead; it then also sets "
        "the time between samples.  [default: the outermost one of the run]",
    )  # fmt: skip
    @click.option(
        "--correct-timestep", "corrects", is_flag=True,
        help="Remove the shifts of the peaks due to the finite time step (velocity Verlet).",
    )  # fmt: skip
    @wraps(function)
    def called(*arguments: Any, timestep: float | None, corrects: bool, **others: Any) -> None:
        function(*arguments, integrator=Integrator(timestep, corrects), **others)

    return called


def options(function: Callable[..., None], needs_prefix: bool = True) -> Callable[..., None]:
    """Add the options that make up the first argument, a :class:`SpectrumOptions`."""

    @in_order(
        prefixes(required=needs_prefix),
        output(required=True),
        click.option("--resolution", default=10.0, show_default=True,
                     type=FiniteRange(0.0, min_open=True),
                     help="Width of a sharp line in the spectrum, cm^-1: full width at half "
                     "maximum."),
        click.option("--blocks", default=10, show_default=True, type=click.IntRange(2),
                     help="Number of blocks, for the error bars."),
        click.option("--window", default="parzen", show_default=True, type=click.Choice(WINDOWS),
                     help="Lag window of the correlation function."),
        skip_option,
        click.option("--low", default=0.0, show_default=True, type=FiniteRange(0.0),
                     help="Lowest wavenumber shown, cm^-1."),
        click.option("--high", default=4500.0, show_default=True, type=FiniteRange(0.0),
                     help="Highest wavenumber shown, cm^-1."),
    )  # fmt: skip
    @wraps(function)
    def called(
        prefixes: tuple[Path, ...],
        output: Path,
        resolution: float,
        blocks: int,
        window: str,
        skip: Skip,
        low: float,
        high: float,
        **others: Any,
    ) -> None:
        settings = SpectrumSettings(resolution=resolution, n_blocks=blocks, window=window)
        function(SpectrumOptions(prefixes, output, settings, skip, low, high), **others)

    return called


def write_spectrum(
    spectrum: Curve, wanted: SpectrumOptions, integrator: Integrator, runs: RunSet
) -> Curve:
    """Report the effects of window and time step, write figure and data, and print the file names.

    Returns:
        The spectrum that was written.

    Raises:
        ConfigError: the time step is longer than that of the runs.
    """
    from mlobs_client.plot import write

    shown = integrator.treat(spectrum, wanted, runs)
    part = replace(shown.between(wanted.low, wanted.high), label=wanted.prefixes[0].name)
    say(window_report(part))
    say(member_report(part))
    result = Result(shown.quantity, (part,), provenance=provenance(runs.runs))
    for path in write(result, wanted.output):
        click.echo(path)
    return shown


def with_stride(settings: SpectrumSettings, samples: Samples) -> SpectrumSettings:
    """Add the steps between samples to the settings, so that messages give missing steps."""
    return replace(settings, stride=samples.interval.steps)


def say(lines: Iterable[str]) -> None:
    """Print lines."""
    for line in lines:
        click.echo(line)


def provenance(runs: Iterable[Run]) -> Provenance:
    """Return the command line, and the files of the runs that it has read."""
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
        f"{listed} cm^-1" if peaks else "none stands out from the noise"
    )


def window_report(spectrum: Curve) -> Iterator[str]:
    """Describe how much correlation the window cuts off, and where the spectrum depends on it."""
    if LEFT in spectrum.details:  # responses to a pulse have no lag window
        left, noise = (float(spectrum.details[name]) for name in (LEFT, NOISE))
        size = "not known" if np.isnan(noise) else f"{noise:.2g}"
        yield f"correlation left at the longest lag: {left:.2g} of that at lag 0, noise {size}"
    if SHORT in spectrum.details:
        yield f"{SHORT}: {spectrum.details[SHORT]}"
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
        f"they move by at most {worst:.2g} errors, and below the resolution nothing is known"
    )
