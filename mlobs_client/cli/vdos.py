"""``mlobs vdos``: vibrational density of states."""

from __future__ import annotations

from dataclasses import replace
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
    are computed between exchanges. Writes OUTPUT.png, .pdf, .csv, .json.
    """
    from mlobs_client.analysis.vibrations.kinetics import find_freedom
    from mlobs_client.analysis.vibrations.vdos import vdos
    from mlobs_client.studies.masses import common_masses

    velocities, spacings, found = [], [], []
    quantities = set()  # of the centroid, or of classical atoms
    wanted, runs = files.open_runs(wanted, integrator, temperature)
    for run in runs:
        trajectory = run.velocities()
        quantities.add(trajectory.quantity)
        chosen = spectrum.Selection.of(run, trajectory.steps, wanted.skip, temperature)
        spacings.append(chosen.spacing)
        trajectory = replace(trajectory, values=trajectory.values[chosen.kept])
        velocities += [trajectory.values[part] for part in chosen.parts]
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
    result = replace(
        result, details={**result.details, "velocities": ", ".join(sorted(quantities))}
    )
    spectrum.finish(result, wanted, integrator, runs)
