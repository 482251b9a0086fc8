"""``mlobs demo``: simulate quantum water in an electric field."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table

from mlobs_client.cli.bars import make_bar
from mlobs_client.cli.options import FiniteRange, command_line
from mlobs_client.errors import ConfigError
from mlobs_client.files import write_csv, write_whole
from mlobs_client.studies import demo
from mlobs_client.studies.demo_plan import (
    FIRST,
    OF_KINDS,
    PARTS,
    TIMESTEP,
    DemoRun,
    Part,
    Plan,
    lengths,
    plan,
    scaled,
)

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
    "--scale", type=FiniteRange(0.0, min_open=True),
    help="Multiply the whole length of all runs by this factor, however long that takes.  "
    "[default: what 8 minutes allow on this machine]",
)  # fmt: skip
@click.option(
    "--at-once",
    default=2,
    show_default=True,
    type=click.IntRange(min=1),
    help="Number of runs to execute at the same time, each on one core.",
)
def command(output: Path, scale: float | None, at_once: int) -> None:
    """Simulate quantum water in an electric field, and draw the figures, in at most 8 minutes.

    The demo runs i-PI with committees of MACE potentials and dipole models for 16 water molecules
    in a periodic cell. It tests the conservation of energy in classical dynamics with and without a
    field, and computes TRPMD and classical spectra with error bands, and the polarization as a
    function of the field. It first measures the time of a step of each kind of run, shortens the
    runs until all fit into 8 minutes, and leaves out what needs longer runs. All inputs are in
    OUTPUT, for you to copy and change. After an interruption, the same command continues the demo;
    to start anew, remove OUTPUT, or choose another folder.
    """
    console = Console()
    begun = time.monotonic()
    parts = _prepare(output, scale, at_once, begun, console)
    _run(output, at_once, begun, console)
    # matplotlib and scipy are loaded from here on
    from mlobs_client.studies.demo_results import analyse

    rows, figures = analyse(output, parts, command_line())
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


def _prepare(
    output: Path, scale: float | None, at_once: int, begun: float, console: Console
) -> Sequence[Part]:
    """Write the inputs, and return the parts for whose figures the runs are long enough."""
    there = demo.read_lengths(output)
    parts: tuple[Part, ...] = PARTS
    if scale is not None:
        n_steps = scaled(scale)
    elif there:
        n_steps, parts = there, tuple(part for part in PARTS if part.has_enough(there))
        if not parts:
            raise ConfigError(
                f"{output} has a demo whose runs are too short for any figure; give the same "
                "--scale as before, or choose another folder with -o"
            )
    else:
        with _bars(OF_KINDS, console, "measuring ", stays=False) as report:
            costs = demo.measure(OF_KINDS, report, at_once)
        found = plan(costs, time.monotonic() - begun, at_once)
        n_steps, parts = found.n_steps, found.parts
        for line in _describe(found):
            console.print(line)
    for run, n in n_steps.items():
        if run not in there:
            demo.write(run, output / run.name, n)
    return parts


def _run(output: Path, at_once: int, begun: float, console: Console) -> None:
    """Execute the runs, and draw the first figure as soon as its run is over."""

    def finished(run: DemoRun) -> None:
        if run == FIRST:
            from mlobs_client.studies.demo_results import show_conserved

            _, figure = show_conserved(output, [run], command_line())
            minutes = (time.monotonic() - begun) / 60
            console.print(f"first figure, after {minutes:.1f} minutes: {figure}")

    runs = demo.read_lengths(output)
    with _bars(runs, console) as report:
        demo.run_all(runs, output, report, finished, at_once)


@contextmanager
def _bars(
    runs: Iterable[DemoRun], console: Console, what: str = "", *, stays: bool = True
) -> Iterator[demo.ReportProgress]:
    """Show the progress of each run."""
    with make_bar(console, counts=False, stays=stays) as bar:
        tasks = {run: bar.add_task(f"{what}{run.name}", total=1.0, start=False) for run in runs}

        def report(run: DemoRun, fraction: float) -> None:
            bar.start_task(tasks[run])
            bar.update(tasks[run], completed=fraction)

        yield report


def _describe(found: Plan) -> Iterator[str]:
    """Say how long the demo takes, what is shortened, and what is left out."""
    yield (
        f"This takes about {found.seconds / 60:.1f} minutes, the first figure about "
        f"{found.first / 60:.1f}."
    )
    for part in found.left_out:
        yield (
            f"left out: {part.what}, for want of time: runs of at least "
            f"{_picoseconds(part.least)} are needed"
        )
    whole = lengths({part: part.n_steps for part in found.parts})
    shortened: dict[tuple[int, int], list[str]] = {}
    for run, n_steps in found.n_steps.items():
        if n_steps < whole[run]:
            shortened.setdefault((whole[run], n_steps), []).append(run.name)
    for (before, after), names in shortened.items():
        yield (
            f"shortened: {', '.join(names)} from {_picoseconds(before)} to {_picoseconds(after)}"
        )


def _picoseconds(n_steps: int) -> str:
    return f"{n_steps * TIMESTEP:.3g} ps"
