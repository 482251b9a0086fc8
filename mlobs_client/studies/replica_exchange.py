"""Sort the frames of a run with replica exchange by temperature.

i-PI writes the outputs of each replica, whose temperature changes when ensembles are exchanged.
``i-pi-remdsort`` counts the lines of these files, of which a continued run has too many; here the
pieces are joined first, and then sorted by their steps.

Source:
    i-PI 3.3.1, ``ipi/engine/smotion/remd.py``; a line of ``remd_idx`` holds from the next step on.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np

from mlobs_client.errors import ConfigError, RecordError
from mlobs_client.ipi.extras import Extras
from mlobs_client.ipi.properties import Properties
from mlobs_client.ipi.systems import System, is_same_temperature
from mlobs_client.ipi.trajectory import Trajectory
from mlobs_client.structure import Array, Integers
from mlobs_client.studies.runs import Run
from mlobs_client.units import KELVIN

COLUMN: Final = "ensemble_temperature"
REMEDY: Final = f"write {COLUMN}{{kelvin}} to <properties>, with the stride of the trajectories"


def open_run(prefix: Path, temperature: float | None = None) -> Run:
    """Open a run, or the frames at one temperature of a run with replica exchange.

    Args:
        prefix: prefix of ``<output>`` or, without replica exchange, prefix of one ``<system>``.
        temperature: one of the temperatures of replica exchange, K.

    Raises:
        ConfigError: the prefix is that of a replica, whose temperature changes, or of several
            systems; no temperature is given for a run with replica exchange; or the given
            temperature matches none, or more than one, of the temperatures of the run.
    """
    folder, name = prefix.parent, prefix.name
    if prefix.with_name(f"{name}.out").exists():
        run = Run(prefix)
        if _exchanges(run):
            raise ConfigError(
                f"{prefix}: is a replica of replica exchange, whose temperature changes; give "
                f"{prefix.with_name(name.split('_', 1)[-1])} with --temperature, by which the "
                "frames of all replicas are sorted"
            )
        return run
    names = [path.name.removesuffix(".out") for path in folder.glob(f"*_{name}.out")]
    replicas = tuple(sorted((Run(folder / one) for one in names), key=_number))
    if not replicas:
        return Run(prefix)
    if not any(map(_exchanges, replicas)):
        listed = ", ".join(run.prefix.name for run in replicas)
        raise ConfigError(f"{prefix}: has several systems, {listed}; give one of them")
    ladder = _ladder(replicas)
    listed = ", ".join(f"{one / KELVIN:.5g}" for one in sorted(ladder.values()))
    near = [
        ensemble
        for ensemble, one in ladder.items()
        if temperature is not None and is_same_temperature(one / KELVIN, temperature)
    ]
    if len(near) != 1:
        asked = "" if temperature is None else f", and {len(near)} of them at {temperature:g} K"
        raise ConfigError(
            f"{prefix}: is a run with replica exchange at {listed} K{asked}; give one of these as "
            "--temperature"
        )
    return ExchangedRun(prefix, ladder[near[0]], near[0], replicas)


def refuse_alignment(runs: Sequence[Run]) -> None:
    """Refuse to move runs with replica exchange to one branch of the dipole.

    Args:
        runs: the runs.

    Raises:
        ConfigError: a run has replica exchange, so that each replica may be on its own branch.
    """
    for run in runs:
        if isinstance(run, ExchangedRun):
            raise ConfigError(
                f"{run.prefix}: each replica may be on another branch of the dipole, and "
                "frames sorted by temperature cannot be moved to one; give --branches keep if all "
                "are on one, as those of molecules are"
            )


def _number(run: Run) -> tuple[int, str]:
    """Return a sort key: the order of the replicas in the input, or that of their names."""
    return run.systems[0].number if run.systems else -1, run.prefix.name


def _exchanges(run: Run) -> bool:
    """Return whether the temperature of the outputs of a system changes, or can change."""
    held = run.properties.values.get(COLUMN, np.zeros(1))
    is_one = is_same_temperature(held, float(held.max())).all()
    return not is_one or any(one.ensemble is not None for one in run.systems)


def _ladder(replicas: Sequence[Run]) -> dict[int, float]:
    """Return the temperature of each ensemble, Eh, from files of the run or from its first row."""
    found: dict[int, float] = {}
    for number, run in enumerate(replicas):
        if run.systems and run.systems[0].temperature is not None:
            ensemble = run.systems[0].ensemble
            found[number if ensemble is None else ensemble] = run.systems[0].temperature
        else:
            found[number] = float(run.properties[COLUMN][0])
    return found


@dataclass(frozen=True)
class ExchangedRun(Run):
    """The frames of all replicas at one temperature, as a :class:`Run`.

    Attributes:
        temperature: kT, Eh.
        ensemble: index of this temperature in ``remd_idx``, from 0.
        replicas: the replicas, in the order of the input.
    """

    temperature: float
    ensemble: int
    replicas: tuple[Run, ...]

    @cached_property
    def properties(self) -> Properties:
        """The properties at this temperature, Hartree atomic units."""
        read = [run.properties for run in self.replicas]
        steps = [one["step"].astype(np.int64) for one in read]
        names = [name for name in read[0].values if all(name in one.values for one in read)]
        values = {name: self._sort(steps, [one[name] for one in read]) for name in names}
        return Properties(values, read[0].units)

    @property
    def inputs(self) -> set[Path]:
        """Files from which the replicas were read."""
        return self._read.union(*(run.inputs for run in self.replicas))

    @property
    def has_properties(self) -> bool:
        """True, since each replica has properties."""
        return True

    @property
    def is_molecule(self) -> bool | None:
        """True if vacuum surrounds the atoms of the first replica; all have the same atoms."""
        return self.replicas[0].is_molecule

    @cached_property
    def systems(self) -> list[System]:
        """The systems of the first replica, with the temperature of this ensemble."""
        return [replace(one, temperature=self.temperature) for one in self.replicas[0].systems]

    def extras(self, name: str) -> Extras:
        """Read an observable of all beads at this temperature, shape ``(t, n_beads, ...)``."""
        read = [run.extras(name) for run in self.replicas]
        steps = [one.steps for one in read]
        values = {key: self._sort(steps, [e.values[key] for e in read]) for key in read[0].values}
        return Extras(_common(steps), values, {})

    def positions(self) -> Trajectory:
        """Read unwrapped positions of all beads at this temperature, bohr."""
        return self._sort_trajectories([run.positions() for run in self.replicas])

    def velocities(self) -> Trajectory:
        """Read velocities of the centroids at this temperature, bohr/atu."""
        return self._sort_trajectories([run.velocities() for run in self.replicas])

    def has_extras(self, name: str) -> bool:
        """Return whether all replicas have extras of this name."""
        return all(run.has_extras(name) for run in self.replicas)

    def stretches(self, steps: Integers) -> list[slice]:
        """Return the samples between exchanges, at which positions and velocities jump.

        Args:
            steps: steps of the samples, shape ``(t,)``.
        """
        ends = [0, *(np.flatnonzero(np.diff(self._owners(steps))) + 1).tolist(), len(steps)]
        return [slice(a, b) for a, b in pairwise(ends)]

    @cached_property
    def _steps_and_cells(self) -> tuple[Integers, Array]:
        read = [run._steps_and_cells for run in self.replicas]
        steps = [one for one, _ in read]
        return _common(steps), self._sort(steps, [cells for _, cells in read])

    def _sort_trajectories(self, read: Sequence[Trajectory]) -> Trajectory:
        steps = [one.steps for one in read]
        values = self._sort(steps, [one.values for one in read])
        cells = self._sort(steps, [one.cells for one in read])
        return replace(read[0], steps=_common(steps), values=values, cells=cells)

    def _sort(self, steps: Sequence[Integers], values: Sequence[Array]) -> Array:
        """Take each step that all replicas have from the replica at this temperature."""
        common = _common(steps)
        owners = self._owners(common)
        rows = [np.searchsorted(one, common) for one in steps]
        return np.array([values[r][rows[r][t]] for t, r in enumerate(owners)])

    def _owners(self, steps: Integers) -> Integers:
        """Return the index of the replica that is at this temperature, shape ``(t,)``.

        Raises:
            RecordError: neither the properties nor the file of exchanges shows it.
        """
        tables = [run.properties for run in self.replicas]
        told = all(
            COLUMN in one.values and np.isin(steps, one["step"].astype(np.int64)).all()
            for one in tables
        )
        if not told:
            return self._owners_by_exchanges(steps)
        rows = [np.searchsorted(one["step"], steps) for one in tables]
        held = np.array([one[COLUMN][at] for one, at in zip(tables, rows, strict=True)])  # [r, t]
        is_here = is_same_temperature(held, self.temperature)
        if (is_here.sum(axis=0) != 1).any():
            t = int(np.flatnonzero(is_here.sum(axis=0) != 1)[0])
            listed = ", ".join(f"{one / KELVIN:.5g}" for one in held[:, t])
            raise RecordError(
                f"{self.prefix}: at step {steps[t]} the {COLUMN} of the replicas is {listed} K, so "
                "the outputs are not of one run"
            )
        return np.asarray(is_here.argmax(axis=0))

    def _owners_by_exchanges(self, steps: Integers) -> Integers:
        path = self.prefix.with_name(f"{self.prefix.name}.remd_idx")
        if not path.exists() or any(map(_went_back, self.replicas)):
            raise RecordError(
                f"{self.prefix}: the replica at {self.temperature / KELVIN:.5g} K is not known at "
                f"every step: the run was continued, or {path.name} is missing; {REMEDY}"
            )
        lines = np.loadtxt(self.note(path), dtype=np.int64, ndmin=2)
        n_replicas = len(self.replicas)
        order = [np.arange(n_replicas), *lines[:, 1:]]  # [exchange, replica] -> ensemble
        at = np.searchsorted(lines[:, 0], steps - 1, side="right")
        return np.array([int(np.flatnonzero(order[k] == self.ensemble)[0]) for k in at])


def _common(steps: Sequence[Integers]) -> Integers:
    found = steps[0]
    for other in steps[1:]:
        found = np.intersect1d(found, other)
    return found


def _went_back(run: Run) -> bool:
    """Return whether steps were repeated, so that one file has the exchanges of both attempts."""
    text = run.prefix.with_name(f"{run.prefix.name}.out").read_text(encoding="utf-8")
    steps = [float(one) for one in re.findall(r"^\s*([0-9][0-9.e+]*)\s", text, re.MULTILINE)]
    return bool((np.diff(steps) <= 0.0).any())
