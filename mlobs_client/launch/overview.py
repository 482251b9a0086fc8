"""Find out what a folder of i-PI holds, whoever started the run; nothing in it is changed.

Of logs, properties and trajectories, the ends alone are read.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import Final

from mlobs_client.errors import MlobsError
from mlobs_client.ipi import input as ipi_input
from mlobs_client.ipi.input import IpiInput
from mlobs_client.launch.backups import BLOWN_UP, find_outputs
from mlobs_client.launch.checkpoints import Checkpoint, find_newest
from mlobs_client.launch.ending import SUCCESS
from mlobs_client.launch.folder import LOG
from mlobs_client.launch.options import EXPLODED
from mlobs_client.launch.progress import DAY, Progress, Recent, Status, timestep_of
from mlobs_client.launch.run_log import NAME, Started, find_command, find_ending
from mlobs_client.launch.sections import Section, read_last_section, split_date
from mlobs_client.launch.stamps import stamps
from mlobs_client.locks import find_holders, find_writers, is_held

LOGS: Final = ("*.log", "log.*", "*.err", "slurm-*.out")
MAX_LOGS: Final = 12  # the newest
# by i-PI 3.3.1, both
_AVERAGE: Final = re.compile(r"Average timings at MD step +\d+\. t/step: +(\d\.\d+e[+-]\d\d)")
_START: Final = "@simulation: Initializing simulation object"
_STEP: Final = re.compile(r"step (\d+)/")  # a Status, as text


class State(Enum):
    """The state of a folder."""

    EMPTY = "empty"
    FOREIGN = "no run of i-PI"
    PLANNED = "not started"
    RUNNING = "running"
    FINISHED = "finished"
    STOPPED = "stopped"
    KILLED = "killed"
    FAILED = "failed"
    EXPLODED = "exploded"


@dataclass(frozen=True)
class Overview:
    """The contents of a folder; None where its files do not show it.

    Attributes:
        folder: the folder.
        state: state of the run.
        ipi: the input; None if there is none that can be read.
        started: command line of the last ``mlobs run``.
        logs: last section of each log, by its name, the newest first.
        status: step, temperature and spread in the outputs.
        recent: temperature over the last part of the run.
        checkpoint: file that the run would continue from.
        steps_per_second: speed since the last start.
        age: seconds since the last output.
        processes: IDs of the processes of this machine that work there.
        problem: why something cannot be read; empty if all can.
    """

    folder: Path
    state: State
    ipi: IpiInput | None = None
    started: Started | None = None
    logs: Mapping[str, Section] = field(default_factory=dict)
    status: Status | None = None
    recent: Recent | None = None
    checkpoint: Checkpoint | None = None
    steps_per_second: float | None = None
    age: float | None = None
    processes: Sequence[int] = ()
    problem: str = ""

    @property
    def step(self) -> int:
        """Number of steps that are done."""
        written = 0 if self.status is None else self.status.step or 0
        restart = 0 if self.checkpoint is None else self.checkpoint.step
        return max(written, restart, 0 if self.ipi is None else self.ipi.step)

    @property
    def total_steps(self) -> int:
        """Number of the last step."""
        if self.checkpoint is not None:
            return self.checkpoint.total_steps
        return 0 if self.ipi is None else self.ipi.total_steps

    @property
    def ns_per_day(self) -> float | None:
        """Simulated time over wall time, ns/day; None without dynamics."""
        if self.ipi is None or self.steps_per_second is None:
            return None
        try:
            timestep = timestep_of(self.ipi)
        except MlobsError:
            return None
        return None if timestep is None else self.steps_per_second * timestep * 1e-6 * DAY


def read_overview(folder: Path) -> Overview:
    """Read what a folder holds.

    Raises:
        OSError: the folder cannot be read.
    """
    is_empty = next(folder.iterdir(), None) is None
    logs = _read_logs(folder)
    started = find_command(logs[NAME], folder) if NAME in logs else None
    try:
        ipi = _find_input(folder, started)
    except MlobsError as error:
        return Overview(folder, State.FOREIGN, started=started, logs=logs, problem=str(error))
    if ipi is None:
        return Overview(folder, State.EMPTY if is_empty else State.FOREIGN, logs=logs)
    return _read_run(Overview(folder, State.PLANNED, ipi, started, logs), ipi)


def _read_run(found: Overview, ipi: IpiInput) -> Overview:
    problems: list[str] = []
    try:
        start = Checkpoint(ipi.path, ipi.step, ipi.total_steps) if ipi.step else None
        found = replace(found, checkpoint=find_newest(ipi) or start)
    except (MlobsError, OSError) as error:
        problems.append(str(error))
    try:
        progress = Progress(ipi, reads_old=True)
        found = replace(found, status=progress.read(0), recent=progress.read_recent())
    except (MlobsError, OSError) as error:
        problems.append(str(error))
    outputs = {path: mtime_ns * 1e-9 for path, (*_, mtime_ns) in stamps(find_outputs(ipi)).items()}
    newest = max(outputs, key=outputs.__getitem__, default=None)
    is_running, processes = _find_processes(found.folder, newest)
    if newest is not None:
        speed = _speed(found.logs, found.status, outputs[newest])
        age = max(0.0, time.time() - outputs[newest])
        found = replace(found, steps_per_second=speed, age=age)
    state = State.RUNNING if is_running else _judge(found, has_outputs=bool(outputs))
    return replace(found, state=state, processes=processes, problem="; ".join(problems))


def _read_logs(folder: Path) -> dict[str, Section]:
    paths = {path for pattern in LOGS for path in folder.glob(pattern) if path.is_file()}
    newest = sorted(paths, key=lambda path: (path.stat().st_mtime, path.name), reverse=True)
    logs = {}
    for path in newest[:MAX_LOGS]:
        try:
            logs[path.name] = read_last_section(path)
        except OSError as error:
            logs[path.name] = Section("", (f"cannot be read: {error.strerror}",))
    return logs


def _find_input(folder: Path, started: Started | None) -> IpiInput | None:
    """Find the input that was run last, else ``input.xml``, another input, or the RESTART.

    Raises:
        ConfigError: there are files with these names, and none of them can be read.
    """
    words = [Path(word).name for word in started.words] if started else []
    xml = sorted(path.name for path in folder.glob("*.xml"))
    named = [word for word in words if word in xml or word.startswith("RESTART")]
    failure = None
    for name in dict.fromkeys([*named, "input.xml", *xml, "RESTART"]):
        if (folder / name).is_file():
            try:
                return ipi_input.read(folder / name)
            except MlobsError as error:
                failure = failure or error
    if failure is not None:
        raise failure
    return None


def _find_processes(folder: Path, output: Path | None) -> tuple[bool, list[int]]:
    """Return whether somebody works in a folder, and the processes of this machine that do."""
    log = folder / LOG
    try:
        if holders := find_holders(log) if log.exists() else {}:
            return True, sorted(holders)
        if writers := find_writers(output) if output is not None else []:
            return True, writers  # an i-PI without mlobs
        return is_held(log), []
    except MlobsError:  # a file is gone
        return False, []


def _speed(logs: Mapping[str, Section], status: Status | None, written: float) -> float | None:
    """Return steps per second since the last start.

    They are counted from the first step in our own log to the last one there or, if there is only
    one, to the last output, whose date a copy may not have; else they are i-PI's last average.
    """
    seen = []
    for line in logs[NAME].lines if NAME in logs else ():
        date, words = split_date(line)
        if date is not None and (match := _STEP.match(words)):
            seen.append((date.timestamp(), int(match[1])))
    if len(seen) == 1 and status is not None and status.step is not None:
        seen.append((written, status.step))
    if seen:
        seconds, n_steps = seen[-1][0] - seen[0][0], seen[-1][1] - seen[0][1]
        if n_steps > 0 and seconds > 1.0:  # dates have no fractions
            return n_steps / seconds
    for section in logs.values():
        text = "\n".join(section.lines).rpartition(_START)[2]
        averages = [float(seconds) for seconds in _AVERAGE.findall(text)]
        if len(averages) > 1 and averages[-1] > 0.0:  # the first one has the start of the clients
            return 1.0 / averages[-1]
    return None


def _judge(found: Overview, *, has_outputs: bool) -> State:
    """Return the state of a run that is over."""
    temperature = None if found.status is None else found.status.temperature
    if (found.folder / BLOWN_UP).exists() or not (temperature or 0.0) <= EXPLODED:
        return State.EXPLODED
    if found.step >= found.total_steps:
        return State.FINISHED
    if NAME in found.logs:  # the log of an i-PI that it did not come to start tells nothing
        ending = find_ending(found.logs[NAME])
        return State.KILLED if ending is None else State(ending.value)
    if any(SUCCESS in line for section in found.logs.values() for line in section.lines):
        return State.FINISHED
    if found.checkpoint is not None and found.checkpoint.path.name == "RESTART":
        return State.STOPPED
    return State.KILLED if has_outputs or found.checkpoint else State.PLANNED
