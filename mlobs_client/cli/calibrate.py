"""``mlobs calibrate``: compute alpha of committees from labelled structures."""

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
from mlobs_client.cli import options
from mlobs_client.cli.logs import log_to_console
from mlobs_client.cli.options import command_line
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
"""Names of the labels, if no others are given."""

UNITS: Final = {name: row.to_users for name, row in LABELLED.items() if row.to_users.others}
"""Units that may be given, and the unit of the models; other labels are in eV and angstrom."""

LEGEND: Final = """\
error: root mean square error of the mean; spread: root mean square spread of the members, without
alpha; one, two: percentage of the errors within one and two calibrated spreads, with the expected
percentage in parentheses; rank: Spearman's correlation of errors and spreads. The error of alpha
comes from a bootstrap over the structures, and is at least as large as for normally distributed
errors."""


@click.command(
    epilog="Example:  mlobs calibrate client.toml held_out.extxyz --key energy=REF_energy "
    "--key forces=REF_forces"
)
@options.client_file
@click.argument("data", metavar="DATA.extxyz", type=click.Path(path_type=Path))
@options.output(default="reliability", show_default=True)
@click.option(
    "--key", "keys", multiple=True, metavar="QUANTITY=NAME",
    help=f"Name of the labels in the comment lines or columns; QUANTITY is one of "
    f"{', '.join(KEYS)}. For quantities without this option, labels named "
    f"{', '.join(KEYS.values())} are used if the file has them.",
)  # fmt: skip
@click.option(
    "--unit", "given_units", multiple=True, metavar="QUANTITY=UNIT",
    help="Unit of the labels: dipole=e*angstrom, dipole=debye, dipole=atomic_unit, "
    "polarizability=angstrom^3 or polarizability=atomic_unit. Energies are in eV, forces in "
    "eV/angstrom.  [default: e*angstrom, angstrom^3]",
)  # fmt: skip
def command(
    client: Path, data: Path, output: Path, keys: tuple[str, ...], given_units: tuple[str, ...]
) -> None:
    """Compute alpha, the factor that scales the spread of each committee to match its errors.

    DATA.extxyz holds labelled structures on which no member was trained. Do not use the structures
    on which you assess the errors: calibrate on one part, and assess them on another. The
    structures should be independent of each other, and similar to those of future runs: far from
    the training data, a calibrated spread underestimates the error.

    alpha is written to calibration.json beside the models, for this committee only, and is used
    wherever a spread or a band is shown; an alpha in CLIENT.toml takes precedence. Forces and
    virials of members are derivatives of their energies, so their spreads are scaled by the alpha
    of the energies (or, without labels of energies, by that of the forces).

    alpha comes from a ratio of means, alpha^2 = <e^2>/<s^2> - 1/M, where e is the error of the mean
    of M members, and s their spread. For 6 or more members and 40 or more structures, alpha from
    the mean of the ratios e^2/s^2 is also printed. Energies are compared after the mean error of
    each composition is subtracted. The reliability diagram is written to OUTPUT.png, .pdf, .csv,
    .json, .h5.
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
    from mlobs_client.client.build import files_of_client
    from mlobs_client.plot import write

    for path in write(_result(found, [data, *files_of_client(config, client)]), output):
        click.echo(path)


def _labels(data: Path, keys: Sequence[str], given_units: Sequence[str]) -> dict[str, Label]:
    """Return the labels that are named with --key, and the others that the file has."""
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
            f"{data}: its first structure has none of the labels {', '.join(KEYS.values())}; name "
            "those that it has: --key energy=NAME"
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
                f"{option} {pair}: write QUANTITY=..., where QUANTITY is one of {', '.join(known)}"
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
    """Report alpha from the mean of ratios of committees for which it is known."""
    lines = []
    for quantity, one in found.items():
        if one.calibration.mean_of_ratios is not None:
            alpha, error = one.calibration.mean_of_ratios
            lines.append(f"{quantity}: the mean of ratios gives alpha = {alpha:.2f} ± {error:.2f}")
    return lines


def _write(
    config: ClientConfig, data: Path, found: Mapping[str, CommitteeCalibration]
) -> list[str]:
    """Write the cards of the user's own models; describe which alpha takes effect."""
    from mlobs_client.client.alphas import calibrated_by
    from mlobs_client.evaluate.model_files import is_bundled
    from mlobs_client.learn.calibration import write_cards

    own = {name: one for name, one in found.items() if not is_bundled(one.models[0])}
    lines = [f"{path}: alpha of this committee" for path in write_cards(own, data)]
    for committee, table in config.models.items():
        if (quantity := calibrated_by(committee, found)) not in found:
            continue
        said, name = getattr(table, "alpha", None), QUANTITIES[committee].table
        if quantity not in own:
            lines.append(
                f"[{name}]: bundled models keep their own card; to use the alpha of this "
                f"calibration, write alpha = {found[quantity].calibration.alpha:.3g} there"
            )
        elif said is not None:
            lines.append(
                f"[{name}]: its alpha = {said:g} takes precedence over the card; remove it there"
            )
    return lines


def _result(found: Mapping[str, CommitteeCalibration], files: Iterable[Path]) -> Result:
    """Return the reliability diagrams of all quantities, and each alpha with its error."""
    from mlobs_client.analysis.reliability import reliability
    from mlobs_client.results.provenance import Provenance
    from mlobs_client.results.result import Result

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
    return Result(
        "calibration of committees",
        tuple(line for line, _ in diagrams),
        tuple(bins for _, bins in diagrams),
        numbers,
        provenance=Provenance.of(files, command_line()),
    )
