"""Read the campaign file, which lists the runs and says how they are executed.

Paths are relative to the campaign file, so that a folder can be moved as a whole.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field, PlainValidator, model_validator

from mlobs_client.tables import Table, read_toml, suggest, validate

START: Final = "start"
"""Name that a template uses for the initial state of a run."""

TAKEN: Final = (START, "run", "after", "state", "steps")
"""Names that parameters cannot have: templates and the table of results use them."""

Value = int | float | str


def _check_value(value: object) -> Value:
    is_plain = isinstance(value, int | float | str) and not isinstance(value, bool)
    if not is_plain or (isinstance(value, float) and not math.isfinite(value)):
        raise ValueError(f"{value!r} is neither a finite number nor text")
    return value  # type: ignore[return-value]


_Checked = Annotated[Value, PlainValidator(_check_value)]


class Local(Table):
    """[execution] with kind = "local": processes on this machine, started by threads of parsl.

    ``at_once`` is the number of runs that are executed at the same time; they share the GPUs of the
    machine out. ``retries`` says how often a run that failed without progress is continued before
    it counts as failed.
    """

    kind: Literal["local"]
    at_once: int = Field(default=1, ge=1)
    retries: int = Field(default=1, ge=0)


class Slurm(Table):
    """[execution] with kind = "slurm": Slurm jobs of one node, each with one run at a time.

    ``walltime`` and ``cores`` are the time limit and the number of cores of a job. By default,
    ``walltime`` is that of the site file, or "24:00:00", and there is one core for each thread of
    each client, one for each driver, and one for i-PI. ``options`` are further options for sbatch,
    such as "--partition=long"; they replace those of the same name in the site file.
    ``worker_init`` holds shell commands that a job executes after those of the site file.
    ``address`` is the address, in the network of the nodes, of the machine on which the campaign is
    started: parsl listens there and nowhere else.
    """

    kind: Literal["slurm"]
    at_once: int = Field(default=1, ge=1)
    retries: int = Field(default=1, ge=0)
    walltime: str | None = Field(default=None, pattern=r"^\d+:\d\d:\d\d$")
    cores: int | None = Field(default=None, ge=1)
    options: tuple[Annotated[str, Field(pattern=r"^--[a-z][a-z-]*(=\S+)?$")], ...] = ()
    worker_init: str = ""
    address: str


class Parsl(Table):
    """[execution] with kind = "parsl": any configuration of parsl.

    ``config`` names a function that returns a ``parsl.Config``: "module:function" or
    "file.py:function". The function is code that runs with your permissions.
    """

    kind: Literal["parsl"]
    config: str = Field(pattern=r"^[^:]+:\w+$")
    retries: int = Field(default=1, ge=0)


class RunTable(Table):
    """One of [[runs]]: its name, its parameters, and the run that it continues from."""

    name: str = Field(pattern=r"^\w[\w.,+=-]*$", max_length=200)
    parameters: dict[str, _Checked] = Field(default_factory=dict)
    after: str | None = None


class CampaignTable(Table):
    """A campaign file.

    ``template`` is a folder with ``input.xml``, ``client_files`` and whatever they need.
    ``clients`` is -n of ``mlobs run``, and ``drivers`` are command lines for its --driver. There
    are either ``parameters``, of which all combinations are run, or ``runs``. ``after`` names a
    parameter: a run then continues from the end of the run with the previous value of this
    parameter. ``start`` is the value of ``$start`` in the other runs.
    """

    RENAMED: ClassVar[dict[str, str]] = {"beside": "drivers"}

    template: str = "template"
    clients: int = Field(default=1, ge=0)
    client_files: tuple[str, ...] = Field(default=("client.toml",), min_length=1)
    drivers: tuple[str, ...] = ()
    start: str | None = None
    after: str | None = None
    parameters: dict[str, tuple[_Checked, ...]] = Field(default_factory=dict)
    runs: tuple[RunTable, ...] = ()
    execution: Annotated[Local | Slurm | Parsl, Field(discriminator="kind")] = Local(kind="local")

    @model_validator(mode="after")
    def _runs_are_given_in_one_way(self) -> CampaignTable:
        if bool(self.parameters) == bool(self.runs):
            raise ValueError(
                "give either [parameters], of which all combinations are run, or a list of [[runs]]"
            )
        if self.after is not None and self.after not in self.parameters:
            remedy = (
                suggest(self.after, self.parameters)
                if self.parameters
                else ('write after = "NAME" into the [[runs]]')
            )
            raise ValueError(f"after = {self.after!r} is not one of [parameters]; {remedy}")
        return self

    @model_validator(mode="after")
    def _parameters_can_be_replaced(self) -> CampaignTable:
        names = {*self.parameters, *(name for run in self.runs for name in run.parameters)}
        for name in sorted(names):
            if not (name.isidentifier() and name.isascii()) or name in TAKEN:
                raise ValueError(
                    f"{name!r} cannot be the name of a parameter; use letters, digits and _, "
                    f"but none of {', '.join(TAKEN)}"
                )
        for name, values in self.parameters.items():
            if not values or len({str(value) for value in values}) < len(values):
                raise ValueError(f"{name} = {list(values)} must have values, all different")
        return self


def read_campaign_file(path: Path) -> CampaignTable:
    """Read and validate a campaign file.

    Raises:
        ConfigError: the file is missing, is not TOML, or is invalid.
    """
    missing = "no such campaign file; 'mlobs init campaign-temperatures' writes one to start from"
    return validate(CampaignTable, read_toml(path, missing), str(path))
