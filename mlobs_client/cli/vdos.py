"""``mlobs vdos``: vibrational density of states."""

from __future__ import annotations

from functools import partial

import click

from mlobs_client.cli import named_files, spectrum
from mlobs_client.cli.options import FiniteRange, LabelledMass
from mlobs_client.units import VELOCITY_UNITS


@click.command(
    epilog="Examples:  mlobs vdos run-1/simulation run-2/simulation --skip 1 -o vdos   |   "
    "mlobs vdos --velocities md.extxyz --key vel --timestep 0.5 -o vdos"
)
@partial(spectrum.options, needs_prefix=False)
@spectrum.timestep_options
@named_files.options(
    "velocities",
    "",
    VELOCITY_UNITS,
    "a trajectory of i-PI (a name without bead number means all beads), or extxyz",
)
@click.option(
    "--mass", "masses", multiple=True, type=LabelledMass(), metavar="LABEL=U",
    help="Mass of the atoms of a label, in u (H=2.014), instead of that of the run.",
)  # fmt: skip
@click.option(
    "--temperature", type=FiniteRange(0.0, min_open=True),
    help="K; selects one temperature of a run with replica exchange.",
)  # fmt: skip
def command(
    wanted: spectrum.Wanted,
    integrator: spectrum.Integrator,
    files: named_files.NamedFiles,
    masses: tuple[tuple[str, float], ...],
    temperature: float | None,
) -> None:
    """Vibrational density of states of independent runs of one system, with error bars.

    PREFIX is i-PI's output prefix. Reads PREFIX.vel.xyz, or whatever trajectory of PREFIX holds
    v_centroid or velocities (their mean over beads, for path integrals), and the columns step and
    time of PREFIX.out. Masses are those of RESTART, of a checkpoint or of the input beside the
    outputs, else those of the labels; the masses used are printed. The integral is the number of
    coordinates that move. With replica exchange, frames are sorted by temperature, and spectra
    are computed between exchanges. Writes OUTPUT.png, .pdf, .csv, .json, .h5.
    """
    from mlobs_client.analysis.vibrations.kinetics import find_freedom
    from mlobs_client.analysis.vibrations.vdos import vdos

    wanted, runs = files.run_set(wanted, integrator, temperature)
    samples = runs.velocities(dict(masses))
    spectrum.say(samples.notes)
    click.echo(str(samples.masses))
    click.echo(f"degrees of freedom: {find_freedom(samples.stretches, samples.masses.values)}")
    result = vdos(samples.stretches, samples.masses.values, samples.spacing, wanted.settings)
    spectrum.finish(spectrum.estimated(result, samples), wanted, integrator, runs)
