"""``mlobs bench``: find the fastest settings of models on this machine."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from mlobs_client.bench.cases import (
    PRECISIONS,
    Case,
    Timing,
    batch_sizes,
    best,
    count,
    count_programs,
    divisions,
    single_clients,
)
from mlobs_client.bench.subject import Subject, Survey, survey
from mlobs_client.bench.timing import measure
from mlobs_client.cli.bars import make_bar
from mlobs_client.cli.logs import log_to_console
from mlobs_client.cli.options import FiniteRange
from mlobs_client.errors import ConfigError, RecordError


@click.command(
    epilog="Examples:  mlobs bench my-*.model water.xyz   |   "
    "mlobs bench 'bundled:water/potential-*' water.xyz -b 8 -o bench.json"
)
@click.argument("models", metavar="MODEL...", nargs=-1, required=True)
@click.argument("structure", metavar="STRUCTURE")
@click.option(
    "-b", "--beads", type=click.IntRange(1), default=1, show_default=True,
    help="Number of structures per step: beads times replicas.",
)  # fmt: skip
@click.option(
    "--timestep", type=FiniteRange(0.0, min_open=True), default=0.5, show_default=True,
    help="Time step of the simulation, fs, used to compute ns/day.",
)  # fmt: skip
@click.option(
    "--cores",
    type=click.IntRange(1),
    help="Number of cores for all clients together.  [default: all that this process may use]",
)
@click.option(
    "--seconds", type=FiniteRange(0.0, 3600.0), default=2.0, show_default=True,
    help="Time for which each case is measured, s; at least five steps are made.",
)  # fmt: skip
@click.option("--no-compile", is_flag=True, help="Do not compile the networks, for a quick look.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Write all numbers to this JSON file."
)
def command(
    models: tuple[str, ...],
    structure: str,
    beads: int,
    timestep: float,
    cores: int | None,
    seconds: float,
    no_compile: bool,
    output: Path | None,
) -> None:
    """Measure the committee of MODEL... on STRUCTURE, and recommend the fastest settings.

    MODEL is a file of a MACE potential, or a pattern as in a client file; all models form one
    committee. STRUCTURE is any file that i-PI or ASE can read. A step evaluates the energy, forces
    and virial of all beads as a client does; the time that i-PI itself takes is not included.

    First, both precisions are measured in one client with one thread, for several batch sizes (the
    number of structures that the networks evaluate together). Then the best of these cases is
    measured with more threads, and with several clients that share the beads. Among the cases
    within 3 % of the fastest, the command recommends the most precise, and then the simplest.

    Run nothing else on the machine meanwhile. Networks that are not yet compiled are compiled,
    which takes about a minute for each batch size, number of threads and precision; clients use
    these programs afterwards. Compiled programs are kept after Ctrl-C.
    """
    console = log_to_console(logging.WARNING)
    if output is not None and not output.parent.is_dir():
        raise RecordError(f"{output}: there is no folder {output.parent}; create it first")
    if output is not None and output.is_dir():
        raise RecordError(f"{output}: is a folder; give the name of a file")
    if cores is not None and cores > _available_cores():
        raise ConfigError(f"--cores {cores}: this process may use only {_available_cores()}")
    # torch reads it when it is loaded, which is from here on
    os.environ["OMP_NUM_THREADS"] = "1"
    subject = Subject(models, structure, compile=not no_compile)
    with console.status("loading"):
        found = survey(subject, beads)
    plan = Plan(subject, found, beads, cores or _available_cores(), timestep)
    console.print(plan.announcement)
    if (load := os.getloadavg()[0]) + plan.cores > (os.cpu_count() or 1) + 0.5:
        console.print(f"the load of this machine is {load:.1f}: other programs distort the times")
    try:
        timings = _measure(plan, seconds, console)
    except KeyboardInterrupt:
        click.echo("interrupted; compiled programs are kept", err=True)
        sys.exit(130)
    _show(plan, timings)
    if output is not None:
        _write(plan, timings, output)


@dataclass(frozen=True)
class Plan:
    """The measurements to make, and what is known of the models beforehand."""

    subject: Subject
    found: Survey
    beads: int
    cores: int
    timestep: float

    @property
    def singles(self) -> list[Case]:
        return single_clients(self.beads, batch_sizes(self.beads, self.found.estimate))

    @property
    def size(self) -> str:
        atoms = count(self.found.n_atoms, "atom")
        return f"{count(self.beads, 'structure')} of {atoms} per step"

    @property
    def n_cases(self) -> int:
        first, *_ = self.singles
        return len(self.singles) + len(PRECISIONS) * len(divisions(first, self.cores))

    @property
    def announcement(self) -> str:
        text = f"{self.size}: {count(self.n_cases, 'case')} on {count(self.cores, 'core')}"
        if not self.subject.compile:
            return text
        most = count_programs(self.singles, self.cores)
        return (
            f"{text}, and up to {count(most, 'compilation')} of about a minute each, less those "
            "that are in the store already; --no-compile gives a quick answer"
        )


def _available_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _measure(plan: Plan, seconds: float, console: Console) -> list[Timing]:
    """Measure batch sizes, then the best one for each precision with more threads and clients."""
    timings: list[Timing] = []
    with make_bar(console) as bar:
        task = bar.add_task("", total=plan.n_cases)

        def report(case: Case, doing: str) -> None:
            bar.update(task, description=f"{case}: {doing}")

        def run(cases: Iterable[Case]) -> None:
            for timing in measure(plan.subject, cases, seconds, report):
                timings.append(timing)
                bar.console.print(f"{timing.case}: {1e3 * timing.seconds:.3g} ms/step")
                bar.advance(task)

        run(plan.singles)
        for fastest in _best_of_each(timings):
            run(divisions(fastest.case, plan.cores))
    return timings


def _best_of_each(timings: Sequence[Timing]) -> list[Timing]:
    """Return the best case for each precision."""
    return [
        best([timing for timing in timings if timing.case.dtype == dtype]) for dtype in PRECISIONS
    ]


def _show(plan: Plan, timings: Sequence[Timing]) -> None:
    console = Console(highlight=False)
    winners = _best_of_each(timings)
    table = Table(title=plan.size)
    for name in ("precision", "batch", "threads", "clients", "ms/step", "ns/day", ""):
        table.add_column(name, justify="left" if name in ("precision", "") else "right")
    for timing in timings:
        case = timing.case
        table.add_row(
            case.dtype,
            *(str(number) for number in (case.batch, case.threads, case.clients)),
            f"{1e3 * timing.seconds:.3g}",
            f"{timing.ns_per_day(plan.timestep):.3g}",
            f"best {case.dtype}" if timing in winners else "",
            style="bold" if timing in winners else None,
        )
    console.print(table)
    for note in _notes(plan, timings):
        console.print(note, markup=False)
    first = best(winners)
    console.print(f"\nRecommended: {_advice(first, plan)}", markup=False, soft_wrap=True)
    for other in winners:
        # a user who does not trust single precision needs the settings for the other one, too
        if other is not first and first.case.dtype == "float32":
            console.print(f"\nOr: {_advice(other, plan)}", markup=False, soft_wrap=True)


def _notes(plan: Plan, timings: Sequence[Timing]) -> list[str]:
    rounding = plan.found.rounding
    notes = [
        "float32 changes the forces on this structure by at most "
        f"{1e3 * rounding.difference:.2g} meV/angstrom; the largest force is "
        f"{rounding.largest_force:.2g} eV/angstrom.",
        f"ns/day is for a time step of {plan.timestep:g} fs and the clients alone: the time "
        "that i-PI takes comes on top.",
    ]
    if plan.beads == 1:
        notes.append(
            "One structure per step occupies one client: several clients help only with beads or "
            "replicas (-b)."
        )
    if not plan.subject.compile:
        notes.append("Clients will be faster than this: they compile the networks.")
    notes.extend(dict.fromkeys(timing.not_compiled for timing in timings if timing.not_compiled))
    return notes


def _advice(timing: Timing, plan: Plan) -> str:
    """Return lines to paste into the files of a run."""
    case = timing.case
    return f"""{case.dtype}, {timing.ns_per_day(plan.timestep):.3g} ns/day
  in client.toml
    threads = {case.threads}
    batch = {case.batch}
    [potential]
    dtype = "{case.dtype}"
  in <ffsocket> of input.xml
    <batch_size> {case.share} </batch_size>
  start
    mlobs run input.xml client.toml -n {case.clients}"""


def _write(plan: Plan, timings: Sequence[Timing], output: Path) -> None:
    winners = _best_of_each(timings)
    recommended = best(winners)
    cases = [
        {
            **asdict(timing.case),
            "seconds_per_step": timing.seconds,
            "ns_per_day": timing.ns_per_day(plan.timestep),
            "not_compiled": timing.not_compiled,
            "best_of_precision": timing in winners,
            "recommended": timing is recommended,
        }
        for timing in timings
    ]
    content = {
        **asdict(plan.subject),
        "n_atoms": plan.found.n_atoms,
        "beads": plan.beads,
        "cores": plan.cores,
        "timestep_fs": plan.timestep,
        "float32_force_difference_ev_per_angstrom": plan.found.rounding.difference,
        "largest_force_ev_per_angstrom": plan.found.rounding.largest_force,
        "versions": {name: version(name) for name in ("mlobs", "torch", "mace-torch")},
        "cases": cases,
    }
    text = json.dumps(content, indent=1, allow_nan=False)
    try:
        output.write_text(f"{text}\n")
    except OSError as error:
        click.echo(text)  # an hour of measurements must not be lost
        raise RecordError(
            f"{output}: cannot be written: {error.strerror}; its content is printed above"
        ) from error
