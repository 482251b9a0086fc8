"""``mlobs run``: run i-PI and its clients, on this machine or on all nodes of a job."""

from __future__ import annotations

import logging
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import click
from rich.console import Console

from mlobs_client.cli import options
from mlobs_client.cli.bars import make_bar
from mlobs_client.cli.check import stop_at_errors
from mlobs_client.cli.logs import log_to_console
from mlobs_client.cli.options import (
    FiniteRange,
    command_line,
    continued,
    files_of_a_run,
    load_clients,
    renamed,
)
from mlobs_client.errors import ConfigError
from mlobs_client.ipi import input as ipi_input
from mlobs_client.ipi.input import IpiInput
from mlobs_client.launch import local
from mlobs_client.launch.checkpoints import Checkpoint, find_newest, set_total_steps
from mlobs_client.launch.ending import ALL_STEPS, Ending
from mlobs_client.launch.folder import alone, wait_for_rest
from mlobs_client.launch.options import EXPLODED, Outcome, RunOptions
from mlobs_client.launch.progress import Status

LINE_INTERVAL = 10.0  # seconds, where there is no terminal


@click.command(
    epilog="Examples:  mlobs run input.xml client.toml -n 4   |   "
    "mlobs run input.xml client.toml -n 4 --resume   |   "
    "mlobs run input.xml client.toml -n 4 --resume --steps 200000   |   "
    "mlobs run input.xml client.toml --driver 'lmp -in lammps.in -var address {lammps}'"
)
@files_of_a_run
@click.option("--resume", is_flag=True, help="Continue from the newest RESTART or <checkpoint>.")
@click.option(
    "--steps",
    type=click.IntRange(1),
    metavar="N",
    help="With --resume: continue to step N, counted from the start of the run as <total_steps>; "
    "N is written into the RESTART or <checkpoint>.  [default: its <total_steps>]",
)
@click.option("--others-serve", is_flag=True, help="Leave the remaining sockets to other programs.")
@click.option(
    "--driver",
    "drivers",
    multiple=True,
    metavar="COMMAND",
    help="Start another program to serve one of the remaining sockets, restart it if it dies, "
    "and end it with the run. {NAME} in COMMAND stands for the address of <ffsocket name='NAME'>. "
    "May be repeated.",
)
@renamed("--beside", "--driver")
@click.option(
    "--srun",
    is_flag=True,
    help="Start clients on all nodes of this Slurm job; implies --listen.",
)
@click.option(
    "--listen",
    metavar="ADDRESS",
    help="Listen on this host name or IPv4 address for clients on other machines, which join with "
    "mlobs-run.json ('mlobs client --join').  [default with --srun: the name of this machine]",
)
@click.option(
    "--max-temperature",
    type=FiniteRange(0.0, min_open=True),
    default=EXPLODED,
    show_default=True,
    help="Stop the run above this temperature, K.",
)
@click.option(
    "--stall",
    type=FiniteRange(0.0, min_open=True),
    help="Restart all clients after this time without a step, s.  [default: 20 times the longest "
    "step so far, at least 300]",
)
@options.no_check
def command(
    input_xml: Path,
    clients: tuple[Path, ...],
    n_clients: tuple[int, ...],
    resume: bool,
    steps: int | None,
    others_serve: bool,
    drivers: tuple[str, ...],
    srun: bool,
    listen: str | None,
    max_temperature: float,
    stall: float | None,
    no_check: bool,
) -> None:
    """Run i-PI with INPUT.xml (or a RESTART) and N clients, here or on all nodes of a job.

    i-PI runs in the folder of its input. Its log is i-pi.log there, the logs of the clients are
    CLIENT-0.log, CLIENT-1.log ..., and that of mlobs run itself is mlobs-run.log; each start is a
    dated section of them. The files of an earlier run are moved to backups/1, backups/2 ...; from a
    RESTART, i-PI appends to them. A client that dies is restarted, and so are all clients if no
    step is made for a long time. Ctrl-C and SIGTERM stop the run after the current step, with a
    RESTART. With --resume, the same command starts a run, continues it after any interruption, and
    reports when it is finished. Changes to INPUT.xml have no effect on a continued run: i-PI reads
    only the RESTART. --steps extends a run, and 'mlobs status' describes it.

    Exit status: 0 when all steps are done, or when i-PI found an EXIT file or reached its time
    limit; 1 with one line that names the problem; 128 + n after signal n.
    """
    if steps is not None and not resume:
        raise click.UsageError("--steps extends a run that is continued: give --resume, too")
    console = log_to_console(logging.WARNING)
    wait_for_rest(input_xml.parent)  # it writes the RESTART from which this run continues
    if resume:
        start = _find_start(input_xml, steps)
        input_xml = start.path
        if start.step >= start.total_steps:
            if steps is not None:
                with alone(input_xml.parent):
                    set_total_steps(input_xml, steps)
            click.echo(f"finished: all {start.total_steps} steps are done ({input_xml})")
            return
    if not no_check:
        others = others_serve or bool(drivers)
        stop_at_errors(input_xml, clients, n_clients, console, others_serve=others)
    ipi = ipi_input.read(input_xml)
    extends = steps is not None and ipi.step > 0
    ipi = replace(ipi, total_steps=ipi.total_steps if steps is None else steps)
    files = load_clients(clients, n_clients)
    with shown(console) as show:
        settings = RunOptions(
            others_serve, drivers, srun, listen, max_temperature, stall, extends, command_line()
        )
        outcome = local.run(ipi, files, show, settings)
    _say_end(outcome, ipi)
    if outcome.signal is not None:
        sys.exit(128 + outcome.signal)


