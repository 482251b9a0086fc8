"""Write a run as a Slurm job: a script that people can read and change.

The job is one ``mlobs run --resume``, on several nodes with ``--srun``. Some minutes before its
time limit, Slurm sends SIGUSR1 (``scancel`` sends SIGTERM); the run stops with a RESTART, and the
job requeues itself. Slurm requeues a job whose node has failed.
"""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mlobs_client.errors import ConfigError, LaunchError
from mlobs_client.files import replacing

WARNING: Final = 180
"""Seconds before the time limit of a job at which it is warned. Slurm checks its clock once a
minute; the rest is for a step and the RESTART."""


_OURS: Final = (
    "--nodes", "--ntasks", "--cpus-per-task", "--time", "--signal", "--requeue", "--no-requeue",
    "--no-kill",
)  # fmt: skip


_SCRIPT: Final = """\
#!/bin/bash
{directives}

cd {folder} || exit 1
step() {{ grep -o '<step>[^<]*' RESTART 2> /dev/null; }}
before=$(step)
{command} &
run=$!
time_is_up=no
trap 'time_is_up=yes; kill -TERM "$run"' USR1
trap : TERM                             # scancel: the run has got the signal too
wait "$run"; status=$?
while kill -0 "$run" 2> /dev/null; do   # a signal has ended the wait, but not the run
    wait "$run"; status=$?
done
# A job that has done no step would do none the next time either.
if [ $time_is_up = yes ] && [ $status -eq 143 ] && [ "$(step)" != "$before" ]; then
    scontrol requeue "$SLURM_JOB_ID"
fi
exit $status
"""


@dataclass(frozen=True)
class Job:
    """The resources that a job requests.

    Attributes:
        name: name of the job.
        time: time limit as Slurm writes it, for example ``24:00:00`` or ``2-12:00:00``.
        cpus: cores per task.
        gpus: GPUs per node.
        nodes: number of nodes.
        tasks: number of tasks; on one node, one for i-PI and all clients, and on several nodes,
            one for i-PI and one for each client.
        options: further options of ``sbatch``, for example ``--partition=long``.
    """

    name: str
    time: str
    cpus: int
    gpus: int = 0
    nodes: int = 1
    tasks: int = 1
    options: Sequence[str] = ()


def script(job: Job, folder: Path, command: Sequence[str]) -> str:
    """Return the script of a job.

    Args:
        job: the resources that it requests.
        folder: its working directory.
        command: command of the run, which stops with status 143 after SIGTERM, and continues when
            it is started again.

    Raises:
        ConfigError: the time limit is invalid or too short to stop in, or an option is invalid.
    """
    if (seconds := seconds_of(job.time)) < 2 * WARNING:
        raise ConfigError(
            f"--time {job.time} is {seconds} s, of which the last {WARNING} are for stopping; give "
            f"at least {2 * WARNING} s, for example 00:10:00"
        )
    asked = [
        "--job-name=" + re.sub(r"[^\w.-]", "_", job.name),
        f"--nodes={job.nodes}",
        f"--ntasks={job.tasks}",
        f"--cpus-per-task={job.cpus}",
        *([f"--gpus-per-node={job.gpus}"] if job.gpus else []),
        f"--time={job.time}",
        f"--signal=B:USR1@{WARNING}",
        "--requeue",
        *(["--no-kill"] if job.nodes > 1 else []),  # the others continue when a node has failed
        "--open-mode=append",
        "--output=%x-%j.out",
        *(_checked(option) for option in job.options),
    ]
    return _SCRIPT.format(
        directives="\n".join(f"#SBATCH {option}" for option in asked),
        folder=shlex.quote(str(folder)),
        command=shlex.join(command),
    )


def seconds_of(time: str) -> int:
    """Return a time limit of Slurm in seconds.

    Slurm reads ``minutes``, ``minutes:seconds``, ``hours:minutes:seconds``, ``days-hours``,
    ``days-hours:minutes`` and ``days-hours:minutes:seconds``.

    Raises:
        ConfigError: it has another form.
    """
    match = re.fullmatch(r"(?:(\d+)-)?(\d+(?::\d+){0,2})", time)
    if match is None:
        raise ConfigError(
            f"--time {time!r} is not a time limit of Slurm; write hours:minutes:seconds, for "
            "example 24:00:00, or days-hours, for example 2-12"
        )
    days, numbers = match[1], [int(number) for number in match[2].split(":")]
    if days is not None:  # from hours downwards
        hours, minutes, seconds = (*numbers, 0, 0)[:3]
    elif len(numbers) == 3:
        hours, minutes, seconds = numbers
    else:  # from minutes downwards
        hours, (minutes, seconds) = 0, (*numbers, 0)[:2]
    return ((int(days or 0) * 24 + hours) * 60 + minutes) * 60 + seconds


def _checked(option: str) -> str:
    """Return an option as a line of the script; it must not begin another line."""
    if re.fullmatch(r"--[a-z][a-z-]*(=\S+)?", option) is None:
        raise ConfigError(
            f"--sbatch {option!r} is not an option of sbatch; write it as one word, for example "
            "--sbatch=--partition=long"
        )
    if option.split("=")[0] in _OURS:
        raise ConfigError(
            f"--sbatch={option}: the job needs its own; --time is an option of mlobs launch, the "
            "rest can be changed in the script"
        )
    return option


def write(path: Path, text: str) -> bool:
    """Write a script, unless it exists already; return whether it is new.

    Raises:
        ConfigError: another script exists, perhaps changed by its owner.
        LaunchError: it cannot be read or written.
    """
    try:
        before = path.read_bytes() if path.is_file() else None
    except OSError as error:
        raise LaunchError(f"{path}: cannot be read: {error.strerror}") from error
    if before == text.encode():
        return False
    if before is not None:
        raise ConfigError(
            f"{path} exists already, and would be a different job now; submit it as it is "
            f"({how_to_submit(path)}), or remove it"
        )
    with replacing(path, 0o777, error=LaunchError) as draft:
        draft.write_text(text, encoding="utf-8")
    return True


def how_to_submit(path: Path) -> str:
    """Return the command line that submits a script."""
    return f"cd {shlex.quote(str(path.parent))}; sbatch {shlex.quote(path.name)}"


def submit(path: Path) -> str:
    """Submit a script to Slurm; return the job ID.

    Raises:
        LaunchError: sbatch is not on the PATH, or refuses the script; the error has its message.
    """
    try:
        done = subprocess.run(
            ["sbatch", "--parsable", path.name],
            cwd=path.parent,
            capture_output=True,
            text=True,
            check=True,
        )
    except FileNotFoundError:
        raise LaunchError(
            f"the command sbatch is not on the PATH; where Slurm is, run: {how_to_submit(path)}"
        ) from None
    except subprocess.CalledProcessError as error:
        words = error.stderr.strip().splitlines() or [f"status {error.returncode}"]
        raise LaunchError(f"Slurm refuses {path}: {words[-1]}") from error
    return done.stdout.strip().split(";")[0]
