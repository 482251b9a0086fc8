"""``mlobs demo``: simulate quantum water in an electric field."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table

from mlobs_client.cli.bars import make_bar
from mlobs_client.cli.options import FiniteRange, command_line
from mlobs_client.files import write_csv, write_whole
from mlobs_client.studies import demo

if TYPE_CHECKING:
    from mlobs_client.studies.demo_results import Row

NOTE = (
    "These runs are short: the spectra are broad, and the polarization does not yet contain the "
    "slow reorientation of molecules. For converged results, increase <total_steps> and nbeads."
)


@click.command(epilog="Examples:  mlobs demo   |   mlobs demo --scale 0.1 -o quick-look")
@click.option(
    "-o", "--output", default="demo_output", show_default=True, type=click.Path(path_type=Path),
    help="Folder for inputs, outputs and figures.",
)  # fmt: skip
@click.option(
    "--scale", default=1.0, show_default=True, type=FiniteRange(0.0, min_open=True),
    help="Multiply the length of all runs by this factor; 1 takes about 8 minutes on 2 cores.",
)  # fmt: skip
@click.option(
    "--at-once",
    default=2,
    show_default=True,
    type=click.IntRange(min=1),
    help="Number of runs to execute at the same time, each on one core.",
)
def command(output: Path, scale: float, at_once: int) -> None:
    """Simulate quantum water in an electric field, and draw the figures.

    The demo runs i-PI with committees of MACE potentials and dipole models for 16 water molecules
    in a periodic cell. It tests the conservation of energy in classical dynamics with and without a
    field, and computes TRPMD and classical spectra with error bands, and the polarization as a
    function of the field. All inputs are in OUTPUT, for you to copy and change. After an
    interruption, the same command continues the demo; to start anew, remove OUTPUT, or choose
    another folder.
    """
    console = Console()
    begun = time.monotonic()
    _run(output, scale, at_once, console)
    # matplotlib and scipy are loaded from here on
    from mlobs_client.analysis.vibrations.spectra import SpectrumSettings
    from mlobs_client.studies.demo_results import analyse

    # a quick look is too short for more than two blocks, and for sharp lines
    quick = scale < 1.0
    n_blocks, resolution = (2, demo.RESOLUTION / scale) if quick else (demo.BLOCKS, demo.RESOLUTION)
    settings = SpectrumSettings(resolution=resolution, n_blocks=n_blocks)
    rows, figures = analyse(output, settings, command_line())
    table = Table("", "value", "standard error", "unit")
    for row in rows:
        value = row.value
        error = value.no_error and f"no error: {value.no_error}"
        table.add_row(row.what, f"{value.value:.4g}", error or f"{value.error:.2g}", value.unit)
    console.print(table)
    _write(rows, output)
    for figure in figures:
        console.print(f"figure: {figure} (also .pdf, and its numbers as .csv, .json and .h5)")
    console.print(NOTE)
    console.print(f"{(time.monotonic() - begun) / 60:.1f} minutes; inputs in {output}/*/input.xml")


def _write(rows: Sequence[Row], output: Path) -> None:
    """Write the table as JSON and CSV; a row has the source of its error, or why it has none."""
    records: list[dict[str, float | str | None]] = [
        {"what": row.what, "no_error": "", **row.value.as_json()} for row in rows
    ]
    text = json.dumps(records, indent=1, ensure_ascii=False, allow_nan=False)
    write_whole(output / "table.json", f"{text}\n".encode())
    names = dict.fromkeys(name for record in records for name in record)
    columns = {name: [record.get(name) for record in records] for name in names}
    write_csv(output / "table.csv", columns)


def _run(output: Path, scale: float, at_once: int, console: Console) -> None:
    with make_bar(console, counts=False) as bar:
        tasks = {run: bar.add_task(run.name, total=1.0, start=False) for run in demo.RUNS}

        def report(run: demo.DemoRun, fraction: float) -> None:
            bar.start_task(tasks[run])
            bar.update(tasks[run], completed=fraction)

        demo.run_all(demo.RUNS, output, report, scale, at_once)