def _find_start(input_xml: Path, steps: int | None) -> Checkpoint:
    """Return the checkpoint from which a run continues, or the input if there is none.

    Args:
        input_xml: the input that the user gave, which may be a checkpoint itself.
        steps: number of the last step; None for that of the checkpoint.
    """
    ipi = ipi_input.read(input_xml)
    newest = find_newest(ipi)
    start = newest or Checkpoint(input_xml, ipi.step, ipi.total_steps)
    if steps is None and start.total_steps < ipi.total_steps:
        raise ConfigError(
            f"{input_xml} asks for {ipi.total_steps} steps, but {start.path}, from which the run "
            f"continues, for {start.total_steps}; give --steps with the number that you want"
        )
    if steps is not None and steps != start.total_steps:
        _check_steps(start, steps)
        start = replace(start, total_steps=steps)
    if newest is not None:
        click.echo(f"continuing from {start.path} (step {start.step}) to step {start.total_steps}")
    return start


def _check_steps(start: Checkpoint, steps: int) -> None:
    """Refuse a number of the last step to which a run cannot be extended."""
    if start.step == 0:
        raise ConfigError(
            f"--steps {steps}: there is no RESTART or <checkpoint> to continue from; write "
            f"<total_steps> {steps} </total_steps> into {start.path}"
        )
    if steps < start.step:
        raise ConfigError(
            f"--steps {steps}: {start.path} is at step {start.step} already; steps are counted "
            "from the start of the run, so give more than that"
        )


class _Bar:
    """A progress bar for a terminal."""

    def __init__(self, console: Console) -> None:
        self.progress = make_bar(console, counts=False)
        self._task = self.progress.add_task("starting", total=None)

    def __call__(self, status: Status) -> None:
        self.progress.update(
            self._task,
            description=str(status),
            completed=status.step or 0,
            total=None if status.step is None else status.total_steps,
        )


class _Lines:
    """Print one line every ten seconds, for files and pipes."""

    def __init__(self) -> None:
        self._next = time.monotonic() + LINE_INTERVAL

    def __call__(self, status: Status) -> None:
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + LINE_INTERVAL
            click.echo(str(status), err=True)


@contextmanager
def shown(console: Console) -> Iterator[Callable[[Status], None]]:
    """Show the status of a run: as a bar in a terminal, else as lines."""
    if console.is_terminal:
        bar = _Bar(console)
        with bar.progress:
            yield bar
    else:
        yield _Lines()


def _say_end(outcome: Outcome, ipi: IpiInput) -> None:
    if outcome.ending is Ending.FINISHED:
        click.echo(f"finished: {_say_why(outcome, ipi)}")
        return
    step = 0 if outcome.restart is None else ipi_input.read(outcome.restart).step
    if step == 0:
        click.echo(f"stopped: {outcome.reason}; no step was done, so the next run starts anew")
        return
    click.echo(f"stopped: {outcome.reason}; {outcome.restart} is at step {step}, continue with:")
    click.echo(shlex.join(continued(command_line())))


def _say_why(outcome: Outcome, ipi: IpiInput) -> str:
    """Say that all steps are done, or that an optimization converged before that."""
    if outcome.reason in ("", ALL_STEPS) or outcome.restart is None:
        return f"all {ipi.total_steps} steps are done"
    step = ipi_input.read(outcome.restart).step
    reason = outcome.reason.strip(" #@.").removesuffix(". Exiting simulation")
    return f"{reason} (step {step} of at most {ipi.total_steps})"
