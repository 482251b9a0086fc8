"""``mlobs vdos``: vibrational density of states."""

from __future__ import annotations

import click

from mlobs_client.cli import spectrum


@click.command(epilog="Example:  mlobs vdos run-1/simulation run-2/simulation --skip 1 -o vdos")
@spectrum.options
@spectrum.timestep_options
def command(wanted: spectrum.Wanted, integrator: spectrum.Integrator) -> None:
    """Vibrational density of states of independent runs of one system, with error bars.

    PREFIX is i-PI's output prefix. Reads PREFIX.vel.xyz (velocities; of the centroid for path
    integrals) and the columns step and time of PREFIX.out. Writes OUTPUT.png, .pdf, .csv, .json.
    """
    from mlobs_client.analysis.vdos import vdos
    from mlobs_client.runs import Run, masses

    velocities, spacings, numbers = [], [], None
    runs = [Run(prefix) for prefix in wanted.prefixes]
    for run in runs:
        trajectory = run.velocities()
        velocities.append(trajectory.values[spectrum.kept(run, trajectory.steps, wanted.skip)])
        spacings.append(run.spacing(trajectory.steps))
        numbers = trajectory.numbers
    assert numbers is not None  # click wants one prefix at least
    result = vdos(
        velocities,
        masses(numbers),
        spectrum.common(spacings, "sampling times", wanted.prefixes),
        wanted.settings,
    )
    spectrum.finish(result, wanted, integrator, runs)
