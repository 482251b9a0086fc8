"""``mlobs dielectric``: compute the dielectric function."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import click
import numpy as np

from mlobs_client.cli import options, spectrum
from mlobs_client.cli.options import FiniteNumber, FiniteRange
from mlobs_client.studies.run_set import RunSet

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlobs_client.analysis.response.dielectric import DielectricFunction
    from mlobs_client.analysis.response.permittivity import Permittivity
    from mlobs_client.analysis.vibrations.spectra import SpectrumSettings
    from mlobs_client.results.curve import Curve
    from mlobs_client.structure import Array
    from mlobs_client.studies.run_samples import Samples

STATIC: Final = "static dielectric constant"
"""Name of the tensor, and of a third of its trace, in the result."""


@click.command(
    epilog="Examples:  mlobs dielectric simulation --temperature 300 -o dielectric   |   "
    "mlobs dielectric rest/simulation --temperature 300 --response up-1/simulation --response "
    "down-1/simulation --field 0 0 0.02 --field 0 0 -0.02 -o dielectric   |   "
    "mlobs dielectric rest/simulation --temperature 300 --pulse up-1/simulation --pulse "
    "down-1/simulation --pulse up-2/simulation --pulse down-2/simulation -o dielectric"
)
@spectrum.options
@options.temperature
@click.option(
    "--eps-infinity", "electronic", default=1.0, show_default=True,
    type=FiniteRange(0.0, min_open=True), help="High-frequency (electronic) permittivity.",
)  # fmt: skip
@click.option(
    "--response", "responses", multiple=True, type=click.Path(path_type=Path),
    help="Prefix of a run that starts, without a field, from a checkpoint of a run in a field.",
)  # fmt: skip
@click.option(
    "--field", "fields", multiple=True, nargs=3, type=FiniteNumber(), metavar="X Y Z",
    help="Field from which each --response relaxes, V/angstrom, in the same order.",
)  # fmt: skip
@click.option(
    "--pulse", "pulses", multiple=True, type=click.Path(path_type=Path),
    help="Prefix of a run in a pulse of driven_dynamics, or in the opposite pulse; in any order.",
)  # fmt: skip
@options.branches
def command(
    wanted: spectrum.SpectrumOptions,
    temperature: float,
    electronic: float,
    responses: tuple[Path, ...],
    fields: tuple[tuple[float, float, float], ...],
    pulses: tuple[Path, ...],
    branches: Literal["align", "keep"],
) -> None:
    """Compute the dielectric function of one system, with error bars.

    PREFIX is i-PI's output prefix; give several for independent runs, all without a field. The
    dipoles are read from the extras PREFIX.dipole_* of all beads (from unwrapped positions:
    pbc='False'), the steps and times from PREFIX.out, and the cell from a trajectory. The command
    prints the static dielectric tensor, and writes OUTPUT.png, .pdf, .csv, .json, .h5.

    If the mean dipoles of several runs differ by whole quanta (e times lattice vectors), these runs
    are moved to one branch, and the command prints which were moved; if they differ by anything
    else, it stops. The same holds for each --response, whose last quarter is compared with the runs
    without a field.

    With --response, the dielectric function along a static field is also computed from the
    relaxation after that field is switched off. Make a run in the field ([field] of client.toml)
    with <checkpoint overwrite='False'>, and start runs from several of its checkpoints (<file
    mode='chk'>) with a client file without [field], as many from -E as from +E. They relax to the
    mean dipole of the runs without a field.

    With --pulse, the dielectric function along a short pulse of i-PI's driven_dynamics is also
    computed, from runs in that pulse. Start two runs from each of several checkpoints of PREFIX,
    with the same <efield> except for the sign of <amp>. The dipoles show which two runs belong
    together. The pulse is read from Efield{v/ang} in <properties>, with the stride of the dipole.
    """
    from mlobs_client.results.result import Result

    if len(fields) != len(responses):
        raise click.UsageError(
            f"{len(responses)} --response need as many --field, not {len(fields)}"
        )
    settings = wanted.settings
    before = np.array(fields)
    driven = _PulseRuns.of(pulses) if pulses else None
    after_pulse = None if driven is None else driven.function(electronic, settings)
    direction = _direction(before, driven)
    skip = wanted.skip
    samples = RunSet(wanted.prefixes, skip.picoseconds, temperature, skip.fraction).dipoles()
    spectrum.say(samples.notes)
    relaxing = RunSet(responses).dipoles() if responses else None
    if branches == "align":
        samples = _said(*samples.aligned())
        relaxing = relaxing and _said(*relaxing.aligned_to(samples))
    static, function = _fluctuations(samples, temperature, electronic, direction, settings)
    curves, sources = {"fluctuations": function}, {"fluctuations": samples}
    if relaxing is not None:
        curves["relaxation"] = _relaxation(relaxing, before, samples, electronic, settings)
        sources["relaxation"] = relaxing
    statics = {f"{STATIC}, from {label}": one.static for label, one in curves.items()}
    _show(static, curves, direction is not None)
    if driven is not None and after_pulse is not None:
        curves["pulse"], sources["pulse"] = after_pulse, driven.samples
        _say_what_is_left_out(after_pulse.real.x, wanted)
    for label, one in curves.items():
        for line in spectrum.window_report(one.imaginary.between(wanted.low, wanted.high)):
            click.echo(f"{label}, imaginary part: {line}")
    result = Result(
        "dielectric function",
        _parts(curves, wanted, sources),
        numbers={STATIC: static.mean, **statics},
        tensors=(static.as_tensor(STATIC),),
        provenance=spectrum.provenance(run for one in sources.values() for run in one.runs),
    )
    from mlobs_client.plot import write  # matplotlib is loaded only for runs that can be read

    for path in write(result, wanted.output, logarithmic=True):
        click.echo(path)


@dataclass(frozen=True)
class _PulseRuns:
    """Dipoles of several runs in a pulse, and the pulse of each run."""

    samples: Samples
    fields: list[Array]

    @classmethod
    def of(cls, prefixes: tuple[Path, ...]) -> _PulseRuns:
        samples = RunSet(prefixes).dipoles()
        pairs = zip(samples.runs, samples.steps, strict=True)
        return cls(samples, [run.fields(steps) for run, steps in pairs])

    @property
    def direction(self) -> Array:
        """The strongest field of the first run."""
        first = self.fields[0]
        return np.asarray(first[np.argmax(np.linalg.norm(first, axis=1))])

    def function(self, electronic: float, settings: SpectrumSettings) -> DielectricFunction:
        from mlobs_client.analysis.response.pulses import dielectric_from_pulse

        return dielectric_from_pulse(
            self.samples.values,
            self.fields,
            self.samples.spacing,
            self.samples.volume,
            settings=spectrum.with_stride(settings, self.samples),
            electronic=electronic,
            names=self.samples.names,
        )


def _said(samples: Samples, moved: list[str]) -> Samples:
    """Print which runs were moved, and return the samples."""
    spectrum.say(moved)
    return samples


def _parts(
    curves: Mapping[str, DielectricFunction],
    wanted: spectrum.SpectrumOptions,
    sources: Mapping[str, Samples],
) -> tuple[Curve, ...]:
    """Return the real parts of all functions, and then their imaginary parts.

    Each has the estimator of its own samples.
    """
    # on a logarithmic axis, what is below the resolution is shown at its end
    low = wanted.low or 0.5 * wanted.settings.resolution
    parts = [(label, one.real) for label, one in curves.items()]
    parts += [(label, one.imaginary) for label, one in curves.items()]
    return tuple(
        sources[label].with_estimator(replace(part.between(low, wanted.high), label=label))
        for label, part in parts
    )


def _direction(before: Array, driven: _PulseRuns | None) -> Array | None:
    """Return the direction of the responses; None if there are none."""
    if driven is None:
        return before[0] if len(before) else None
    if len(before):
        area = float(np.linalg.norm(np.cross(before[0], driven.direction)))
        lengths = float(np.linalg.norm(before[0]) * np.linalg.norm(driven.direction))
        if area > 1e-6 * lengths:
            raise click.UsageError(
                f"--field {before[0].tolist()} and the pulse {driven.direction.tolist()} are not "
                "parallel; compare each with the fluctuations in a command of its own"
            )
    return driven.direction


def _say_what_is_left_out(wavenumber: Array, wanted: spectrum.SpectrumOptions) -> None:
    if wanted.low < wavenumber[0] or wanted.high > wavenumber[-1]:
        click.echo(
            f"the pulse covers only {wavenumber[0]:.0f} to {wavenumber[-1]:.0f} cm^-1: below this "
            "range, the runs are too short for the resolution, and elsewhere the pulse is too weak"
        )


def _fluctuations(
    samples: Samples,
    temperature: float,
    electronic: float,
    direction: Array | None,
    settings: SpectrumSettings,
) -> tuple[Permittivity, DielectricFunction]:
    from mlobs_client.analysis.response.dielectric import dielectric_from_fluctuations
    from mlobs_client.analysis.response.permittivity import permittivity_from_fluctuations
    from mlobs_client.units import KELVIN

    static = permittivity_from_fluctuations(
        samples.values,
        samples.volume,
        temperature * KELVIN,
        electronic=electronic,
        interval=samples.interval,
    )
    function = dielectric_from_fluctuations(
        samples.stretches,
        samples.spacing,
        samples.volume,
        temperature * KELVIN,
        settings=spectrum.with_stride(settings, samples),
        direction=direction,
        electronic=electronic,
    )
    return static, function


def _relaxation(
    samples: Samples,
    fields: Array,
    at_rest: Samples,
    electronic: float,
    settings: SpectrumSettings,
) -> DielectricFunction:
    from mlobs_client.analysis.response.dielectric import dielectric_from_relaxation
    from mlobs_client.units import VOLT_PER_ANGSTROM

    return dielectric_from_relaxation(
        samples.values,
        fields * VOLT_PER_ANGSTROM,
        np.concatenate(at_rest.values).mean(axis=0),
        samples.spacing,
        samples.volume,
        settings=spectrum.with_stride(settings, samples),
        electronic=electronic,
    )


def _show(static: Permittivity, curves: dict[str, DielectricFunction], along: bool) -> None:
    click.echo(f"{STATIC} (a third of the trace)  {static.mean}")
    click.echo(f"independent samples of the slowest component: {static.mean.n_independent:.0f}")
    for row, errors in zip(static.tensor, static.errors, strict=True):
        click.echo("  " + "  ".join(map(_element, row, errors)))
    if static.no_error and not static.mean.no_error:
        click.echo(f"  no errors for single elements: {static.no_error}")
    if along:
        for label, one in curves.items():
            click.echo(f"along the field, from {label}  {one.static}")


def _element(value: float, error: float) -> str:
    return f"{value:8.3f}" if np.isnan(error) else f"{value:8.3f} ± {error:.3f}"
