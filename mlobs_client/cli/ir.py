"""``mlobs ir``: infrared absorption."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from mlobs_client.analysis.vibrations.infrared import CORRECTIONS
from mlobs_client.cli import named_files, spectrum
from mlobs_client.cli.options import FiniteRange
from mlobs_client.errors import RecordError
from mlobs_client.units import DIPOLE_UNITS

if TYPE_CHECKING:
    from mlobs_client.studies.runs import Run

logger = logging.getLogger(__name__)

SAME_VOLUME: Final = 0.01
"""Relative: what is not worth a warning."""


@click.command(
    epilog="Examples:  mlobs ir simulation --temperature 300 -o ir   |   "
    "mlobs ir simulation --observed dipoles.h5 --temperature 300 -o ir   |   "
    "mlobs ir simulation --key mu --unit debye --timestep 0.5 --temperature 300 -o ir"
)
@partial(spectrum.options, needs_prefix=False)
@spectrum.timestep_options
@named_files.options(
    "dipole",
    "dipole",
    DIPOLE_UNITS,
    "extras of i-PI (a name without bead number means all beads) or its properties, extxyz, or a "
    "table of x y z",
)
@click.option("--temperature", required=True, type=float, help="K.")
@click.option(
    "--correction", type=click.Choice(list(CORRECTIONS)), default="harmonic", show_default=True,
    help="Classical (or Kubo) to quantum correlation function; for beads harmonic alone is right.",
)  # fmt: skip
@click.option(
    "--molecule/--periodic", "molecule", default=None,
    help="km/mol of a molecule, or n(w)alpha(w) of a periodic cell. Default: a molecule where "
    "there are 4 angstrom of vacuum around it.",
)  # fmt: skip
@click.option(
    "--volume", type=FiniteRange(0.0, min_open=True),
    help="angstrom^3, of the periodic cell, where no trajectory of the run tells it.",
)  # fmt: skip
@click.option(
    "--observed", multiple=True, type=click.Path(path_type=Path),
    help="Take dipoles from this output of mlobs observe, one for each PREFIX.",
)  # fmt: skip
def command(
    wanted: spectrum.Wanted,
    integrator: spectrum.Integrator,
    files: named_files.NamedFiles,
    temperature: float,
    correction: str,
    molecule: bool | None,
    volume: float | None,
    observed: tuple[Path, ...],
) -> None:
    """Infrared absorption of independent runs of one system, with error bars.

    Of a periodic cell this is n(w)alpha(w); of a molecule in vacuum it is the molar absorption,
    with a list of the bands and their integrals in km/mol.

    PREFIX is i-PI's output prefix. Reads the extras dipole (or --key) of all beads, whose mean is
    the estimator of path integrals, and, if they are there, PREFIX.committee_dipole_* for the
    band between the members; step and time in PREFIX.out; the cell of a trajectory. Writes
    OUTPUT.png, .pdf, .csv, .json.
    """
    from mlobs_client.analysis.vibrations.bands import find_bands
    from mlobs_client.analysis.vibrations.infrared import check_correction, infrared
    from mlobs_client.units import KELVIN

    wanted, runs = files.open_runs(wanted, integrator, temperature)
    if observed and len(observed) != len(runs):
        raise click.UsageError(
            f"give --observed once for each of the {len(runs)} PREFIX, not {len(observed)} times"
        )
    if observed and files.sources:
        raise click.UsageError(
            "--observed is a file of dipoles; leave out --dipoles, --key, --unit"
        )
    sources = observed or (None,) * len(runs)
    if molecule and volume is not None:
        raise click.UsageError("--volume is that of a periodic cell; leave out --molecule")
    if molecule is None:
        molecule = volume is None and _are_molecules(runs)
    dipoles, members, spacings, firsts, n_beads = [], [], [], [], []
    for run, source in zip(runs, sources, strict=True):
        samples = run.dipoles() if source is None else run.observed_dipoles(source)
        check_correction(correction, samples.n_beads)
        n_beads.append(samples.n_beads)
        chosen = spectrum.Selection.of(run, samples.steps, wanted.skip, temperature)
        dipoles += [samples.mean[chosen.kept][part] for part in chosen.parts]
        if samples.members is not None:
            members += [samples.members[:, chosen.kept][:, part] for part in chosen.parts]
        spacings.append(chosen.spacing)
        firsts.append(chosen.first)
    result = infrared(
        dipoles,
        spectrum.common(spacings, "sampling times", wanted.prefixes),
        None if molecule else _volume(runs, firsts, volume),
        temperature * KELVIN,
        settings=wanted.settings,
        correction=correction,
        members=members if len(members) == len(dipoles) else None,
    )
    estimator = f"mean over {max(n_beads)} beads" if max(n_beads) > 1 else "classical"
    result = replace(result, details={**result.details, "dipole": estimator})
    shown = spectrum.finish(result, wanted, integrator, runs)
    if molecule:
        for band in find_bands(shown.between(wanted.low, wanted.high)):
            click.echo(f"band {band}")


def _volume(runs: Sequence[Run], firsts: Sequence[int], given: float | None) -> float:
    """The given one, angstrom^3, or the mean of trajectories since these steps; bohr^3.

    Raises:
        RecordError: none is given, and runs have no cells, or different ones.
    """
    from mlobs_client.analysis.volume import common_volume
    from mlobs_client.units import ANGSTROM

    try:
        cells = [run.cells(first) for run, first in zip(runs, firsts, strict=True)]
        found = common_volume(cells, [str(run.prefix) for run in runs])
    except RecordError:
        if given is None:
            raise
        return given * ANGSTROM**3
    if given is None:
        return found
    if abs(found / (given * ANGSTROM**3) - 1.0) > SAME_VOLUME:
        logger.warning(
            "--volume %g angstrom^3 is used, but the trajectories have %g",
            given,
            found / ANGSTROM**3,
        )
    return given * ANGSTROM**3


def _are_molecules(runs: Sequence[Run]) -> bool:
    """Whether what is seen is a molecule in vacuum, and say so.

    Raises:
        RecordError: some runs are of molecules, and others of cells.
    """
    seen = [bool(run.is_molecule) for run in runs]
    if len(set(seen)) > 1:
        listed = ", ".join(str(run.prefix) for run, one in zip(runs, seen, strict=True) if one)
        raise RecordError(
            f"{listed}: a molecule in vacuum, but other runs are of periodic cells; analyse them "
            "separately, or say --molecule or --periodic"
        )
    if seen[0]:
        click.echo("a molecule in vacuum: intensities in km/mol (--periodic for n alpha in cm^-1)")
    return seen[0]
