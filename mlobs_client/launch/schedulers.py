"""The options and commands of Slurm and PBS, as data: jobs of both are written from one template.

Slurm is tested with a real cluster. For PBS, the commands are those of the manual of OpenPBS, and
only the text of the scripts is tested.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from mlobs_client.errors import ConfigError
from mlobs_client.launch.time_limits import WARNING

Lines = tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Scheduler:
    """The options and commands of a batch system.

    Attributes:
        name: its name.
        marker: start of a line with options in a script.
        of_site: options whose values are those of a site, each in parts, in which {NAME} stands
            for a value. A part whose value is missing is left out.
        of_job: the other options.
        pattern: pattern of an option; its first group is the name of the option.
        example: an option that a user may add.
        fixed: names of options that the script depends on.
        submit: words that submit the script that follows them, and print the ID of the job.
        cancel: command that cancels the job whose ID follows.
        requeue: command that puts this job into the queue again; None if owners cannot do that.
        succeed: command that submits {script} as the successor of this job, which starts after it,
            and tells the successor the step ``$before``.
        since: the step that the predecessor has told; "none" without one.
        prefix: words before the command of the run. They must stop it after {seconds}, unless the
            scheduler sends USR1.
        has_srun: True if srun can start clients on all nodes of a job.
    """

    name: str
    marker: str
    of_site: Lines
    of_job: Lines
    pattern: str
    example: str
    fixed: frozenset[str]
    submit: tuple[str, ...]
    cancel: str
    requeue: str | None
    succeed: str
    since: str
    prefix: str = ""
    has_srun: bool = True

    def requests(
        self, lines: Lines, values: Mapping[str, object], options: Iterable[str]
    ) -> list[str]:
        """Return the lines of a script that hold the options of its job.

        Args:
            lines: ``of_site``, ``of_job`` or both.
            values: values of the names in them.
            options: further options, which replace those of the same name.

        Raises:
            ConfigError: an option is invalid, or the script depends on it.
        """
        filled = ("".join(_fill(part, values) for part in line) for line in lines)
        named = {self._name(line): line for line in filled if line}
        for option in options:
            self.check(option)
            named[self._name(option)] = option
        return [f"{self.marker} {line}" for line in named.values()]

    def check(self, option: str) -> None:
        """Refuse what is not one option, and would begin another line of the script, for example.

        Raises:
            ConfigError: the option is invalid, or the script depends on it.
        """
        command = self.submit[0]
        if re.fullmatch(self.pattern, option) is None:
            raise ConfigError(
                f"--{command} {option!r} is not an option of {command}; write it as one word, for "
                f"example {shlex.quote(f'--{command}={self.example}')}"
            )
        if self._name(option) in self.fixed:
            raise ConfigError(
                f"--{command}={option}: the job needs its own; --time is an option of mlobs "
                "launch, the rest can be changed in the script"
            )

    def _name(self, option: str) -> str:
        match = re.match(self.pattern, option)
        return match[1] if match else option


def _fill(part: str, values: Mapping[str, object]) -> str:
    try:
        return part.format_map(values)
    except KeyError:
        return ""


SLURM: Final = Scheduler(
    name="Slurm",
    marker="#SBATCH",
    of_site=(("--account={account}",), ("--partition={partition}",), ("--mem={memory}",)),
    of_job=(
        ("--job-name={name}",),
        ("--nodes={nodes}",),
        ("--ntasks={tasks}",),
        ("--cpus-per-task={cpus}",),
        ("--gpus-per-node={gpus_of_type}",),
        ("--time={time}",),
        (f"--signal=B:USR1@{WARNING}",),
        ("--requeue{requeued}",),
        ("--no-requeue{chained}",),
        ("--no-kill{several_nodes}",),  # the others continue when a node has failed
        ("--mail-user={mail} --mail-type=END,FAIL",),
        ("--open-mode=append",),
        ("--output=%x-%j.out",),
    ),
    pattern=r"(--[a-z][a-z-]*)(=\S+)?",
    example="--partition=long",
    fixed=frozenset(
        (
            *("--nodes", "--ntasks", "--cpus-per-task", "--time", "--signal"),
            *("--requeue", "--no-requeue", "--no-kill"),
        )
    ),
    submit=("sbatch", "--parsable"),
    cancel="scancel",
    requeue='scontrol requeue "$SLURM_JOB_ID"',
    succeed='sbatch --parsable --dependency=afterany:"$SLURM_JOB_ID" {script} "$before"',
    since="${1-none}",
)

PBS: Final = Scheduler(
    name="PBS",
    marker="#PBS",
    of_site=(("-A {account}",), ("-q {partition}",)),
    of_job=(
        ("-N {name}",),
        ("-l select={nodes}:ncpus={cpus}", ":mem={bytes}", ":ngpus={gpus}", ":gpu_type={gpu}"),
        ("-l walltime={time}",),
        ("-r n",),  # its successor continues it
        ("-M {mail} -m ae",),
        ("-j oe",),
    ),
    pattern=r"(-[A-Za-z](?: \w+(?==))?)(?: ?\S+)?",
    example="-l place=excl",
    fixed=frozenset(("-l walltime", "-r")),
    submit=("qsub",),
    cancel="qdel",
    requeue=None,
    succeed='qsub -W depend=afterany:"$PBS_JOBID" -v since="$before" {script}',
    since="${since-none}",
    prefix="timeout {seconds} ",
    has_srun=False,
)

SCHEDULERS: Final = {"slurm": SLURM, "pbs": PBS}
