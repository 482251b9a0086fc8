"""The dipoles of several runs of one system, on one branch, at one temperature and volume."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import click
import numpy as np

from mlobs_client.analysis.response.branches_of_runs import align_relaxed, align_runs, say_moved
from mlobs_client.analysis.volume import common_volume
from mlobs_client.cli import spectrum
from mlobs_client.structure import Array
from mlobs_client.studies.replica_exchange import open_run, refuse_alignment
from mlobs_client.studies.runs import Run

KEEP: Final = "run longer, or say --branches keep if all are on one branch"


@dataclass(frozen=True)
class DipoleSamples:
    """Dipoles of several runs of one system.

    Attributes:
        runs: whose they are.
        dipoles: of each, shape ``(t, 3)``, e bohr.
        parts: of each, the samples that follow each other in time.
        timestep: between samples, atu.
        volume: mean over all runs, bohr^3.
        cell: mean over all runs, shape ``(3, 3)``, bohr, lattice vectors are rows.
    """

    runs: list[Run]
    dipoles: list[Array]
    parts: list[list[slice]]
    timestep: float
    volume: float
    cell: Array

    @classmethod
    def of(
        cls, prefixes: tuple[Path, ...], skip: float, temperature: float | None = None
    ) -> DipoleSamples:
        """Read the dipoles of all runs.

        Args:
            prefixes: of i-PI's outputs.
            skip: ps left out at the start of each.
            temperature: K, which is held against that of the runs; None for runs that are not at
                equilibrium.

        Raises:
            RecordError: files are missing, or the runs are not of one system.
            ConfigError: the runs were at another temperature.
        """
        dipoles, parts, spacings, cells = [], [], [], []
        runs = [open_run(prefix, temperature) for prefix in prefixes]
        for run in runs:
            read = run.dipoles()
            chosen = spectrum.Selection.of(run, read.steps, skip, temperature)
            dipoles.append(read.mean[chosen.kept])
            parts.append(chosen.parts)
            spacings.append(chosen.spacing)
            cells.append(run.cells(chosen.first))
        return cls(
            runs,
            dipoles,
            parts,
            spectrum.common(spacings, "sampling times", prefixes),
            common_volume(cells, list(map(str, prefixes))),
            np.asarray(np.concatenate(cells).mean(axis=0)),
        )

    def aligned(self, prefixes: tuple[Path, ...]) -> DipoleSamples:
        """All on the branch of the longest run; says which runs were moved."""
        refuse_alignment(self.runs)
        names = list(map(str, prefixes))
        dipoles, away = align_runs(self.dipoles, self.cell, names, KEEP)
        for line in say_moved(names, away):
            click.echo(line)
        return replace(self, dipoles=dipoles)

    def aligned_to(self, rest: DipoleSamples, prefixes: tuple[Path, ...]) -> DipoleSamples:
        """On the branch of runs at rest, to whose mean they relax; says which were moved."""
        names, at_rest = list(map(str, prefixes)), np.concatenate(rest.dipoles)
        dipoles, away = align_relaxed(self.dipoles, at_rest, self.cell, names, KEEP)
        for line in say_moved(names, away):
            click.echo(line)
        return replace(self, dipoles=dipoles)
