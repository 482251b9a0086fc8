"""``mlobs reweight``: compute averages in fields that were not simulated."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click
import numpy as np

from mlobs_client.analysis.response.reweighting import LEAST
from mlobs_client.cli import options
from mlobs_client.cli.field_samples import (
    OF_POSITIONS,
    POLARIZATION,
    POTENTIAL,
    FieldSamples,
    align_samples,
    read_field_samples,
)
from mlobs_client.cli.options import FiniteNumber, FiniteRange
from mlobs_client.cli.skip import skip_option
from mlobs_client.errors import RecordError
from mlobs_client.results.skip import Skip

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
@options.prefixes(required=True)
@click.option(
    "--field", "fields", multiple=True, required=True, type=FiniteNumber(),
    help="Field of each run along --direction, V/angstrom; give it once for each PREFIX.",
)  # fmt: skip
@click.option(
    "--to", "targets", multiple=True, required=True, type=FiniteNumber(),
    help="Field in which to compute the average, V/angstrom; may be repeated.",
)  # fmt: skip
@click.option(
    "--direction", nargs=3, type=FiniteNumber(), default=(0.0, 0.0, 1.0), show_default=True,
    metavar="X Y Z", help="Vector along all fields; its length has no effect.",
)  # fmt: skip
@options.temperature
@click.option(
    "--observable", default=POLARIZATION, show_default=True,
    help=f"Observable to average: {POLARIZATION} (along --direction, in uC/cm^2), or one of these "
    f"columns of PREFIX.out, converted to atomic units: {POTENTIAL} (without the energy "
    f"-mu.E in the field), {', '.join(OF_POSITIONS)}.",
)  # fmt: skip
@click.option(
    "--second-order", is_flag=True,
    help="Include -E.alpha.E/2 in the energy, for runs with second_order = true in [field]; alpha "
    "is read from the extras PREFIX.polarizability_*.",
)  # fmt: skip
@click.option(
    "--least", default=LEAST, show_default=True, type=FiniteRange(0.0, min_open=True),
    help="Effective number of samples below which an average is refused.",
)  # fmt: skip
@options.branches
@skip_option
@options.output(required=True)
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
    skip: Skip,
    output: Path,
) -> None:
    """Compute averages of an observable in fields other than those of the runs.

    PREFIX is i-PI's output prefix. The command reads the extras PREFIX.dipole_* of all beads (from
    unwrapped positions), PREFIX.out, and the cell from a trajectory. One run is reweighted; several
    runs are combined by the multistate Bennett acceptance ratio (MBAR). An average of too few
    effective samples is refused.

    The runs must sample the canonical ensemble at one volume, each in a fixed field. Runs at a
    fixed displacement or in a reduced field have a different energy; they are refused if a client
    file beside PREFIX shows that. If the mean dipoles of several runs differ by whole quanta (e
    times lattice vectors) on top of their linear response, these runs are moved to one branch, and
    the command prints which were moved; if they differ by anything else, it stops.

    The command writes OUTPUT.png, .pdf, .csv, .json, .h5.
    """
    from mlobs_client.analysis.response.branches_of_runs import say_moved
    from mlobs_client.analysis.volume import common_volume
    from mlobs_client.results.statistics import mean
    from mlobs_client.studies.replica_exchange import refuse_alignment
    from mlobs_client.studies.run_set import RunSet
    from mlobs_client.units import KELVIN, VOLT_PER_ANGSTROM

    length = float(np.linalg.norm(direction))
    if len(fields) != len(prefixes) or length == 0.0:
        raise click.UsageError(
            f"{len(prefixes)} PREFIX need as many --field, not {len(fields)}, and a --direction "
            "that is not zero"
        )
    unit_vector = np.array(direction) / length
    scale = VOLT_PER_ANGSTROM * unit_vector
    samples = RunSet(prefixes, skip.picoseconds, temperature, skip.fraction).dipoles()
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
    wanted = Average(observable, unit_vector, volume, temperature, least)
    found = _expect_all(_expectation(data, wanted), targets, scale)
    simulated = tuple(
        mean(wanted.of(one.dipoles, one.values), wanted.unit, one.interval) for one in data
    )
    averages = {
        "simulated": (fields, simulated),
        "reweighted": (tuple(found), tuple(found.values())),
    }
    result = _result(observable, samples, averages)
    from mlobs_client.plot import write  # matplotlib is loaded only for runs that can be read

    for path in write(result, output):
        click.echo(path)


def _result(
    observable: str,
    samples: Samples,
    averages: Mapping[str, tuple[tuple[float, ...], tuple[Estimate, ...]]],
) -> Result:
    """Return the result with the averages of each label, and their fields in V/angstrom."""
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
class Average:
    """The average to compute, and the number of effective samples that it needs.

    Attributes:
        observable: name of the observable.
        direction: unit vector along the field, shape ``(3,)``.
        volume: volume of the cell, bohr^3.
        temperature: temperature, K.
        least: number of effective samples below which an average is refused.
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
        """Return the observable of each sample, from its column or from dipoles in the field.

        Args:
            dipoles: dipoles in the field of the average, shape ``(t, 3)``, e bohr.
            values: values of a column, shape ``(t,)``, atomic units; None for the polarization.
        """
        from mlobs_client.units import MICROCOULOMB_PER_CM2

        if values is not None:
            return values
        return np.asarray(dipoles @ self.direction / self.volume / MICROCOULOMB_PER_CM2)


def _expectation(data: list[FieldSamples], wanted: Average) -> Callable[[Array], Reweighted]:
    """Return the function that gives the average in a field, from one run or from several."""
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
    """Return the averages that are not refused, by field in V/angstrom.

    Raises:
        RecordError: all averages are refused.
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
