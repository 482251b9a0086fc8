"""Options that name files of other programs, or outputs of i-PI under other names."""

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
    """Files that hold one observable of several runs.

    Attributes:
        option: the option that names the files.
        paths: the file of each run; empty if files are found by the prefixes.
        sources: key and unit of the observable; empty if the names are those of the shipped inputs.
    """

    option: str
    paths: tuple[Path, ...]
    sources: Mapping[str, Source]

    def run_set(
        self,
        wanted: spectrum.SpectrumOptions,
        integrator: spectrum.Integrator,
        temperature: float | None = None,
        records: Sequence[Path] = (),
    ) -> tuple[spectrum.SpectrumOptions, RunSet]:
        """Return the options, with file names in place of missing prefixes, and the runs.

        Args:
            wanted: the options of the command.
            integrator: holds the time step of runs whose files do not give it.
            temperature: temperature of the runs, K, which selects frames from replica exchange.
            records: one record for each run, or none.

        Raises:
            click.UsageError: there are neither files nor prefixes, or their numbers differ.
        """
        prefixes = wanted.prefixes or self.paths
        if not prefixes:
            raise click.UsageError(f"give the PREFIX of i-PI's outputs, or {self.option} FILE")
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
            prefixes, wanted.skip.picoseconds, temperature, wanted.skip.fraction,
            records=records, sources=sources, timestep=timestep,
        )  # fmt: skip
        return replace(wanted, prefixes=prefixes), runs


def options(
    observable: str, key: str, units: Mapping[str, float], formats: str
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add the options that make up the argument ``files``, a :class:`NamedFiles`.

    Args:
        observable: name of the observable in :attr:`mlobs_client.studies.runs.Run.sources`.
        key: name of the observable in files, if no other is given.
        units: units that the observable may have.
        formats: files that can be read, for the help text.
    """
    plural = observable if observable.endswith("s") else f"{observable}s"
    option = f"--{plural}"

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        @click.option(
            option, "paths", multiple=True, type=click.Path(path_type=Path), metavar="FILE",
            help=f"Read {plural} from FILE, one for each PREFIX or in place of PREFIX: {formats}.",
        )  # fmt: skip
        @click.option("--key", help=f"Name of the {plural} in FILE or in the extras.")
        @click.option(
            "--unit", type=click.Choice(list(units)),
            help=f"Unit of the {plural}, if FILE gives none.",
        )  # fmt: skip
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
