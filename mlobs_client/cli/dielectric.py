"""``mlobs dielectric``: the dielectric function."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np

from mlobs_client.cli import spectrum
from mlobs_client.cli.options import FiniteRange

if TYPE_CHECKING:
    from mlobs_client.analysis.dielectric import DielectricFunction, Permittivity
    from mlobs_client.analysis.spectra import SpectrumSettings
    from mlobs_client.structure import Array


@click.command(
    epilog="Examples:  mlobs dielectric simulation --temperature 300 -o dielectric   |   "
    "mlobs dielectric rest/simulation --temperature 300 --response up-1/simulation --response "
    "down-1/simulation --field 0 0 0.02 --field 0 0 -0.02 -o dielectric"
)
@spectrum.options
@click.option("--temperature", required=True, type=float, help="K.")
@click.option(
    "--eps-infinity", "electronic", default=1.0, show_default=True,
    type=FiniteRange(0.0, min_open=True), help="What the electrons add at once.",
)  # fmt: skip
@click.option(
    "--response", "responses", multiple=True, type=click.Path(path_type=Path),
    help="Prefix of a run that goes on without the field in which it was before.",
)  # fmt: skip
@click.option(
    "--field", "fields", multiple=True, nargs=3, type=float,
    help="That field, V/angstrom, x y z; once for each --response.",
)  # fmt: skip
def command(
    wanted: spectrum.Wanted,
    temperature: float,
    electronic: float,
    responses: tuple[Path, ...],
    fields: tuple[tuple[float, float, float], ...],
) -> None:
    """Dielectric function of independent runs of one system without a field, with error bars.

    PREFIX is i-PI's output prefix. Reads the extras PREFIX.dipole_* of all beads (from unwrapped
    positions: pbc='False'), step and time in PREFIX.out; the cell in PREFIX.pos_0.xyz. Writes
    OUTPUT.png, .pdf, .csv, .json, and shows the static dielectric tensor.

    With --response, the same from the relaxation after a static field was switched off, along that
    field, for comparison: make a run in the field ([field] of client.toml) with <checkpoint
    overwrite='False'>, and start from several of its checkpoints, <file mode='chk'>, with a client
    file without [field]; as many from -E as from +E. The mean dipole of all PREFIX is where
    they relax to.
    """
    from mlobs_client.plot import plot_spectra, save

    if len(fields) != len(responses):
        raise click.UsageError(
            f"{len(responses)} --response need as many --field, not {len(fields)}"
        )
    settings = wanted.settings
    samples = _Samples.of(wanted.prefixes, wanted.skip)
    before = np.array(fields)
    direction = before[0] if len(before) else None
    static, function = _fluctuations(samples, temperature, electronic, direction, settings)
    curves = {"fluctuations": function}
    if responses:
        curves["relaxation"] = _relaxation(responses, before, samples, electronic, settings)
    _show(static, curves, len(before) > 0)
    # on a logarithmic axis, what is below the resolution is shown at its end
    figure = plot_spectra(
        {label: one.real for label, one in curves.items()},
        {label: one.imaginary for label, one in curves.items()},
        low=wanted.low or 0.5 * settings.resolution,
        high=wanted.high,
        logarithmic=True,
    )
    more = {
        "static": {label: str(one.static) for label, one in curves.items()},
        "tensor": static.tensor.tolist(),
        "errors of the tensor": static.errors.tolist(),
    }
    for path in save(replace(figure, summary={**figure.summary, **more}), wanted.output):
        click.echo(path)


@dataclass(frozen=True)
class _Samples:
    """Dipoles of several runs of one system."""

    dipoles: list[Array]
    timestep: float
    volume: float

    @classmethod
    def of(cls, prefixes: tuple[Path, ...], skip: float) -> _Samples:
        from mlobs_client.runs import Run

        dipoles, spacings, volumes = [], [], []
        for run in map(Run, prefixes):
            read = run.dipoles()
            dipoles.append(read.mean[spectrum.kept(run, read.steps, skip)])
            spacings.append(run.spacing(read.steps))
            volumes.append(run.volume)
        return cls(
            dipoles,
            spectrum.common(spacings, "sampling times", prefixes),
            spectrum.common(volumes, "volumes", prefixes),
        )


def _fluctuations(
    samples: _Samples,
    temperature: float,
    electronic: float,
    direction: Array | None,
    settings: SpectrumSettings,
) -> tuple[Permittivity, DielectricFunction]:
    from mlobs_client.analysis.dielectric import (
        dielectric_from_fluctuations,
        permittivity_from_fluctuations,
    )
    from mlobs_client.units import KELVIN

    static = permittivity_from_fluctuations(
        samples.dipoles,
        samples.volume,
        temperature * KELVIN,
        n_blocks=settings.n_blocks,
        electronic=electronic,
    )
    function = dielectric_from_fluctuations(
        samples.dipoles,
        samples.timestep,
        samples.volume,
        temperature * KELVIN,
        settings=settings,
        direction=direction,
        electronic=electronic,
    )
    return static, function


def _relaxation(
    responses: tuple[Path, ...],
    fields: Array,
    at_rest: _Samples,
    electronic: float,
    settings: SpectrumSettings,
) -> DielectricFunction:
    from mlobs_client.analysis.dielectric import dielectric_from_relaxation
    from mlobs_client.units import VOLT_PER_ANGSTROM

    samples = _Samples.of(responses, skip=0.0)
    return dielectric_from_relaxation(
        samples.dipoles,
        fields * VOLT_PER_ANGSTROM,
        np.concatenate(at_rest.dipoles).mean(axis=0),
        samples.timestep,
        samples.volume,
        settings=settings,
        electronic=electronic,
    )


def _show(static: Permittivity, curves: dict[str, DielectricFunction], along: bool) -> None:
    click.echo(f"static dielectric constant (a third of the trace)  {str(static.mean)[:-2]}")
    for row, errors in zip(static.tensor, static.errors, strict=True):
        click.echo(
            "  " + "  ".join(f"{x:8.3f} ± {e:.3f}" for x, e in zip(row, errors, strict=True))
        )
    if along:
        for label, one in curves.items():
            click.echo(f"along the field, from {label}  {str(one.static)[:-2]}")
