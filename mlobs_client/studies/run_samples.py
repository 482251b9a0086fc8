"""Samples of one observable along several runs of one system."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final

import numpy as np

from mlobs_client.analysis.response.branches_of_runs import align_relaxed, align_runs, say_moved
from mlobs_client.analysis.volume import common_volume
from mlobs_client.errors import RecordError
from mlobs_client.structure import Array, Integers
from mlobs_client.studies.masses import Masses
from mlobs_client.studies.replica_exchange import refuse_alignment
from mlobs_client.studies.runs import Run
from mlobs_client.units import PICOSECOND

SAME_TIME: Final = 1e-3
"""Of a time step: what times in a file are rounded by."""

VELOCITIES: Final = {
    "v_centroid": "velocities of centroids",
    "velocities": "velocities of atoms",
}
"""What i-PI calls them, and a reader."""

SHORTEST: Final = 8
"""Samples of a stretch that has any correlation to show."""

KEEP: Final = "run longer, or say --branches keep if all are on one branch"


@dataclass(frozen=True)
class Samples:
    """One observable of several runs, after what was skipped, mean over beads.

    Attributes:
        runs: whose they are.
        steps: of each run, shape ``(t,)``, steps of i-PI.
        values: of each run, shape ``(t, ...)``, atomic units.
        members: of each run, shape ``(n_members, t, ...)``; None where a run has no committee.
        n_beads: over which the mean is; the largest number of all runs.
    """

    runs: tuple[Run, ...]
    steps: list[Integers]
    values: list[Array]
    members: list[Array] | None = None
    n_beads: int = 1

    @property
    def names(self) -> list[str]:
        """Of the runs, for errors."""
        return [str(run.prefix) for run in self.runs]

    @property
    def estimator(self) -> str:
        """How beads were averaged, for the caption of a figure."""
        return f"mean over {self.n_beads} beads" if self.n_beads > 1 else "classical nuclei"

    @cached_property
    def spacing(self) -> float:
        """Time between samples, the same in all runs, atu.

        Raises:
            RecordError: samples are not evenly spaced, or not alike in all runs.
        """
        pairs = zip(self.runs, self.steps, strict=True)
        spacings = [run.spacing(steps) for run, steps in pairs]
        return common(spacings, "sampling times", self.names)

    @cached_property
    def parts(self) -> list[list[slice]]:
        """The samples of each run that follow each other in time, between exchanges of replicas.

        Blocks lie within one of them.

        Raises:
            RecordError: none is long enough for anything.
        """
        pairs = zip(self.runs, self.steps, strict=True)
        return [find_stretches(run, steps) for run, steps in pairs]

    @property
    def stretches(self) -> list[Array]:
        """The values, cut into :attr:`parts`, each of shape ``(t, ...)``, atomic units."""
        pairs = zip(self.values, self.parts, strict=True)
        return [values[part] for values, parts in pairs for part in parts]

    @property
    def member_stretches(self) -> list[Array] | None:
        """The same of members, each of shape ``(n_members, t, ...)``."""
        if self.members is None:
            return None
        pairs = zip(self.members, self.parts, strict=True)
        return [values[:, part] for values, parts in pairs for part in parts]

    @property
    def notes(self) -> Iterator[str]:
        """What is left out in :attr:`parts`, for a reader."""
        for run, steps in zip(self.runs, self.steps, strict=True):
            lengths = [one.stop - one.start for one in run.stretches(steps)]
            if len(lengths) > 1:
                yield (
                    f"{run.prefix}: {len(lengths)} stretches between exchanges, of {min(lengths)} "
                    f"to {max(lengths)} samples; those shorter than a block are left out"
                )

    @cached_property
    def cells(self) -> list[Array]:
        """Cells of each run since its first sample, shape ``(n, 3, 3)``, bohr, rows.

        Raises:
            RecordError: no trajectory of a run has a cell.
        """
        pairs = zip(self.runs, self.steps, strict=True)
        return [run.cells(int(steps[0])) for run, steps in pairs]

    @property
    def volume(self) -> float:
        """Mean over all runs, bohr^3.

        Raises:
            RecordError: no trajectory of a run has a cell, or the volumes differ.
        """
        return common_volume(self.cells, self.names)

    @property
    def cell(self) -> Array:
        """Mean over all runs, shape ``(3, 3)``, bohr, lattice vectors are rows."""
        return np.asarray(np.concatenate(self.cells).mean(axis=0))

    def aligned(self) -> tuple[Samples, list[str]]:
        """Dipoles of all runs on the branch of the longest, and which runs were moved, in words.

        Raises:
            ConfigError: a run is of replica exchange.
            RecordError: mean dipoles that differ neither by nothing nor by whole quanta.
        """
        refuse_alignment(self.runs)
        dipoles, away = align_runs(self.values, self.cell, self.names, KEEP)
        return replace(self, values=dipoles), list(say_moved(self.names, away))

    def aligned_to(self, rest: Samples) -> tuple[Samples, list[str]]:
        """Dipoles on the branch of runs at rest, to whose mean they relax; see :meth:`aligned`."""
        at_rest = np.concatenate(rest.values)
        dipoles, away = align_relaxed(self.values, at_rest, self.cell, self.names, KEEP)
        return replace(self, values=dipoles), list(say_moved(self.names, away))


@dataclass(frozen=True)
class Velocities(Samples):
    """Velocities of the centroids, ``[t, atom, i]``, bohr/atu.

    Attributes:
        masses: of the atoms, the same in all runs.
        quantities: of i-PI that were read, ``v_centroid`` or ``velocities``.
    """

    masses: Masses = field(kw_only=True)
    quantities: tuple[str, ...] = field(kw_only=True)

    @property
    def estimator(self) -> str:
        """Whose velocities these are, for the caption of a figure."""
        return ", ".join(VELOCITIES[quantity] for quantity in self.quantities)


def common(values: Sequence[float], what: str, names: Sequence[str]) -> float:
    """The one value that all runs share.

    Raises:
        RecordError: they differ.
    """
    if max(values) - min(values) > 1e-6 * abs(values[0]):
        raise RecordError(f"the {what} of {', '.join(names)} differ: {list(values)} (a.u.)")
    return values[0]


def kept(run: Run, steps: Integers, skip: float, fraction: float = 0.0) -> slice:
    """The samples after the first ``skip`` picoseconds, or after a fraction of them.

    Raises:
        RecordError: nothing is left.
    """
    first = round(fraction * len(steps))
    if skip > 0.0:  # without, a run need not tell its time step
        times = run.times(steps)
        first = int((times - times[0] < skip * PICOSECOND - SAME_TIME * run.timestep).sum())
    if first >= len(steps) - 1:
        raise RecordError(f"{run.prefix}: shorter than the {skip} ps of --skip")
    return slice(first, None)


def find_stretches(run: Run, steps: Integers) -> list[slice]:
    """The samples that follow each other in time, without stretches too short for anything.

    Raises:
        RecordError: all are too short.
    """
    found = run.stretches(steps)
    if len(found) == 1:
        return found
    lengths = [one.stop - one.start for one in found]
    if max(lengths) < SHORTEST:
        raise RecordError(
            f"{run.prefix}: at most {max(lengths)} samples follow each other between exchanges, "
            "too few for a spectrum; exchange less often, with a larger <stride> in <remd>"
        )
    return [one for one in found if one.stop - one.start >= SHORTEST]
