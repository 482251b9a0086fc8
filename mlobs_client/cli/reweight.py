"""``mlobs reweight``: averages in fields that were not simulated."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
import numpy as np

from mlobs_client.analysis.reweighting import LEAST
from mlobs_client.cli import spectrum
from mlobs_client.cli.options import FiniteRange, ResultName
from mlobs_client.errors import RecordError

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlobs_client.analysis.reweighting import Reweighted
    from mlobs_client.analysis.statistics import Estimate
    from mlobs_client.structure import Array

POLARIZATION = "polarization"
POTENTIAL = "potential"
OF_THE_RUN: Final = ("conserved", "pressure", "stress", "virial", "pot_", "vir_")
"""Begins of the names of what contains the run's own field in a way that cannot be taken out."""


@click.command(
    epilog="Examples:  mlobs reweight simulation --field 0.1 --to 0.05 --to 0.12 --temperature 300 "
    "-o reweighted   |   mlobs reweight a/simulation b/simulation --field 0 --field 0.1 --to 0.05 "
    "--temperature 300 --observable potential -o reweighted"
)
@click.argument("prefixes", metavar="PREFIX...", nargs=-1, required=True,
                type=click.Path(path_type=Path))  # fmt: skip
@click.option(
    "--field", "fields", multiple=True, required=True, type=FiniteRange(),
    help="In which a run was made, V/angstrom along --direction; once for each PREFIX.",
)  # fmt: skip
@click.option(
    "--to", "targets", multiple=True, required=True, type=FiniteRange(),
    help="In which the average is wanted, V/angstrom; may be given several times.",
)  # fmt: skip
@click.option(
    "--direction", nargs=3, type=float, default=(0.0, 0.0, 1.0), show_default=True,
    help="Of all fields, x y z.",
)  # fmt: skip
@click.option("--temperature", required=True, type=float, help="K.")
@click.option(
    "--observable", default=POLARIZATION, show_default=True,
    help="That along --direction in uC/cm^2, or a column of PREFIX.out in atomic units; of the "
    "potential, that without the energy -mu.E.",
)  # fmt: skip
@click.option(
    "--least", default=LEAST, show_default=True, type=FiniteRange(0.0, min_open=True),
    help="Effective samples below which an average is refused.",
)  # fmt: skip
@click.option("--skip", default=0.0, show_default=True, type=FiniteRange(0.0),
              help="ps left out at the start.")  # fmt: skip
@click.option("-o", "--output", required=True, type=ResultName(),
              help="Name of the results, without ending.")  # fmt: skip
def command(
    prefixes: tuple[Path, ...],
    fields: tuple[float, ...],
    targets: tuple[float, ...],
    direction: tuple[float, float, float],
    temperature: float,
    observable: str,
    least: float,
    skip: float,
    output: Path,
) -> None:
    """Average of an observable in other fields than those of the runs.

    PREFIX is i-PI's output prefix. Reads the extras PREFIX.dipole_* of all beads (from unwrapped
    positions, all runs on one branch), PREFIX.out, and the cell in PREFIX.pos_0.xyz. Runs are
    canonical, at one volume. One run is reweighted; several are joined by the multistate Bennett
    acceptance ratio. An average that rests on too few effective samples is refused. Writes
    OUTPUT.png, .pdf, .csv, .json.
    """
    from mlobs_client.plot import plot_against_field, save
    from mlobs_client.units import VOLT_PER_ANGSTROM

    length = float(np.linalg.norm(direction))
    if len(fields) != len(prefixes) or length == 0.0:
        raise click.UsageError(
            f"{len(prefixes)} PREFIX need as many --field, not {len(fields)}, and a --direction"
        )
    unit_vector = np.array(direction) / length
    scale = VOLT_PER_ANGSTROM * unit_vector
    before = np.array([field * scale for field in fields])
    data = [
        _samples(prefix, observable, unit_vector, field, skip)
        for prefix, field in zip(prefixes, before, strict=True)
    ]
    dipoles, values = [one[0] for one in data], [one[1] for one in data]
    unit = "uC/cm^2" if observable == POLARIZATION else "a.u."
    expect = _expectation(values, dipoles, before, temperature, unit, least)
    found = _expect_all(expect, targets, scale)
    from mlobs_client.analysis.statistics import mean

    simulated = tuple(mean(one, unit) for one in values)
    figure = plot_against_field(
        {
            "simulated": (np.array(fields), simulated),
            "reweighted": (np.array(list(found)), tuple(found.values())),
        },
        observable,
    )
    for path in save(figure, output):
        click.echo(path)


def _samples(
    prefix: Path, observable: str, direction: Array, field: Array, skip: float
) -> tuple[Array, Array]:
    """Dipoles and the observable of the same steps, which must not know the field of the run."""
    from mlobs_client.runs import Run
    from mlobs_client.units import MICROCOULOMB_PER_CM2

    run = Run(prefix)
    read = run.dipoles()
    left = spectrum.kept(run, read.steps, skip)
    steps, dipoles = read.steps[left], read.mean[left]
    if observable == POLARIZATION:
        return dipoles, dipoles @ direction / run.volume / MICROCOULOMB_PER_CM2
    if observable.startswith(OF_THE_RUN):
        raise RecordError(
            f"{prefix}: {observable} contains the field of the run, and would be that of no other; "
            f"average {POTENTIAL}, from which it is taken out, or what depends on positions only"
        )
    _, here, there = np.intersect1d(
        steps, run.properties["step"].astype(np.int64), return_indices=True
    )
    if len(here) == 0:
        raise RecordError(f"{prefix}: no step has both a dipole and the properties of .out")
    values = run.properties[observable][there]
    if observable == POTENTIAL:
        values = values + dipoles[here] @ field
    return dipoles[here], values


def _expectation(
    values: list[Array],
    dipoles: list[Array],
    fields: Array,
    temperature: float,
    unit: str,
    least: float,
) -> Callable[[Array], Reweighted]:
    """What gives the average in a field, from one run or from several."""
    from mlobs_client.analysis.field_ensemble import FieldEnsemble
    from mlobs_client.analysis.reweighting import reweight
    from mlobs_client.units import KELVIN

    thermal = temperature * KELVIN
    if len(values) > 1:
        ensemble = FieldEnsemble.of(values, dipoles, fields, thermal, unit)
        return lambda field: ensemble.expect(field, least)
    return lambda field: reweight(
        values[0], dipoles[0], field - fields[0], thermal, unit=unit, least=least
    )


def _expect_all(
    expect: Callable[[Array], Reweighted], targets: tuple[float, ...], scale: Array
) -> dict[float, Estimate]:
    """The averages that are not refused.

    Raises:
        RecordError: all are.
    """
    found: dict[float, Estimate] = {}
    refused: RecordError | None = None
    for target in targets:
        try:
            result = expect(target * scale)
        except RecordError as error:
            refused = error
            click.echo(f"{target:8g} V/angstrom  refused: {error}")
        else:
            found[target] = result.estimate
            click.echo(
                f"{target:8g} V/angstrom  {result.estimate}   "
                f"{result.estimate.n_independent:.0f} effective samples"
            )
    if refused is not None and not found:
        raise refused
    return found
