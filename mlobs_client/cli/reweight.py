"""``mlobs reweight``: averages in fields that were not simulated."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click
import numpy as np

from mlobs_client.analysis.response.reweighting import LEAST
from mlobs_client.cli.field_samples import (
    OF_POSITIONS,
    POLARIZATION,
    POTENTIAL,
    FieldSamples,
    align_samples,
    read_field_samples,
)
from mlobs_client.cli.options import FiniteRange, ResultName
from mlobs_client.errors import RecordError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mlobs_client.analysis.response.reweighting import Reweighted
    from mlobs_client.results.estimate import Estimate
    from mlobs_client.results.result import Result
    from mlobs_client.structure import Array
    from mlobs_client.studies.run_samples import Samples


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
    help=f"{POLARIZATION}: along --direction, uC/cm^2. Or a column of PREFIX.out, in atomic "
    f"units: {POTENTIAL} (without the energy of the field) or what depends on positions only: "
    f"{', '.join(OF_POSITIONS)}.",
)  # fmt: skip
@click.option(
    "--second-order", is_flag=True,
    help="The runs had second_order = true in [field]: the energy of the field contains "
    "-E.alpha.E/2, with the extras PREFIX.polarizability_*.",
)  # fmt: skip
@click.option(
    "--least", default=LEAST, show_default=True, type=FiniteRange(0.0, min_open=True),
    help="Effective samples below which an average is refused.",
)  # fmt: skip
@click.option(
    "--branches", default="align", show_default=True, type=click.Choice(["align", "keep"]),
    help="'keep': all PREFIX are on one branch of the dipole already.",
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
    second_order: bool,
    least: float,
    branches: Literal["align", "keep"],
    skip: float,
    output: Path,
) -> None:
    """Average of an observable in other fields than those of the runs.

    PREFIX is i-PI's output prefix. Reads the extras PREFIX.dipole_* of all beads (from unwrapped
    positions), PREFIX.out, and the cell of a trajectory. Where means of several PREFIX differ
    by whole quanta, e times lattice vectors, beside their linear response, runs are moved to one
    branch, and it says so; where by something between, it stops. Runs are
    canonical, at one volume, in a fixed field. A fixed displacement and reduced fields have other
    energies and are not treated: such runs are refused where client files beside PREFIX name them.
    One run is reweighted; several are joined by the multistate Bennett acceptance ratio. An
    average that rests on too few effective samples is refused. Writes OUTPUT.png, .pdf, .csv,
    .json, .h5.
    """
    from mlobs_client.analysis.response.branches_of_runs import say_moved
    from mlobs_client.analysis.volume import common_volume
    from mlobs_client.plot import write
    from mlobs_client.results.statistics import mean
    from mlobs_client.studies.replica_exchange import refuse_alignment
    from mlobs_client.studies.run_set import RunSet
    from mlobs_client.units import KELVIN, VOLT_PER_ANGSTROM

    length = float(np.linalg.norm(direction))
    if len(fields) != len(prefixes) or length == 0.0:
        raise click.UsageError(
            f"{len(prefixes)} PREFIX need as many --field, not {len(fields)}, and a --direction"
        )
    unit_vector = np.array(direction) / length
    scale = VOLT_PER_ANGSTROM * unit_vector
    samples = RunSet(prefixes, skip, temperature).dipoles()
    of_runs = zip(samples.runs, samples.steps, samples.values, fields, strict=True)
    data = [
        read_field_samples(
            run, steps, dipoles, observable, field * scale, second_order=second_order
        )
        for run, steps, dipoles, field in of_runs
    ]
    if branches == "align":
        refuse_alignment(samples.runs)
        data, away = align_samples(data, list(map(str, prefixes)), temperature * KELVIN)
        for line in say_moved(list(map(str, prefixes)), away):
            click.echo(line)
    volume = common_volume([one.cell[None] for one in data], list(map(str, prefixes)))
    wanted = Wanted(observable, unit_vector, volume, temperature, least)
    found = _expect_all(_expectation(data, wanted), targets, scale)
    simulated = tuple(
        mean(wanted.of(one.dipoles, one.values), wanted.unit, one.interval) for one in data
    )
    averages = {
        "simulated": (fields, simulated),
        "reweighted": (tuple(found), tuple(found.values())),
    }
    result = _result(observable, samples, averages)
    for path in write(result, output):
        click.echo(path)


def _result(
    observable: str,
    samples: Samples,
    averages: Mapping[str, tuple[tuple[float, ...], tuple[Estimate, ...]]],
) -> Result:
    """Averages by labels, each with its fields, V/angstrom."""
    from mlobs_client.cli import spectrum
    from mlobs_client.results.curve import ESTIMATOR
    from mlobs_client.results.result import Points, Result

    points = tuple(
        Points(
            observable,
            "electric field",
            "V/angstrom",
            np.array(fields),
            values,
            label,
            {ESTIMATOR: samples.estimator},
        )
        for label, (fields, values) in averages.items()
    )
    title = f"{observable} in other fields"
    return Result(title, points=points, provenance=spectrum.provenance(samples.runs))


@dataclass(frozen=True)
class Wanted:
    """What to average, and when to refuse.

    Attributes:
        observable: its name.
        direction: unit vector.
        volume: bohr^3.
        temperature: K.
        least: effective samples.
    """

    observable: str
    direction: Array
    volume: float
    temperature: float
    least: float

    @property
    def unit(self) -> str:
        return "uC/cm^2" if self.observable == POLARIZATION else "a.u."

    def of(self, dipoles: Array, values: Array | None) -> Array:
        """The observable of each sample: of the column, or of dipoles in the field in question."""
        from mlobs_client.units import MICROCOULOMB_PER_CM2

        if values is not None:
            return values
        return np.asarray(dipoles @ self.direction / self.volume / MICROCOULOMB_PER_CM2)


def _expectation(data: list[FieldSamples], wanted: Wanted) -> Callable[[Array], Reweighted]:
    """What gives the average in a field, from one run or from several."""
    from mlobs_client.analysis.response.field_ensemble import FieldEnsemble
    from mlobs_client.analysis.response.reweighting import reweight
    from mlobs_client.units import KELVIN

    thermal, unit = wanted.temperature * KELVIN, wanted.unit
    if len(data) == 1:
        (run,) = data

        def from_one(field: Array) -> Reweighted:
            change, tensors = field - run.field, run.polarizabilities
            dipoles = run.dipoles if tensors is None else run.dipoles + tensors @ change
            return reweight(
                wanted.of(dipoles, run.values), run.dipoles, change, thermal,
                unit=unit, least=wanted.least, polarizabilities=tensors, interval=run.interval,
            )  # fmt: skip

        return from_one
    tensors = [run.polarizabilities for run in data if run.polarizabilities is not None]
    ensemble = FieldEnsemble.of(
        [wanted.of(run.dipoles, run.values) for run in data],
        [run.dipoles for run in data],
        np.array([run.field for run in data]),
        thermal,
        unit,
        tensors or None,
        [run.interval for run in data],
    )

    def from_several(field: Array) -> Reweighted:
        if wanted.observable != POLARIZATION:
            return ensemble.expect(field, wanted.least)
        here = wanted.of(ensemble.samples.dipoles_in(field), None)
        return ensemble.expect(field, wanted.least, here)

    return from_several


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
