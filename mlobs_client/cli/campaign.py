"""``mlobs campaign``: run many simulations that differ in their parameters."""

from __future__ import annotations

import logging
import shlex
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import click
from rich import box
from rich.console import Console
from rich.live import Live
from rich.table import Table

from mlobs_client.campaign.campaign import Campaign, load
from mlobs_client.campaign.execution import Outcomes, execute
from mlobs_client.campaign.results import collect, write_table
from mlobs_client.campaign.state import CampaignRun, RunState
from mlobs_client.cli import options
from mlobs_client.cli.bars import make_bar
from mlobs_client.cli.logs import log_to_console
from mlobs_client.cli.skip import skip_option
from mlobs_client.errors import LaunchError
from mlobs_client.launch.signals import received_signals
from mlobs_client.results.skip import Skip
from mlobs_client.studies.scan_check import averages_nothing

COLOURS: Final = {
    RunState.PLANNED: "",
    RunState.WAITING: "",
    RunState.STARTED: "yellow",
    RunState.FAILED: "red",
    RunState.DONE: "green",
}
POLL_INTERVAL: Final = 2.0  # seconds between two looks at all runs
SHOWN: Final = 2  # runs beside the bar


@click.group(
    epilog="Examples:  mlobs init campaign-temperatures my-runs   |   mlobs campaign plan   |   "
    "mlobs campaign run   |   mlobs campaign status   |   mlobs campaign collect -o results"
)
def command() -> None:
    """Run many simulations that differ in their parameters; runs can continue from others.

    CAMPAIGN.toml (default: campaign.toml) names a template and the values of its parameters. The
    template is a folder with input.xml and client.toml, in which $name stands for a parameter.
    Each run gets a folder of its own in runs/, where 'mlobs run --resume' works. The state of a
    run is stored there: after any interruption, 'mlobs campaign run' completes what is missing
    and repeats nothing.
    """


def campaign_file(function: Callable[..., None]) -> Callable[..., None]:
    """Add the argument for the campaign file."""
    return click.argument(
        "file",
        metavar="[CAMPAIGN.toml]",
        default="campaign.toml",
        type=click.Path(path_type=Path),
    )(function)


@command.command()
@campaign_file
def plan(file: Path) -> None:
    """List all runs, and find mistakes before any of them starts."""
    campaign = load(file)
    _say_before(campaign, campaign.plan())
    _console().print(_make_table(campaign))


@command.command("run")
@campaign_file
@options.site
def run_command(file: Path, site: Path | None) -> None:
    """Execute all runs that are not done; 'run' and 'resume' do the same.

    Runs that were interrupted are continued, and runs that failed are tried again. Runs that
    continue from a failed one wait. Ctrl-C and SIGTERM stop all runs with a RESTART. The log of
    each run is runs/NAME/run.log, beside the logs of i-PI and its clients.

    Exit status: 0 when all runs are done; 1 with one line that names the problem; 128 + n after
    signal n.
    """
    words = ["mlobs", "campaign", "resume", str(file), *(["--site", str(site)] if site else [])]
    complete(load(file), shlex.join(words), site)


command.add_command(run_command, "resume")


def complete(campaign: Campaign, again: str, site: Path | None = None) -> None:
    """Execute all runs that are not done, and print how many are done at the end.

    Args:
        campaign: the runs.
        again: command line that continues where this one was stopped.
        site: site file for jobs of Slurm; with None, that of the user, if there is one.

    Raises:
        ConfigError: the campaign file or the template is invalid.
        LaunchError: a run is not done.
        SystemExit: a signal was received.
    """
    console = log_to_console(logging.WARNING)
    digests = campaign.plan()
    _say_before(campaign, digests)
    with received_signals() as received, _shown(console, campaign) as report:
        outcomes = execute(campaign, digests, received, report, site)
    states = Counter(run.read_state() for run in campaign.runs.values())
    done = f"{states[RunState.DONE]} of {len(campaign.runs)} runs are done"
    if states[RunState.DONE] == len(campaign.runs):
        click.echo(f"finished: all {len(campaign.runs)} runs are done")
    elif received:
        click.echo(f"stopped: {received[0].name}; {done}, continue with:")
        click.echo(again)
        sys.exit(128 + received[0])
    else:
        raise LaunchError(
            f"{done}, {_describe_failures(outcomes)}; remove the cause, and continue with: {again}"
        )


def _say_before(campaign: Campaign, digests: Mapping[str, str]) -> None:
    """Print warnings before any run is started.

    Raises:
        ConfigError: the input of the first run cannot be read.
    """
    if averages_nothing(campaign):
        click.echo(
            "no <properties> in the input: 'mlobs campaign collect' will have nothing to average"
        )
    for run in campaign.find_replaced(digests):
        click.echo(f"{run.name} starts anew: its files have changed, and it has made no step")


