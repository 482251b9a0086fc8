"""Write a run as a job of Slurm or PBS: a script that people can read and change.

The job is one ``mlobs run --resume``, on several nodes with ``--srun``. Some minutes before its
time limit, the run stops with a RESTART, and the job puts itself into the queue again, or leaves
the rest to its successor. The successor is submitted before the run starts, so that it continues
the run when the node fails, too. A chain of jobs ends when the run is finished, has failed, or was
cancelled, and when two jobs in a row have done no step.
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
from mlobs_client.launch.schedulers import SCHEDULERS, Scheduler
from mlobs_client.launch.site import Site
from mlobs_client.launch.time_limits import in_full, seconds_to_warning

_SCRIPT: Final = """\
#!/bin/bash
{requests}

{setup}export OMP_NUM_THREADS=1               # for i-PI and drivers; client files have their own
cd {folder} || exit 1
step() {{                               # of the newest files from which the run can continue
    ls -t {checkpoints} 2> /dev/null | head -n 2 | xargs -r -d '\\n' cat |
        grep -o '<step>[^<]*' | tr -dc '0-9\\n' | sort -n | tail -n 1
}}
before=$(step)
{continuation}
{command} &
run=$!
time_is_up=no
trap 'time_is_up=yes; kill -TERM "$run"' USR1
trap '[ $time_is_up = yes ] || give_up' TERM    # {cancel}: the run has got the signal too
wait "$run"; status=$?
while kill -0 "$run" 2> /dev/null; do   # a signal has ended the wait, but not the run
    wait "$run"; status=$?
done
{timed_out}# A job that has done no step would do none the next time either.
if [ $time_is_up = yes ] && [ $status -eq 143 ] && [ "$(step)" != "$before" ]; then
    go_on
else
    give_up
fi
exit $status
"""

_TIMED_OUT: Final = """\
if [ $status -eq 124 ]; then time_is_up=yes; status=143; fi     # 124 is that of timeout
"""

_REQUEUE: Final = """\
go_on() {{ {requeue}; }}
give_up() {{ :; }}
"""

_CHAIN: Final = """\
submit() {{
    next=$({succeed}) && echo "the next job is $next"
}}
go_on() {{ [ -n "$next" ] || submit; }}
give_up() {{ [ -z "$next" ] || {cancel} "${{next%%;*}}"; next=; }}
trap 'give_up; exit 143' TERM
next=
# The next job waits for the end of this one, and continues even if the node fails. After a job that
# has ended without a step, there is none before this one has done a step.
[ "$before" = "{since}" ] || submit
"""


@dataclass(frozen=True)
class Job:
    """A run, and the resources that its job requests.

    Attributes:
        path: path of the script, in the working directory of the run.
        command: command of the run, which stops with status 143 after SIGTERM, and continues when
            it is started again.
        time: time limit as Slurm writes it, for example ``24:00:00`` or ``2-12:00:00``.
        cpus: cores per task.
        gpus: GPUs per node.
        gpu: type of the GPUs; None for any.
        nodes: number of nodes.
        tasks: number of tasks; on one node, one for i-PI and all clients, and on several nodes,
            one for i-PI and one for each client.
        options: further options of ``sbatch`` or ``qsub``, for example ``--partition=long``.
        checkpoints: names of the files from which the run can continue, beside RESTART.
    """

    path: Path
    command: Sequence[str]
    time: str
    cpus: int
    gpus: int = 0
    gpu: str | None = None
    nodes: int = 1
    tasks: int = 1
    options: Sequence[str] = ()
    checkpoints: Sequence[str] = ()


def script(job: Job, site: Site) -> str:
    """Return the script of a job, which is named after its folder.

    Args:
        job: the run, and the resources that it requests.
        site: what jobs on this cluster need.

    Raises:
        ConfigError: the time limit is invalid or too short to stop in, an option is invalid, or
            the job needs several nodes of PBS.
    """
    commands = site.commands
    seconds = seconds_to_warning(job.time)
    lines = (*commands.of_job[:1], *commands.of_site, *commands.of_job[1:])
    words = {
        "requeue": commands.requeue,
        "succeed": commands.succeed.format(script=shlex.quote(job.path.name)),
        "since": commands.since,
        "cancel": commands.cancel,
    }
    kept = [f"{shlex.quote(name)}*" for name in job.checkpoints]
    return _SCRIPT.format(
        requests="\n".join(
            commands.requests(lines, _values(job, site), (*site.options, *job.options))
        ),
        setup=f"{site.setup}\n" if site.setup else "",
        folder=shlex.quote(str(job.path.parent)),
        checkpoints=" ".join(["RESTART", *kept]),
        continuation=(_REQUEUE if site.requeues else _CHAIN).format(**words),
        command=commands.prefix.format(seconds=seconds) + shlex.join(job.command),
        cancel=commands.cancel,
        timed_out=_TIMED_OUT if commands.prefix else "",
    )


def _values(job: Job, site: Site) -> dict[str, object]:
    """Return the values of the options of a scheduler; those that have none are left out."""
    name = re.sub(r"[^A-Za-z0-9_.-]", "_", job.path.parent.name)
    values: dict[str, object] = {
        **site.values,
        "name": name if name[:1].isalpha() else f"run-{name}",  # PBS wants a letter first
        "nodes": job.nodes,
        "tasks": job.tasks,
        "cpus": job.cpus,
        "time": in_full(job.time),
        "requeued" if site.requeues else "chained": "",
    }
    if "memory" in values:
        values["bytes"] = f"{site.memory}b".lower()
    if job.nodes > 1:
        values["several_nodes"] = ""
    if job.gpus:
        values["gpus"] = job.gpus
        values["gpus_of_type"] = f"{job.gpu}:{job.gpus}" if job.gpu else job.gpus
        values |= {"gpu": job.gpu} if job.gpu else {}
    return values


def write(path: Path, text: str, scheduler: Scheduler) -> bool:
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
            f"({how_to_submit(path, scheduler)}), or remove it"
        )
    with replacing(path, 0o777, error=LaunchError) as draft:
        draft.write_text(text, encoding="utf-8")
    return True


def find_scheduler(path: Path) -> Scheduler | None:
    """Return the scheduler of a script of ``mlobs launch``; None if there is none, or another."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return None
    if re.search(r"\bmlobs(_client)? run ", text) is None:
        return None
    found = (one for one in SCHEDULERS.values() if f"\n{one.marker} " in text)
    return next(found, None)


def how_to_submit(path: Path, scheduler: Scheduler) -> str:
    """Return the command line that submits a script."""
    return f"cd {shlex.quote(str(path.parent))}; {scheduler.submit[0]} {shlex.quote(path.name)}"


def submit(path: Path, scheduler: Scheduler) -> str:
    """Submit a script; return the job ID.

    Raises:
        LaunchError: the scheduler is not on the PATH, or refuses the script; the error has its
            message.
    """
    try:
        done = subprocess.run(
            [*scheduler.submit, path.name],
            cwd=path.parent,
            capture_output=True,
            text=True,
            check=True,
        )
    except FileNotFoundError:
        raise LaunchError(
            f"the command {scheduler.submit[0]} is not on the PATH; where {scheduler.name} is, "
            f"run: {how_to_submit(path, scheduler)}"
        ) from None
    except subprocess.CalledProcessError as error:
        words = error.stderr.strip().splitlines() or [f"status {error.returncode}"]
        raise LaunchError(f"{scheduler.name} refuses {path}: {words[-1]}") from error
    return done.stdout.strip().split(";")[0]
