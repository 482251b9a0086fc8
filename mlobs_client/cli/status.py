"""``mlobs status``: what folders of runs hold."""

from __future__ import annotations

import json
import logging
import math
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import click

from mlobs_client.cli.logs import log_to_console
from mlobs_client.cli.next_line import CAMPAIGN, next_line, next_of_campaign
from mlobs_client.errors import MlobsError
from mlobs_client.launch.overview import Overview, State, read_overview

SHOWN: Final = 5  # logs
LONGEST: Final = 200  # characters of a line of a log
WITHOUT_RUN: Final = (State.EMPTY, State.FOREIGN)
UNITS: Final = ((86400.0, "days"), (3600.0, "h"), (60.0, "min"), (0.0, "s"))


@click.command(
    epilog="Examples:  mlobs status   |   mlobs status runs/*   |   mlobs status my-run --json"
)
@click.argument(
    "folders",
    metavar="[FOLDER]...",
    nargs=-1,
    type=click.Path(path_type=Path),
)
@click.option("--json", "as_json", is_flag=True, help="Print a list with a table for each folder.")
def command(folders: tuple[Path, ...], as_json: bool) -> None:
    """Say what each FOLDER holds (this one, if none is given); nothing in it is changed.

    Shows whether a run is not started, running, finished, stopped, killed, failed or exploded; its
    steps, speed, temperature (the last one, and mean and standard deviation over the last quarter
    of the run) and committee spread; the checkpoint from which it would be continued; the last
    lines of its logs; and the line to type next. It need not have been started by mlobs: i-PI alone
    will do. A run on another machine is seen where the file system has locks; else look at the time
    since its last output.

    Exit status: 0, whatever the folders hold; 1 if a folder cannot be read.
    """
    log_to_console(logging.ERROR)
    tables = []
    for folder in folders or (Path(),):
        table, lines = _describe(folder)
        tables.append(table)
        if not as_json:
            click.echo("\n".join(lines))
    if as_json:
        click.echo(json.dumps(tables, indent=1, allow_nan=False))
    if any("state" not in table for table in tables):
        sys.exit(1)


def _describe(folder: Path) -> tuple[dict[str, Any], list[str]]:
    """Return the same as a table and as lines."""
    try:
        found = read_overview(folder)
    except (MlobsError, OSError) as error:  # such as a folder that is not there
        reason = f"cannot be read: {getattr(error, 'strerror', None) or error}"
        return {"folder": str(folder), "problem": reason}, [f"{folder}: {reason}"]
    if found.state in WITHOUT_RUN and (folder / CAMPAIGN).is_file():
        return _describe_campaign(folder)
    try:
        follow_up = next_line(found)
    except (MlobsError, OSError):  # the input has no such unit, or a folder is gone
        follow_up = ""
    return _as_table(found, follow_up), list(_as_lines(found, follow_up))


def _describe_campaign(folder: Path) -> tuple[dict[str, Any], list[str]]:
    from mlobs_client.campaign.campaign import load

    try:
        campaign = load(folder / CAMPAIGN)
        states = Counter(run.read_state().value for run in campaign.runs.values())
    except (MlobsError, OSError) as error:
        return {"folder": str(folder), "state": "campaign", "problem": str(error)}, [
            f"{folder}: a campaign; {error}"
        ]
    follow_up = next_of_campaign(folder, is_done=states["done"] == len(campaign.runs))
    counts = ", ".join(f"{number} {state}" for state, number in states.items())
    return (
        {"folder": str(folder), "state": "campaign", "runs": states, "next": follow_up},
        [f"{folder}: a campaign of {len(campaign.runs)} runs: {counts}", f"  next: {follow_up}"],
    )


def _as_table(found: Overview, follow_up: str) -> dict[str, Any]:
    recent, start = found.recent, found.checkpoint
    temperature = None if found.status is None else found.status.temperature
    spread = None if found.status is None else found.status.spread
    return {
        "folder": str(found.folder),
        "state": found.state.value,
        "step": found.step,
        "total_steps": found.total_steps,
        "steps_per_second": found.steps_per_second,
        "ns_per_day": found.ns_per_day,
        "temperature": _finite(temperature),
        "recent_temperature": recent and {
            "mean": _finite(recent.mean), "standard_deviation": _finite(recent.deviation),
            "since_step": recent.since, "rows": recent.n_rows,
        },
        "energy_spread_mev": _finite(spread),
        "seconds_since_output": found.age,
        "checkpoint": start and {"file": str(start.path), "step": start.step},
        "processes": list(found.processes),
        "logs": {name: _shorten(section.last_line) for name, section in found.logs.items()},
        "problem": found.problem,
        "next": follow_up,
    }  # fmt: skip


def _as_lines(found: Overview, follow_up: str) -> Iterator[str]:
    yield f"{found.folder}: {found.state.value}{_say_steps(found)}"
    for name, words in _facts(found):
        yield f"  {name}: {words}"
    logs = [(name, log.last_line) for name, log in found.logs.items() if found.ipi and log.lines]
    for name, line in logs[:SHOWN]:
        yield f"  {name}: {_shorten(line)}"
    if len(logs) > SHOWN:
        yield f"  and {len(logs) - SHOWN} more logs"
    if found.problem:
        yield f"  problem: {found.problem}"
    if follow_up:
        yield f"  next: {follow_up}"


def _say_steps(found: Overview) -> str:
    return "" if found.ipi is None else f", {found.step} of {found.total_steps} steps are done"


def _facts(found: Overview) -> Iterator[tuple[str, str]]:
    """Yield names and values of what is known."""
    if found.processes:
        yield "processes", " ".join(map(str, found.processes))
    if found.steps_per_second is not None:
        simulated = "" if found.ns_per_day is None else f"{found.ns_per_day:.3g} ns/day, "
        yield "speed", f"{simulated}{found.steps_per_second:.3g} steps/s"
    if found.status is not None and found.status.temperature is not None:
        yield "temperature", f"{found.status.temperature:.0f} K{_say_recent(found)}"
    if found.status is not None and found.status.spread is not None:
        yield "committee spread", f"{found.status.spread:.1f} meV of the energy of the cell"
    if found.age is not None:
        yield "last output", f"{_say_time(found.age)} ago"
    if found.state not in (*WITHOUT_RUN, State.PLANNED, State.FINISHED, State.RUNNING):
        start = found.checkpoint
        known = f"{start.path.name}, step {start.step}" if start else "none, the run starts anew"
        yield "checkpoint", known


def _say_recent(found: Overview) -> str:
    if found.recent is None or found.recent.n_rows == 1:
        return ""
    one = found.recent
    return f"; from step {one.since} on {one.mean:.0f} +- {one.deviation:.0f} K ({one.n_rows} rows)"


def _say_time(seconds: float) -> str:
    size, unit = next(row for row in UNITS if seconds >= row[0])
    return f"{seconds / (size or 1.0):.3g} {unit}"


def _shorten(line: str) -> str:
    printable = "".join(c if c.isprintable() else " " for c in line)
    return printable if len(printable) <= LONGEST else f"{printable[:LONGEST]}..."


def _finite(number: float | None) -> float | None:
    """Return a number that JSON has."""
    return number if number is not None and math.isfinite(number) else None
