"""Read the site file, which says what every job on a cluster needs."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field, field_validator, model_validator

from mlobs_client.errors import ConfigError
from mlobs_client.files import config_file
from mlobs_client.launch.schedulers import SCHEDULERS, Scheduler
from mlobs_client.launch.time_limits import seconds_of
from mlobs_client.tables import Table, read_toml, validate

NAME: Final = "site.toml"

Word = Annotated[str, Field(pattern=r"^\S+$")]


class Site(Table):
    """A site file: what every job on a cluster requests, and what it executes first.

    ``scheduler`` is "slurm" or "pbs". ``account``, ``partition`` (the queue of PBS), ``memory`` per
    node such as "16G", ``gpu`` (the type of GPU) and ``walltime`` are those of a job. ``mail`` is
    the address for messages when a job has ended. ``modules`` are loaded, then the shell commands
    ``before`` are executed. ``options`` are further options for sbatch or qsub, such as
    "--qos=long" or "-l place=excl". ``continuation`` says how a run continues when the time of its
    job is up: "requeue" puts the job into the queue again; "chain" submits the next job in advance,
    for sites where jobs cannot requeue themselves. The default is "requeue", and "chain" with PBS.
    """

    scheduler: Literal["slurm", "pbs"] = "slurm"
    continuation: Literal["requeue", "chain"] | None = None
    modules: tuple[Word, ...] = ()
    before: tuple[str, ...] = ()
    account: Word | None = None
    partition: Word | None = None
    memory: str | None = Field(default=None, pattern=r"^\d+[MGT]$")
    gpu: Word | None = None
    walltime: str = "24:00:00"
    mail: Word | None = None
    options: tuple[str, ...] = ()

    @field_validator("walltime")
    @classmethod
    def _walltime_can_be_read(cls, time: str) -> str:
        try:
            seconds_of(time, "walltime =")
        except ConfigError as error:
            raise ValueError(str(error)) from None
        return time

    @model_validator(mode="after")
    def _scheduler_can_do_this(self) -> Site:
        if self.continuation == "requeue" and self.commands.requeue is None:
            raise ValueError(
                f"continuation = 'requeue' is not possible with scheduler = {self.scheduler!r}; "
                'write continuation = "chain", or leave it out'
            )
        for option in self.options:
            try:
                self.commands.check(option)
            except ConfigError as error:
                raise ValueError(f"options: {error}") from None
        return self

    @property
    def commands(self) -> Scheduler:
        """The options and commands of the scheduler."""
        return SCHEDULERS[self.scheduler]

    @property
    def requeues(self) -> bool:
        """True if a job whose time is up is requeued; False if it has a successor."""
        return self.continuation != "chain" and self.commands.requeue is not None

    @property
    def values(self) -> dict[str, str]:
        """The values of a job that are given, by their names in the options of the scheduler."""
        given = {name: getattr(self, name) for name in ("account", "partition", "memory", "mail")}
        return {name: value for name, value in given.items() if value is not None}

    @property
    def setup(self) -> str:
        """Lines of a script that are executed before the run."""
        loads = [f"module load {shlex.quote(module)} || exit 1" for module in self.modules]
        return "\n".join([*loads, *self.before])


def read_site(path: Path | None) -> Site:
    """Read a site file.

    Args:
        path: path of the file; with None, ``mlobs/site.toml`` in ``$XDG_CONFIG_HOME`` or
            ``~/.config``, which may be missing.

    Raises:
        ConfigError: the file is missing, is not TOML, or has an invalid setting.
    """
    default = config_file(NAME)
    if path is None and not default.exists():
        return Site()
    path = path or default
    missing = f"no such site file; without --site, {default} is read where it exists"
    return validate(Site, read_toml(path, missing), str(path))
