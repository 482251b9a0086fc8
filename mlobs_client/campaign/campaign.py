"""The runs of a campaign, their order and their files.

The folder of each run, ``runs/NAME`` beside the campaign file, is rendered from the template. The
state of a run is stored in its folder, and nowhere else.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from string import Template as Text
from typing import Final

from mlobs_client.campaign.file import START, CampaignTable, Value, read_campaign_file
from mlobs_client.campaign.rendered import INPUT, check_rendered
from mlobs_client.campaign.state import CampaignRun
from mlobs_client.campaign.template import Template, read_template
from mlobs_client.errors import ConfigError
from mlobs_client.launch import backups
from mlobs_client.tables import suggest

CHECKPOINT: Final = "start.chk"
LEFT_BY_A_RUN: Final = (
    rf"RESTART|EXIT|{CHECKPOINT}|(run|done|failed)\.json|[^/]*\.log|{backups.FOLDER}/.*"
)
FROM_CHECKPOINT: Final = f"<file mode='chk'> {CHECKPOINT} </file>"
"""Tag that reads positions, momenta, masses and the cell; thermostats start afresh."""


@dataclass(frozen=True)
class Campaign:
    """A campaign as described by its file.

    Attributes:
        path: path of the campaign file.
        table: its content.
        runs: runs by their names; each comes after the one that it continues from.
    """

    path: Path
    table: CampaignTable
    runs: Mapping[str, CampaignRun]

    @property
    def hidden(self) -> Path:
        """The folder for files that are needed while the campaign is executed."""
        return self.path.parent / ".campaign"

    @property
    def stop(self) -> Path:
        """The file whose presence keeps runs from starting and ends running ones with a RESTART."""
        return self.hidden / "stop"

    @cached_property
    def template(self) -> Template:
        """The files that are rendered for each run.

        Raises:
            ConfigError: the template is missing, lacks a file that every run needs, or has a file
                that a run left there.
        """
        template = read_template(self.path.parent / self.table.template)
        for file in (*template.copied, *template.texts):
            if re.fullmatch(LEFT_BY_A_RUN, file):
                raise ConfigError(
                    f"{template.folder / file} was left by a run, and every run would continue "
                    "from it, or stop; remove it from the template"
                )
        for file in (INPUT, *self.table.client_files):
            if file not in template.copied and file not in template.texts:
                raise ConfigError(f"{template.folder} has no {file}, which every run needs")
        return template

    def values(self, run: CampaignRun) -> dict[str, str]:
        """Return the values of the names in the template.

        Raises:
            ConfigError: ``start`` names an unknown parameter.
        """
        values = {name: str(value) for name, value in run.parameters.items()}
        if run.after is not None:
            values[START] = FROM_CHECKPOINT
        elif self.table.start is not None:
            try:
                values[START] = Text(self.table.start).substitute(values)
            except (KeyError, ValueError) as error:
                raise ConfigError(
                    f"{self.path}: {START} has a $ without a parameter ({error}); write $$ for a "
                    "dollar sign"
                ) from None
        return values

    def plan(self) -> dict[str, str]:
        """Check everything that can be checked before a run is started.

        Returns:
            Hash of the files of each run, by the name of the run.

        Raises:
            ConfigError: a name in the template has no value, a parameter is not used or makes files
                that cannot be read, or the files of a run that has made a step have changed.
        """
        self._check_names()
        self._check_files()
        digests: dict[str, str] = {}
        for name, run in self.runs.items():  # each comes behind the one that it starts from
            before = "" if run.after is None else digests[run.after]
            digests[name] = self.template.digest(self.values(run), before)
        changed = [run for run in self._changed(digests) if run.has_made_a_step()]
        if changed:
            more = f" (and {len(changed) - 1} more)" if len(changed) > 1 else ""
            raise ConfigError(
                f"run {changed[0].name}{more} would now be a different one: {self.path.name} or "
                f"{self.template.folder} has changed since it was started; undo the change, or "
                f"remove {changed[0].folder}{more} to run it anew"
            )
        return digests

    def _check_files(self) -> None:
        """Read files that all runs have in common once, and the others for each run."""
        files: Sequence[str] = (INPUT, *self.table.client_files)
        for name, run in self.runs.items():
            check_rendered(self.template, files, name, self.values(run))
            files = [file for file in files if file in self.template.texts]

    def find_replaced(self, digests: Mapping[str, str]) -> list[CampaignRun]:
        """Return runs whose files have changed and that have made no step: they start anew.

        Args:
            digests: result of :meth:`plan`.
        """
        return [run for run in self._changed(digests) if not run.has_made_a_step()]

    def _changed(self, digests: Mapping[str, str]) -> list[CampaignRun]:
        return [
            run
            for name, run in self.runs.items()
            if run.folder.exists() and run.read_digest() != digests[name]
        ]

    def digest(self, run: CampaignRun) -> str:
        """Return a hash of the files of a run and of the runs that it continues from."""
        before = ""
        for one in self._line_of(run):
            before = self.template.digest(self.values(one), before)
        return before

    def _line_of(self, run: CampaignRun) -> Sequence[CampaignRun]:
        """Return a run and all runs that it continues from, the earliest first."""
        line = [run]
        while (after := line[-1].after) is not None:
            line.append(self.runs[after])
        return line[::-1]

    def _check_names(self) -> None:
        names = self.template.names
        for name, run in self.runs.items():
            values = self.values(run)
            if START in names and START not in values:
                raise ConfigError(
                    f"{names[START]}: ${START} has no value for run {name}, which starts from no "
                    f"other run; write {START} = \"<file mode='ase'> init.xyz </file>\" into "
                    f"{self.path}"
                )
            self.template.check(values)
            if run.after is not None and START not in names:
                raise ConfigError(
                    f"{self.path}: {name} starts from the end of {run.after}, but no file in "
                    f"{self.template.folder} has ${START}; write it into <initialize> of input.xml"
                )
        used = {*names, *Text(self.table.start or "").get_identifiers()}
        for name in dict.fromkeys(n for run in self.runs.values() for n in run.parameters):
            if name not in used:
                raise ConfigError(
                    f"{self.path}: the parameter {name} changes nothing; write ${name} into a file "
                    f"in {self.template.folder}"
                )


def load(path: Path) -> Campaign:
    """Read a campaign file.

    Raises:
        ConfigError: it is missing or invalid.
    """
    table = read_campaign_file(path)
    folder = path.parent / "runs"
    named = list(_combine(table, folder) if table.parameters else _list(table, folder))
    folders = Counter(run.name.casefold() for run in named)  # some file systems know no case
    for run in named:
        if folders[run.name.casefold()] > 1:
            raise ConfigError(
                f"{path}: two runs would have the folder {run.name}; give a list of [[runs]] with "
                "names of their own"
            )
        if len(run.name) > 200:
            raise ConfigError(
                f"{path}: {run.name[:40]}... is too long for a folder name; give a list of "
                "[[runs]] with short names"
            )
    return Campaign(path, table, {run.name: run for run in _sort(named, path)})


def _combine(table: CampaignTable, folder: Path) -> Iterator[CampaignRun]:
    names = list(table.parameters)
    for values in itertools.product(*table.parameters.values()):
        parameters = dict(zip(names, values, strict=True))
        after = None
        if table.after is not None:
            of_this = table.parameters[table.after]
            place = of_this.index(parameters[table.after])
            if place > 0:
                after = _name({**parameters, table.after: of_this[place - 1]})
        name = _name(parameters)
        yield CampaignRun(name, folder / name, parameters, after)


def _name(parameters: Mapping[str, Value]) -> str:
    """Return a name that is valid in every file system and shell."""
    parts = (f"{name}={value}" for name, value in parameters.items())
    return "_".join(re.sub(r"[^A-Za-z0-9.+=_-]+", "-", part) for part in parts)


def _list(table: CampaignTable, folder: Path) -> Iterator[CampaignRun]:
    for one in table.runs:
        yield CampaignRun(one.name, folder / one.name, one.parameters, one.after)


def _sort(runs: Sequence[CampaignRun], path: Path) -> Iterator[CampaignRun]:
    """Put each run after the one that it continues from, and keep the order otherwise."""
    names = [run.name for run in runs]
    for run in runs:
        if run.after is not None and run.after not in names:
            raise ConfigError(
                f"{path}: {run.name} is after {run.after!r}, which is not a run of this campaign; "
                f"{suggest(run.after, names)}"
            )
    order = TopologicalSorter({run.name: [run.after] if run.after else [] for run in runs})
    try:
        order.prepare()
    except CycleError as error:
        circle = sorted(set(error.args[1]), key=names.index)
        raise ConfigError(
            f"{path}: {circle[0]} would start from its own end; change one `after` of "
            f"{', '.join(circle[:5])}"
        ) from None
    while ready := order.get_ready():
        yield from (run for run in runs if run.name in ready)
        order.done(*ready)
