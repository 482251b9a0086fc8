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
from mlobs_client.results.curve import ESTIMATOR, Curve
from mlobs_client.results.run_length import Interval
from mlobs_client.results.skip import Skip
from mlobs_client.structure import Array, Integers
from mlobs_client.studies.masses import Masses
from mlobs_client.studies.replica_exchange import refuse_alignment
from mlobs_client.studies.runs import Run
from mlobs_client.units import PICOSECOND

VELOCITIES: Final = {
    "v_centroid": "velocities of centroids",
    "velocities": "velocities of atoms",
}
"""Names of the velocities in figures, for each of i-PI's names."""

SHORTEST: Final = 8
"""Smallest number of samples of a stretch from which a correlation function is computed."""

KEEP: Final = "run longer, or give --branches keep if all are on one branch"


@dataclass(frozen=True)
class Samples:
    """One observable of several runs without their skipped starts, averaged over beads.

    Attributes:
        runs: the runs.
        steps: steps of i-PI of each run, shape ``(t,)``.
        values: samples of each run, shape ``(t, ...)``, Hartree atomic units.
        members: samples of committee members of each run, shape ``(n_members, t, ...)``, Hartree
            atomic units; None if a run has no committee.
        n_beads: number of beads in the average; the largest of all runs.
    """

    runs: tuple[Run, ...]
    steps: list[Integers]
    values: list[Array]
    members: list[Array] | None = None
    n_beads: int = 1

    @property
    def names(self) -> list[str]:
        """The prefixes of the runs, for messages."""
        return [str(run.prefix) for run in self.runs]

    @property
    def estimator(self) -> str:
        """A phrase that says how beads are averaged, for the caption of a figure."""
        return f"mean over {self.n_beads} beads" if self.n_beads > 1 else "classical nuclei"

    def with_estimator(self, curve: Curve) -> Curve:
        """Return a curve that was made from these samples, with :attr:`estimator` in its details.

        Args:
            curve: the curve.
        """
        return replace(curve, details={**curve.details, ESTIMATOR: self.estimator})

    @cached_property
    def spacing(self) -> float:
        """The time between samples, the same in all runs, atu.

        Raises:
            RecordError: samples are not evenly spaced, or their spacing differs between runs.
        """
        pairs = zip(self.runs, self.steps, strict=True)
        spacings = [run.spacing(steps) for run, steps in pairs]
        return common(spacings, "sampling times", self.names)

    @property
    def interval(self) -> Interval:
        """The mean time between samples of the first run, ps, with its number of steps."""
        return self.runs[0].interval(self.steps[0])

    @cached_property
    def parts(self) -> list[list[slice]]:
        """The stretches of each run: consecutive samples between exchanges of replicas.

        Each block lies within one stretch.

        Raises:
            RecordError: all stretches of a run are too short.
        """
        pairs = zip(self.runs, self.steps, strict=True)
        return [find_stretches(run, steps) for run, steps in pairs]

    @property
    def stretches(self) -> list[Array]:
        """The values in :attr:`parts`, each of shape ``(t, ...)``, Hartree atomic units."""
        pairs = zip(self.values, self.parts, strict=True)
        return [values[part] for values, parts in pairs for part in parts]

    @property
    def member_stretches(self) -> list[Array] | None:
        """The values of the committee members in :attr:`parts`; None without members.

        Each of shape ``(n_members, t, ...)``, Hartree atomic units.
        """
        if self.members is None:
            return None
        pairs = zip(self.members, self.parts, strict=True)
        return [values[:, part] for values, parts in pairs for part in parts]

    @property
    def notes(self) -> Iterator[str]:
        """A sentence about the stretches of each run with exchanges; short ones are left out."""
        for run, steps in zip(self.runs, self.steps, strict=True):
            lengths = [one.stop - one.start for one in run.stretches(steps)]
            if len(lengths) > 1:
                yield (
                    f"{run.prefix}: {len(lengths)} stretches between exchanges, of {min(lengths)} "
                    f"to {max(lengths)} samples; those shorter than a block are left out"
                )

    @cached_property
    def cells(self) -> list[Array]:
        """The cells of each run from its first sample on, shape ``(n, 3, 3)``, bohr.

        Lattice vectors are rows.

        Raises:
            RecordError: no trajectory of a run has a cell.
        """
        pairs = zip(self.runs, self.steps, strict=True)
        return [run.cells(int(steps[0])) for run, steps in pairs]

    @property
    def volume(self) -> float:
        """The mean volume of all runs, bohr^3.

        Raises:
            RecordError: no trajectory of a run has a cell, or the volumes differ.
        """
        return common_volume(self.cells, self.names)

    @property
    def cell(self) -> Array:
        """The mean cell of all runs, shape ``(3, 3)``, bohr, lattice vectors are rows."""
        return np.asarray(np.concatenate(self.cells).mean(axis=0))

    def aligned(self) -> tuple[Samples, list[str]]:
        """Move dipoles of all runs to the branch of the longest run.

        Returns:
            The moved dipoles, and a sentence for each run that was moved.

        Raises:
            ConfigError: a run has replica exchange.
            RecordError: mean dipoles differ neither by zero nor by whole quanta.
        """
        refuse_alignment(self.runs)
        dipoles, away = align_runs(self.values, self.cell, self.names, KEEP)
        return replace(self, values=dipoles), list(say_moved(self.names, away))

    def aligned_to(self, rest: Samples) -> tuple[Samples, list[str]]:
        """Move dipoles to the branch of runs without a field, to whose mean dipole they relax.

        Args:
            rest: dipoles of the runs without a field.

        Returns:
            See :meth:`aligned`.
        """
        at_rest = np.concatenate(rest.values)
        dipoles, away = align_relaxed(self.values, at_rest, self.cell, self.names, KEEP)
        return replace(self, values=dipoles), list(say_moved(self.names, away))


