"""``mlobs vdos``: vibrational density of states."""

from __future__ import annotations

from dataclasses import replace

import click

from mlobs_client.cli import spectrum
from mlobs_client.cli.options import FiniteRange, LabelledMass


@click.command(epilog="Example:  mlobs vdos run-1/simulation run-2/simulation --skip 1 -o vdos")
@spectrum.options
@spectrum.timestep_options
@click.option(
    "--mass", "masses", multiple=True, type=LabelledMass(), metavar="LABEL=U",
    help="Mass of the atoms of a label, in u (H=2.014), instead of that of the run.",
)  # fmt: skip
@click.option(
    "--temperature", type=FiniteRange(0.0, min_open=True),
    help="K; which one of a run with replica exchange.",
)  # fmt: skip
def command(
    wanted: spectrum.Wanted,
    integrator: spectrum.Integrator,
    masses: tuple[tuple[str, float], ...],
    temperature: float | None,
) -> None:
    """Vibrational density of states of independent runs of one system, with error bars.

    PREFIX is i-PI's output prefix. Reads PREFIX.vel.xyz (velocities; of the centroid for path
    integrals) and the columns step and time of PREFIX.out. Masses are those of RESTART, of a
    checkpoint or of the input beside the outputs, else those of the labels; the integral is the
    number of coordinates that move. It says which. Of replica exchange, frames are sorted by
    temperature, and spectra are those of the stretches between exchanges. Writes
    OUTPUT.png, .pdf, .csv, .json.
    """
    from mlobs_client.analysis.kinetics import find_freedom
    from mlobs_client.analysis.vdos import vdos
    from mlobs_client.masses import common_masses
    from mlobs_client.replica_exchange import open_run
    from mlobs_client.temperature import compare_temperature

    velocities, spacings, found = [], [], []
    runs = [open_run(prefix, temperature) for prefix in wanted.prefixes]
    for run in runs:
        trajectory = run.velocities()
        left = spectrum.kept(run, trajectory.steps, wanted.skip)
        spacings.append(run.spacing(trajectory.steps[left]))
        parts = spectrum.stretches(run, trajectory.steps[left])
        trajectory = replace(trajectory, values=trajectory.values[left])
        velocities += [trajectory.values[part] for part in parts]
        if temperature is not None:
            compare_temperature(run, temperature, int(trajectory.steps[left][0]))
        found.append(run.masses(trajectory, dict(masses)))
    used = common_masses(found, wanted.prefixes)
    click.echo(str(used))
    click.echo(f"degrees of freedom: {find_freedom(velocities, used.values)}")
    result = vdos(
        velocities,
        used.values,
        spectrum.common(spacings, "sampling times", wanted.prefixes),
        wanted.settings,
    )
    spectrum.finish(result, wanted, integrator, runs)
