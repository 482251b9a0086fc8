"""``mlobs check``: find mistakes in the files of a run, and say how to correct them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from mlobs_client.check.files import check_all, check_files
from mlobs_client.check.finding import Finding, Level
from mlobs_client.cli.bars import make_bar
from mlobs_client.cli.options import files_of_a_run
from mlobs_client.errors import ConfigError
from mlobs_client.progress import Progress, silent

COLOURS = {Level.OK: "green", Level.WARNING: "yellow", Level.ERROR: "red"}


@click.command(epilog="Example:  mlobs check input.xml client.toml")
@files_of_a_run
@click.option(
    "--no-models", is_flag=True, help="Do not load the models; the check then takes two seconds."
)
@click.option("-q", "--quiet", is_flag=True, help="Show only warnings and errors.")
def command(
    input_xml: Path,
    clients: tuple[Path, ...],
    n_clients: tuple[int, ...],
    no_models: bool,
    quiet: bool,
) -> None:
    """Find mistakes in INPUT.xml (or a RESTART) and its client files.

    The command compares addresses, species, cell, periodicity and extras, and looks for a field
    that is coupled twice. It evaluates the models once, as in a run, and tests their forces, field
    forces and dipoles by finite differences on a few atoms. Paths in INPUT.xml are relative to its
    folder, in which 'mlobs run' starts i-PI; there is a warning if they exist only in the current
    folder.

    Exit status: 0 without errors, 1 with errors.
    """
    if no_models:
        n_errors = _show(check_files(input_xml, clients, n_clients), quiet=quiet)
    else:
        # read by torch when it is loaded; a few atoms are no faster with several threads
        os.environ.setdefault("OMP_NUM_THREADS", "1")
        with nullcontext(silent) if quiet else progress_shown() as say:
            n_errors = _show(check_all(input_xml, clients, n_clients, say), quiet=quiet)
    if n_errors:
        click.echo(f"{n_errors} error{'s' if n_errors > 1 else ''}: do not run this yet")
        sys.exit(1)
    click.echo("no errors")


def stop_at_errors(
    input_xml: Path,
    clients: Sequence[Path],
    n_clients: Sequence[int],
    console: Console,
    *,
    others_serve: bool = False,
) -> None:
    """Check the files of a run without loading models; print warnings, and raise an error.

    Raises:
        ConfigError: the first error in the files.
    """
    first = None
    found = check_files(input_xml, clients, n_clients, others_serve=others_serve, is_run=True)
    for finding in found:
        if finding.level is Level.OK:
            continue
        text = f"{finding.what}; {finding.remedy}" if finding.remedy else finding.what
        if finding.level is Level.ERROR and first is None:
            first = text
        else:
            console.print(f"{finding.level.value}: {text}", markup=False, soft_wrap=True)
    if first is not None:
        raise ConfigError(first)


@contextmanager
def progress_shown() -> Iterator[Progress]:
    """Show what models are tested for: as a bar in a terminal, else as lines."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _say
        return
    # stderr itself is a file while the output of models is captured
    with os.fdopen(os.dup(2), "w") as terminal:
        bar = make_bar(Console(file=terminal, width=console.width), stays=False)
        task = bar.add_task("")

        def show(activity: str, done: int, total: int) -> None:
            if total == 0:
                bar.stop()  # before findings are printed
                return
            if done == 0:
                bar.reset(task)
            bar.update(task, description=activity, completed=done, total=total)
            bar.start()

        try:
            yield show
        finally:
            bar.stop()


def _say(activity: str, done: int, total: int) -> None:
    if done < 1 <= total:
        click.echo(f"... {activity}", err=True)


def _show(findings: Iterable[Finding], *, quiet: bool) -> int:
    """Print findings as they arrive; return the number of errors."""
    console = Console(highlight=False, soft_wrap=False)
    n_errors = 0
    for finding in findings:
        n_errors += finding.level is Level.ERROR
        if quiet and finding.level is Level.OK:
            continue
        row = Table.grid(padding=(0, 1))
        row.add_column(width=7)
        row.add_column(overflow="fold")
        row.add_row(f"[{COLOURS[finding.level]}]{finding.level.value}[/]", _plain(finding.what))
        if finding.remedy:
            row.add_row("", f"-> {_plain(finding.remedy)}")
        console.print(row)
    return n_errors


def _plain(text: str) -> str:
    """Keep [socket] from being read as a style."""
    return text.replace("[", "\\[")
