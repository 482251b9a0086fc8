"""``mlobs vdos``: compute the vibrational density of states."""

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
    "a trajectory of i-PI (a name without a bead number stands for all beads), or extxyz",
)
@click.option(
    "--mass", "masses", multiple=True, type=LabelledMass(), metavar="LABEL=U",
    help="Mass of all atoms with this label, u, in place of the mass in the run, as in H=2.014.",
)  # fmt: skip
@click.option(
    "--temperature", type=FiniteRange(0.0, min_open=True),
    help="Temperature to select from runs with replica exchange, K.",
)  # fmt: skip
def command(
    wanted: spectrum.SpectrumOptions,
    integrator: spectrum.Integrator,
    files: named_files.NamedFiles,
    masses: tuple[tuple[str, float], ...],
    temperature: float | None,
) -> None:
    """Compute the vibrational density of states of one system, with error bars.

    PREFIX is i-PI's output prefix; give several for independent runs. The velocities are read from
    PREFIX.vel.xyz, or from any other trajectory of PREFIX with v_centroid or velocities (averaged
    over the beads), and the steps and times from PREFIX.out. The masses are taken from RESTART,
    from a checkpoint or from the input beside the outputs, or else from the labels of the atoms,
    and are printed. The integral of the spectrum is the number of coordinates that move. With
    replica exchange, frames are sorted by temperature, and spectra are computed from the stretches
    between exchanges.

    The command writes OUTPUT.png, .pdf, .csv, .json, .h5.
    """
    from mlobs_client.analysis.vibrations.kinetics import find_freedom
    from mlobs_client.analysis.vibrations.vdos import vdos

    wanted, runs = files.run_set(wanted, integrator, temperature)
    samples = runs.velocities(dict(masses))
    spectrum.say(samples.notes)
    click.echo(str(samples.masses))
    click.echo(f"degrees of freedom: {find_freedom(samples.stretches, samples.masses.values)}")
    settings = spectrum.with_stride(wanted.settings, samples)
    result = vdos(samples.stretches, samples.masses.values, samples.spacing, settings)
    spectrum.write_spectrum(samples.with_estimator(result), wanted, integrator, runs)
