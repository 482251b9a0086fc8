"""``mlobs ir``: compute the infrared absorption."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from mlobs_client.analysis.vibrations.infrared import CORRECTIONS
from mlobs_client.cli import named_files, options, spectrum
from mlobs_client.cli.options import FiniteRange
from mlobs_client.errors import RecordError
from mlobs_client.units import DIPOLE_UNITS

if TYPE_CHECKING:
    from mlobs_client.studies.run_samples import Samples
    from mlobs_client.studies.runs import Run

logger = logging.getLogger(__name__)

SAME_VOLUME: Final = 0.01
"""Relative difference of two volumes below which there is no warning."""


@click.command(
    epilog="Examples:  mlobs ir simulation --temperature 300 -o ir   |   "
    "mlobs ir simulation --observed dipoles.h5 --temperature 300 -o ir   |   "
    "mlobs ir simulation --observed record.h5 --currents --temperature 300 -o ir   |   "
    "mlobs ir simulation --key mu --unit debye --timestep 0.5 --temperature 300 -o ir"
)
@partial(spectrum.options, needs_prefix=False)
@spectrum.timestep_options
@named_files.options(
    "dipole",
    "dipole",
    DIPOLE_UNITS,
    "extras or properties of i-PI (a name without a bead number stands for all beads), extxyz, or "
    "a table of x y z",
)
@options.temperature
@click.option(
    "--correction", type=click.Choice(list(CORRECTIONS)), default="harmonic", show_default=True,
    help="Quantum correction of the classical (or Kubo-transformed) correlation function; only "
    "'harmonic' is right for path integrals.",
)  # fmt: skip
@click.option(
    "--molecule/--periodic", "molecule", default=None,
    help="Give the absorption of a molecule in km/mol, or n(w)alpha(w) of a periodic cell.  "
    "[default: --molecule if 4 angstrom of vacuum surround the atoms]",
)  # fmt: skip
@click.option(
    "--volume", type=FiniteRange(0.0, min_open=True),
    help="Volume of the periodic cell, angstrom^3, for runs without a trajectory that gives it.",
)  # fmt: skip
@click.option(
    "--observed", multiple=True, type=click.Path(path_type=Path),
    help="Read dipoles or Born charges from this output of 'mlobs observe', or from the record of "
    "the run's client (or the folder with the records of its clients); give one for each PREFIX.",
)  # fmt: skip
@click.option(
    "--currents", is_flag=True,
    help="Use Born charges times velocities in place of dipoles; the charges come from --observed "
    "or from i-PI's BEC extras.",
)  # fmt: skip
def command(
    wanted: spectrum.SpectrumOptions,
    integrator: spectrum.Integrator,
    files: named_files.NamedFiles,
    temperature: float,
    correction: str,
    molecule: bool | None,
    volume: float | None,
    observed: tuple[Path, ...],
    currents: bool,
) -> None:
    """Compute the infrared absorption of one system, with error bars.

    For a periodic cell the result is n(w)alpha(w); for a molecule in vacuum it is the molar
    absorption, with a list of the bands and their integrals in km/mol.

    PREFIX is i-PI's output prefix; give several for independent runs. The dipoles are read from the
    extras dipole (or --key) and averaged over the beads; the steps and times are read from
    PREFIX.out, and the cell from a trajectory. If there are extras PREFIX.committee_dipole_*, the
    figure shows the spread of the members.

    The command writes OUTPUT.png, .pdf, .csv, .json, .h5.
    """
    from mlobs_client.analysis.vibrations.bands import find_bands
    from mlobs_client.analysis.vibrations.infrared import (
        check_correction,
        infrared,
        infrared_from_currents,
    )
    from mlobs_client.units import KELVIN

    if (observed or currents) and files.sources:
        raise click.UsageError(
            "--observed and --currents take no file of dipoles; leave out --dipoles, --key and "
            "--unit"
        )
    n_runs = len(wanted.prefixes)
    if observed and n_runs and len(observed) != n_runs:
        raise click.UsageError(
            f"give --observed once for each of the {n_runs} PREFIX, not {len(observed)} times"
        )
    if molecule and volume is not None:
        raise click.UsageError("--volume is for a periodic cell; leave out --molecule")
    wanted, runs = files.run_set(wanted, integrator, temperature, observed)
    if molecule is None:
        molecule = volume is None and _are_molecules(runs.runs)
    samples = runs.currents() if currents else runs.dipoles()
    check_correction(correction, samples.n_beads)
    spectrum.say(samples.notes)
    analyse = infrared_from_currents if currents else infrared
    result = analyse(
        samples.stretches,
        samples.spacing,
        None if molecule else _volume(samples, volume),
        temperature * KELVIN,
        settings=spectrum.with_stride(wanted.settings, samples),
        correction=correction,
        members=samples.member_stretches,
    )
    shown = spectrum.write_spectrum(samples.with_estimator(result), wanted, integrator, runs)
    if molecule:
        for band in find_bands(shown.between(wanted.low, wanted.high)):
            click.echo(f"band {band}")


def _volume(samples: Samples, given: float | None) -> float:
    """Return the given volume (angstrom^3), or the mean over the sampled trajectories, in bohr^3.

    Raises:
        RecordError: no volume is given, and the runs have no cells or different ones.
    """
    from mlobs_client.units import ANGSTROM

    try:
        found = samples.volume
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
    """Return whether the runs are of a molecule in vacuum; if so, print that.

    Raises:
        RecordError: some runs are of molecules, and others of periodic cells.
    """
    seen = [bool(run.is_molecule) for run in runs]
    if len(set(seen)) > 1:
        listed = ", ".join(str(run.prefix) for run, one in zip(runs, seen, strict=True) if one)
        raise RecordError(
            f"{listed}: a molecule in vacuum, but other runs are of periodic cells; analyse them "
            "separately, or give --molecule or --periodic"
        )
    if seen[0]:
        click.echo("a molecule in vacuum: intensities in km/mol (--periodic for n alpha in cm^-1)")
    return seen[0]
