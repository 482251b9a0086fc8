"""``mlobs field-scan``: simulate a liquid in static fields, and analyse all runs together."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich import box
from rich.console import Console
from rich.table import Table

from mlobs_client.analysis.liquids.arrest import FRACTION
from mlobs_client.campaign.campaign import load
from mlobs_client.cli import options
from mlobs_client.cli.campaign import campaign_file, complete
from mlobs_client.cli.logs import log_to_console
from mlobs_client.cli.options import FiniteRange, command_line
from mlobs_client.cli.skip import skip_option
from mlobs_client.results.provenance import Provenance
from mlobs_client.results.skip import Skip

if TYPE_CHECKING:
    from mlobs_client.results.estimate import Estimate
    from mlobs_client.studies.field_scan import Scan

SHOWN = {
    "polarization": "P\nµC/cm²",
    "O-H length": "O-H\nÅ",
    "P1": "<cos>",
    "P2": "P2",
    "O-O peak": "O-O peak\nÅ",
    "O-O peak height": "height",
    "D from displacements": "D (MSD)\nÅ²/ps",
    "MSD exponent alpha": "MSD\nalpha",
    "D from velocities": "D (VACF)\nÅ²/ps",
    "D over D at zero field": "D/D(0)",
}


@click.command(
    epilog="Examples:  mlobs init field-scan my-scan   |   "
    "mlobs field-scan campaign.toml --skip 20% -o scan   |   "
    "mlobs field-scan campaign.toml --no-run --skip 5 -o so-far"
)
@campaign_file
@options.output(required=True)
@click.option(
    "--run/--no-run",
    "is_run",
    default=True,
    show_default=True,
    help="First run what is missing, or only analyse the runs that are there.",
)
@skip_option
@click.option(
    "--blocks",
    default=4,
    show_default=True,
    type=click.IntRange(2),
    help="Number of blocks in each field, for the errors of D and of the distributions.",
)
@click.option(
    "--window",
    nargs=2,
    type=FiniteRange(0.0),
    default=None,
    metavar="PS PS",
    help="Lags between which D is fitted, ps.  [default: a quarter and a half of a block]",
)
@click.option(
    "--viscosity",
    type=FiniteRange(0.0, min_open=True),
    default=None,
    help="Viscosity at zero field, mPa s, to correct D at zero field for the size of a cubic cell.",
)
@click.option(
    "--fraction",
    default=FRACTION,
    show_default=True,
    type=FiniteRange(0.0, 1.0, min_open=True, max_open=True),
    help="Diffusion counts as arrested below this fraction of D at zero field.",
)
def command(
    file: Path,
    output: Path,
    is_run: bool,
    skip: Skip,
    blocks: int,
    window: tuple[float, float] | None,
    viscosity: float | None,
    fraction: float,
) -> None:
    """Simulate water in static fields, and analyse its polarization, structure and diffusion.

    CAMPAIGN.toml is a campaign file (see 'mlobs campaign') with $field and $beads in its template.
    After any interruption, the same command completes what is missing and repeats nothing.

    The field is read from [field] of each run's client.toml, the number of beads and the
    temperature from its input.xml, and the samples from i-PI's outputs out, pos, vel and dipole, as
    in 'mlobs init field-scan'. Runs that differ only in their seeds are averaged. All fields must
    be parallel or antiparallel. The temperature, the atoms and, without a barostat, the cell must
    be the same for all runs with the same number of beads. A field whose runs are too short is left
    out, with a warning.

    The command writes OUTPUT (polarization with the linear response from fluctuations at zero
    field, O-H length, orientation, and diffusion as functions of the field) and
    OUTPUT-distributions (O-H lengths, O-O distances, orientations), each as .png, .pdf, .csv,
    .json, .h5. D is the diffusion coefficient relative to the centre of mass. Errors are
    estimated from the fluctuations within runs of at least 20 independent samples, or from the
    scatter of three or more shorter runs; other means are given without an error, and so is D where
    the mean squared displacement does not grow linearly with time.
    """
    campaign = load(file)
    # matplotlib and scipy are loaded from here on
    from mlobs_client.plot import write
    from mlobs_client.studies.field_scan import ScanSettings, analyse
    from mlobs_client.studies.field_scan_figure import DRAWN, against_field, distributions
    from mlobs_client.studies.samples import read_samples
    from mlobs_client.studies.scan_check import check_scan

    if is_run:
        check_scan(campaign)
        complete(campaign, f"mlobs field-scan {file} -o {output}, with the same options")
    log_to_console(logging.WARNING)
    settings = ScanSettings(blocks, window, viscosity, fraction)
    samples = read_samples(campaign, skip)
    curves = analyse(samples, settings)
    _show(curves)
    origin = Provenance.of({file}.union(*(one.inputs for one in samples)), command_line())
    for path in (
        *write(against_field(curves, origin), output, quantities=DRAWN),
        *write(distributions(curves, origin), output.with_name(f"{output.name}-distributions")),
    ):
        click.echo(path)


def _show(curves: Sequence[Scan]) -> None:
    table = Table("beads", "field\nV/Å", "time\nps", *SHOWN.values(), box=box.SIMPLE)
    for curve in curves:
        for point, row in zip(curve.points, curve.rows, strict=True):
            cells = [_text(row[name]) for name in SHOWN]
            table.add_row(str(curve.n_beads), f"{point.field:g}", f"{point.duration:.3g}", *cells)
    console = Console(highlight=False)
    (console if console.is_terminal else Console(highlight=False, width=200)).print(table)
    for reason in _reasons(curves):
        click.echo(reason)
    for curve in curves:
        if curve.susceptibility is not None:
            found = _text(curve.susceptibility)
            click.echo(f"{curve.label}: susceptibility from fluctuations at zero field {found}")
        if curve.polarization is not None:
            found = _text(curve.polarization.susceptibility)
            misfit = curve.polarization.chi_squared
            click.echo(
                f"{curve.label}: susceptibility from a line through all fields {found}, with chi "
                f"squared {misfit:.2g} per degree of freedom"
            )
        if curve.arrest is not None:
            click.echo(f"{curve.label}: {curve.arrest}")


def _reasons(curves: Sequence[Scan]) -> Iterator[str]:
    """Yield the reasons why estimates in the table have no error."""
    for curve in curves:
        for point, row in zip(curve.points, curve.rows, strict=True):
            for name in SHOWN:
                estimate = row[name]
                if estimate is not None and estimate.no_error:
                    where = f"{curve.label}, {point.field:g} V/Å, {name}"
                    yield f"{where}: no error: {estimate.no_error}"


def _text(estimate: Estimate | None) -> str:
    """Return the value and its error without the unit, which is in the header."""
    if estimate is None:
        return ""
    return f"{estimate.text} (no error)" if estimate.no_error else estimate.text
