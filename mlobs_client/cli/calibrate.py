"""``mlobs calibrate``: alpha of committees from labelled structures."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from mlobs_client import units
from mlobs_client.cli.logs import log_to_console
from mlobs_client.cli.options import ResultName, command_line
from mlobs_client.client import config as client_file
from mlobs_client.errors import ConfigError
from mlobs_client.quantities import OF_DATA_SETS, QUANTITIES

if TYPE_CHECKING:
    from mlobs_client.client.config import ClientConfig
    from mlobs_client.learn.calibration import CommitteeCalibration
    from mlobs_client.learn.labels import Label
    from mlobs_client.results.result import Result

LABELLED: Final = {row.name: row for row in (*QUANTITIES.values(), *OF_DATA_SETS) if row.label}
KEYS: Final = {name: row.label for name, row in LABELLED.items()}
"""Where labels are if nothing else is said."""

UNITS: Final = {name: row.to_users for name, row in LABELLED.items() if row.to_users.others}
"""Units that may be said, and the one of the models; the others are in eV and angstrom."""

LEGEND: Final = """\
error and spread: root mean squares, of the mean and of the members without alpha; one and two:
percent of the errors within so many calibrated spreads (expected); rank: correlation of Spearman of
errors and spreads; the error of alpha is by bootstrap over the structures, at least that of normal
errors"""


@click.command(
    epilog="Example:  mlobs calibrate client.toml held_out.extxyz --key energy=REF_energy "
    "--key forces=REF_forces"
)
@click.argument("client", metavar="CLIENT.toml", type=click.Path(path_type=Path))
@click.argument("data", metavar="DATA.extxyz", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", default="reliability", show_default=True, type=ResultName(),
    help="The reliability diagram: OUTPUT.png, .pdf, .csv, .json, .h5.",
)  # fmt: skip
@click.option(
    "--key", "keys", multiple=True, metavar="QUANTITY=NAME",
    help=f"Where labels are, in the comment lines or columns. QUANTITY: {', '.join(KEYS)}. "
    "Without, those are used that the first structure has.",
)  # fmt: skip
@click.option(
    "--unit", "given_units", multiple=True, metavar="QUANTITY=UNIT",
    help="dipole=e*angstrom (also debye, atomic_unit); polarizability=angstrom^3 (also "
    "atomic_unit). Energies are in eV, forces in eV/angstrom.",
)  # fmt: skip
def command(
    client: Path, data: Path, output: Path, keys: tuple[str, ...], given_units: tuple[str, ...]
) -> None:
    """Find by how much the spreads of the committees of CLIENT.toml have to be scaled.

    DATA.extxyz has labelled structures that no member was trained on, and that are not those of
    the errors in a report: calibrate on one part, judge by another. They should be independent of
    each other, and like those of the runs to come: far from the training data a calibrated spread
    is blind.

    alpha is written to calibration.json beside the models, for this committee alone, and used from
    then on where a spread or a band is shown; alpha in CLIENT.toml wins. Forces and virials of
    members are shown with the alpha of the energies, not with their own, for they are derivatives
    of these energies (without labels of energies, all have that of the forces).

    It is from the ratio of means, <e^2>/<s^2> - 1/M, for M members; from 6 members the mean of
    ratios stands beside it. Energies are compared without the mean error of each composition.
    """
    console = log_to_console(logging.WARNING)
    config = client_file.load_config(client)
    os.environ["OMP_NUM_THREADS"] = str(config.threads)
    # torch is loaded from here on
    from mlobs_client.learn.calibration import calibrate_client

    labels = _labels(data, keys, given_units)
    with console.status("evaluating"):
        found = calibrate_client(config, client.parent, data, labels)
    _check_output(output, found)
    Console(highlight=False).print(_table(found))
    click.echo(LEGEND)
    for line in (*_by_mean_of_ratios(found), *_write(config, data, found)):
        click.echo(line)
    from mlobs_client.plot import write

    files = (client, data, client.parent / config.structure)
    for path in write(_result(found, files), output):
        click.echo(path)


def _labels(data: Path, keys: Sequence[str], given_units: Sequence[str]) -> dict[str, Label]:
    """Those that were named, and of the others those that the file has."""
    from mlobs_client.learn.labels import Label, find_labels

    named = _pairs(keys, "--key", KEYS)
    factors = dict.fromkeys(KEYS, 1.0)
    for quantity, unit in _pairs(given_units, "--unit", UNITS).items():
        known = UNITS[quantity]
        factors[quantity] = units.factor(unit, known.others, f"--unit {quantity}") / known.factor
    labels = {name: Label(key, factors[name]) for name, key in {**KEYS, **named}.items()}
    there = find_labels(data, labels)
    if not there and not named:
        raise ConfigError(
            f"{data}: its first structure has none of the labels {', '.join(KEYS.values())}; say "
            "where they are: --key energy=NAME"
        )
    # both are of the same quantity
    labels.pop("virials" if "stress" in named or "virials" not in there else "stress")
    return {name: label for name, label in labels.items() if name in named or name in there}


def _pairs(given: Sequence[str], option: str, known: Mapping[str, object]) -> dict[str, str]:
    found = {}
    for pair in given:
        quantity, _, value = pair.partition("=")
        if quantity not in known or not value:
            raise click.UsageError(
                f"{option} {pair}: write QUANTITY=..., QUANTITY one of {', '.join(known)}"
            )
        found[quantity] = value
    return found


def _check_output(output: Path, found: Mapping[str, CommitteeCalibration]) -> None:
    from mlobs_client.evaluate.card import card_file

    for one in found.values():
        if output.with_name(f"{output.name}.json").resolve() == card_file(one.models).resolve():
            raise click.UsageError(
                f"-o {output}: {output.name}.json is the card of the models; give another name"
            )


def _table(found: Mapping[str, CommitteeCalibration]) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    heads = ("", "frames", "alpha", "error", "spread", "one", "two", "rank")
    for head in heads:
        table.add_column(head, justify="right" if head else "left", no_wrap=True)
    for quantity, one in found.items():
        c = one.calibration
        covered = [f"{100 * part.observed:.0f} ({100 * part.expected:.0f})" for part in c.coverage]
        correlation = "" if c.rank_correlation is None else f"{c.rank_correlation:.2f}"
        table.add_row(
            f"{quantity}\n{one.errors.unit}", str(c.n_frames), f"{c.alpha:.2f} ± {c.error:.2f}",
            f"{c.rms_error:.3g}", f"{c.rms_spread:.3g}", *covered, correlation,
        )  # fmt: skip
    return table


def _by_mean_of_ratios(found: Mapping[str, CommitteeCalibration]) -> list[str]:
    """The other formula, of committees for which it has a variance."""
    lines = []
    for quantity, one in found.items():
        if one.calibration.mean_of_ratios is not None:
            alpha, error = one.calibration.mean_of_ratios
            lines.append(f"{quantity}: the mean of ratios gives alpha = {alpha:.2f} ± {error:.2f}")
    return lines


def _write(
    config: ClientConfig, data: Path, found: Mapping[str, CommitteeCalibration]
) -> list[str]:
    """Write the cards of models that are the user's own; say what takes effect."""
    from mlobs_client.evaluate.model_files import is_bundled
    from mlobs_client.learn.calibration import write_cards

    own = {name: one for name, one in found.items() if not is_bundled(one.models[0])}
    lines = [f"{path}: alpha of this committee" for path in write_cards(own, data)]
    for quantity, table in config.models.items():
        if quantity not in found:
            continue
        said, name = getattr(table, "alpha", None), QUANTITIES[quantity].table
        if quantity not in own:
            lines.append(
                f"[{name}]: bundled models keep their own card; to use what was found here, write "
                f"alpha = {found[quantity].calibration.alpha:.3g} there"
            )
        elif said is not None:
            lines.append(f"[{name}]: its alpha = {said:g} wins over the card; remove it there")
    return lines


def _result(found: Mapping[str, CommitteeCalibration], files: Iterable[Path]) -> Result:
    """The reliability diagrams of all quantities, and alpha with its error."""
    from mlobs_client.analysis.reliability import reliability
    from mlobs_client.results.result import Provenance, Result

    diagrams = [
        reliability(one.errors, one.calibration.alpha).parts(
            quantity, one.errors.unit, one.calibration
        )
        for quantity, one in found.items()
    ]
    numbers = {
        name: number
        for quantity, one in found.items()
        for name, number in one.calibration.numbers(quantity).items()
    }
    models = {path for one in found.values() for path in one.models}
    return Result(
        "calibration of committees",
        tuple(line for line, _ in diagrams),
        tuple(bins for _, bins in diagrams),
        numbers,
        provenance=Provenance.of({*files, *models}, command_line()),
    )