@command.command()
@campaign_file
@click.option("--once", is_flag=True, help="Print the table once, and exit.")
def status(file: Path, once: bool) -> None:
    """Show the progress of all runs until they are done; without a terminal, show it once."""
    campaign = load(file)
    console = _console()
    if once or not console.is_terminal:
        console.print(_make_table(campaign))
        return
    # runs at work come first: the end of a long table is not shown
    with Live(_make_table(campaign, busy_first=True), console=console) as live:
        try:
            while not all(run.is_done for run in campaign.runs.values()):
                time.sleep(POLL_INTERVAL)
                live.update(_make_table(campaign, busy_first=True), refresh=True)
        except KeyboardInterrupt:
            return


@command.command("collect")
@campaign_file
@options.output(required=True)
@skip_option
def collect_command(file: Path, output: Path, skip: Skip) -> None:
    """Write one table of all results: OUTPUT.csv and OUTPUT.h5.

    The table has a row for each run with its parameters, state and steps, and with the average of
    each column of its first <properties>. Standard errors allow for correlated samples. An average
    of fewer than 20 independent samples is given without an error; another column then says how
    long the run would have to be. The averages of runs that are not done are left empty.
    """
    for path in write_table(collect(load(file), skip), output):
        click.echo(path)


def _console() -> Console:
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=1000)


def _make_table(campaign: Campaign, *, busy_first: bool = False) -> Table:
    runs = [(run, run.read_state()) for run in campaign.runs.values()]
    counts = Counter(state for _, state in runs)
    said = ", ".join(f"{counts[state]} {state.value}" for state in RunState if counts[state])
    parameters = dict.fromkeys(name for run, _ in runs for name in run.parameters)
    headers = ["run", *parameters, "after", "state", ""]
    table = Table(*headers, box=box.SIMPLE, title=f"{len(runs)} runs: {said}", title_justify="left")
    order = [RunState.STARTED, RunState.FAILED, RunState.PLANNED, RunState.WAITING, RunState.DONE]
    for run, state in sorted(runs, key=lambda one: order.index(one[1]) if busy_first else 0):
        values = [str(run.parameters.get(name, "")) for name in parameters]
        cells = [run.name, *values, run.after or "", state.value, _explain(run, state)]
        table.add_row(*(cell.replace("[", "\\[") for cell in cells), style=COLOURS[state])
    return table


def _explain(run: CampaignRun, state: RunState) -> str:
    if state is RunState.STARTED:
        return _describe_progress(run)
    if state is RunState.DONE:
        return f"{run.read_result().get('steps')} steps"
    return run.read_error() if state is RunState.FAILED else ""


def _describe_progress(run: CampaignRun) -> str:
    status = run.read_progress()
    return "" if status is None else f"step {status.step}/{status.total_steps}"


class _Bar:
    """A progress bar for a terminal."""

    def __init__(self, console: Console, campaign: Campaign) -> None:
        self._campaign = campaign
        self.progress = make_bar(console)
        n_done = sum(run.is_done for run in campaign.runs.values())
        self._task = self.progress.add_task("", total=len(campaign.runs), completed=n_done)
        self._next = 0.0
        self._n_ended = 0

    def __call__(self, outcomes: Outcomes) -> None:
        if time.monotonic() < self._next and len(outcomes) == self._n_ended:
            return
        self._n_ended = len(outcomes)
        self._next = time.monotonic() + POLL_INTERVAL
        runs = self._campaign.runs.values()
        started = [run for run in runs if run.read_state() is RunState.STARTED]
        said = [f"{run.name} {_describe_progress(run)}".strip() for run in started[:SHOWN]]
        if len(started) > SHOWN:
            said.append(f"{len(started) - SHOWN} more")
        n_failed = sum(error is not None for error in outcomes.values())
        said += [f"{n_failed} failed"] if n_failed else []
        n_done = sum(run.is_done for run in runs)
        self.progress.update(self._task, description=", ".join(said), completed=n_done)


class _Lines:
    """Print one line for each run that has ended, for files and pipes."""

    def __init__(self, campaign: Campaign) -> None:
        self._campaign = campaign
        self._said: set[str] = set()

    def __call__(self, outcomes: Outcomes) -> None:
        for name, error in outcomes.items():
            if name not in self._said:
                self._said.add(name)
                n_left = sum(not run.is_done for run in self._campaign.runs.values())
                what = f"done: {name}" if error is None else f"failed: {name}: {error}"
                click.echo(f"{what} ({n_left} left)", err=True)


@contextmanager
def _shown(console: Console, campaign: Campaign) -> Iterator[Callable[[Outcomes], None]]:
    """Show which runs have ended: with a bar in a terminal, else with lines."""
    if console.is_terminal:
        bar = _Bar(console, campaign)
        with bar.progress:
            yield bar
    else:
        yield _Lines(campaign)


def _describe_failures(outcomes: Outcomes) -> str:
    failed = {name: error for name, error in outcomes.items() if error is not None}
    first = next(iter(failed), None)
    if first is None:
        return "and no error is known for the others"
    more = f", and {len(failed) - 1} more are not done" if len(failed) > 1 else ""
    return f"{first} failed: {failed[first]}{more}"
