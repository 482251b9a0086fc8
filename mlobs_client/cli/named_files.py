"""Options for files that are not named as those of the shipped inputs, or of other programs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import wraps
from pathlib import Path
from typing import Any

import click

from mlobs_client.cli import spectrum
from mlobs_client.ipi.series import Source
from mlobs_client.studies.run_set import RunSet
from mlobs_client.units import FEMTOSECOND


@dataclass(frozen=True)
class NamedFiles:
    """Where one observable of several runs is.

    Attributes:
        option: that names the files.
        paths: of each run; none for what is found with the prefixes.
        sources: of the observable, without path; empty for what the shipped inputs write.
    """

    option: str
    paths: tuple[Path, ...]
    sources: Mapping[str, Source]

    def run_set(
        self,
        wanted: spectrum.Wanted,
        integrator: spectrum.Integrator,
        temperature: float | None = None,
        records: Sequence[Path] = (),
    ) -> tuple[spectrum.Wanted, RunSet]:
        """Return what is wanted, with the names of files where there are no prefixes, and the runs.

        Args:
            wanted: of the command.
            integrator: with the time step of runs that do not tell it.
            temperature: K, which one of replica exchange.
            records: one for each run, or none.

        Raises:
            click.UsageError: neither files nor prefixes, or not as many of both.
        """
        prefixes = wanted.prefixes or self.paths
        if not prefixes:
            raise click.UsageError(f"give PREFIX of i-PI's outputs, or {self.option} FILE")
        if self.paths and len(self.paths) != len(prefixes):
            raise click.UsageError(
                f"give {self.option} once for each of the {len(prefixes)} PREFIX, not "
                f"{len(self.paths)} times"
            )
        sources = [
            {name: replace(source, path=path) for name, source in self.sources.items()}
            for path in self.paths or (None,) * len(prefixes)
        ]
        timestep = None if integrator.timestep is None else integrator.timestep * FEMTOSECOND
        runs = RunSet(
            prefixes, wanted.skip, temperature, records=records, sources=sources, timestep=timestep
        )
        return replace(wanted, prefixes=prefixes), runs


def options(
    observable: str, key: str, units: Mapping[str, float], of_files: str
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The options that make up :class:`NamedFiles`, the argument ``files``.

    Args:
        observable: as in :attr:`mlobs_client.studies.runs.Run.sources`.
        key: what it is called in files, if nothing is said.
        units: that it may have.
        of_files: for the help, which files can be read.
    """
    plural = observable if observable.endswith("s") else f"{observable}s"
    option = f"--{plural}"

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        @click.option(
            option, "paths", multiple=True, type=click.Path(path_type=Path), metavar="FILE",
            help=f"Read {plural} from FILE, one for each PREFIX, or without PREFIX: {of_files}.",
        )  # fmt: skip
        @click.option("--key", help=f"Name of the {observable} in FILE or in the extras.")
        @click.option("--unit", type=click.Choice(list(units)), help="Unit, if FILE gives none.")
        @wraps(function)
        def called(
            *arguments: Any,
            paths: tuple[Path, ...],
            key: str | None,
            unit: str | None,
            **others: Any,
        ) -> None:
            named = bool(paths or key or unit)
            source = Source(key or default_key, unit or "")
            files = NamedFiles(option, paths, {observable: source} if named else {})
            function(*arguments, files=files, **others)

        return called

    default_key = key
    return decorate