@dataclass(frozen=True)
class Velocities(Samples):
    """Velocities of the centroids, each of shape ``(t, n_atoms, 3)``, bohr/atu.

    Attributes:
        masses: masses of the atoms, the same in all runs.
        quantities: i-PI's names for what was read, ``v_centroid`` or ``velocities``.
    """

    masses: Masses = field(kw_only=True)
    quantities: tuple[str, ...] = field(kw_only=True)

    @property
    def estimator(self) -> str:
        """A phrase that says which velocities these are, for the caption of a figure."""
        return ", ".join(VELOCITIES[quantity] for quantity in self.quantities)


def common(values: Sequence[float], what: str, names: Sequence[str]) -> float:
    """Return the value that all runs share.

    Args:
        values: value of each run.
        what: name of the quantity, for messages.
        names: names of the runs, for messages.

    Raises:
        RecordError: the values differ.
    """
    if max(values) - min(values) > 1e-6 * abs(values[0]):
        raise RecordError(f"the {what} of {', '.join(names)} differ: {list(values)} (a.u.)")
    return values[0]


def kept(run: Run, steps: Integers, skip: Skip) -> slice:
    """Return the slice that selects the samples of a run after its skipped start.

    Args:
        run: the run.
        steps: steps of its samples, shape ``(t,)``.
        skip: the start that is left out.

    Raises:
        RecordError: fewer than two samples are left.
    """
    first = skip.count(len(steps), lambda: run.times(steps))
    if first >= len(steps) - 1:
        long = f" last {np.ptp(run.times(steps)) / PICOSECOND:g} ps" if skip.picoseconds else ""
        shorter = f"shorter than the {skip} of --skip: its {len(steps)} samples{long}; skip less"
        few = f"too few samples, {len(steps)}; run longer"
        raise RecordError(f"{run.prefix}: {shorter if first else few}")
    return slice(first, None)


def find_stretches(run: Run, steps: Integers) -> list[slice]:
    """Return the stretches of consecutive samples, without those that are too short.

    Args:
        run: the run.
        steps: steps of its samples, shape ``(t,)``.

    Raises:
        RecordError: all stretches are too short.
    """
    found = run.stretches(steps)
    if len(found) == 1:
        return found
    lengths = [one.stop - one.start for one in found]
    if max(lengths) < SHORTEST:
        raise RecordError(
            f"{run.prefix}: at most {max(lengths)} consecutive samples between exchanges, "
            "too few for a spectrum; exchange less often, with a larger <stride> in <remd>"
        )
    return [one for one in found if one.stop - one.start >= SHORTEST]
