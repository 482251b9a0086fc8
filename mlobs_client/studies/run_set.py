"""Independent runs of one system, and samples of any of their observables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from mlobs_client.errors import ConfigError, RecordError
from mlobs_client.ipi.series import Source
from mlobs_client.ipi.trajectory import Trajectory
from mlobs_client.quantities import QUANTITIES
from mlobs_client.results.skip import Skip
from mlobs_client.structure import Array, Integers
from mlobs_client.studies.masses import common_masses
from mlobs_client.studies.recorded import read_recorded
from mlobs_client.studies.replica_exchange import ExchangedRun, open_run
from mlobs_client.studies.run_samples import Samples, Velocities, kept
from mlobs_client.studies.runs import Dipoles, Run
from mlobs_client.studies.temperature import compare_temperature
from mlobs_client.tables import suggest


@dataclass(frozen=True)
class RunSet:
    """Independent runs of one system, by the prefixes of i-PI's outputs.

    Attributes:
        prefixes: prefix of the outputs of each run, such as ``run-1/simulation``.
        skip: time that is skipped at the start of each run, ps.
        temperature: temperature, K, which is compared with that of the runs; from a run with
            replica exchange, the frames at this temperature are read. None for runs that are not at
            equilibrium.
        fraction: fraction of the samples that is skipped at the start of each run; used if ``skip``
            is 0.
        records: record of each run, from ``mlobs observe`` or from its own clients, from which
            observables are read; by default they are read from the extras of i-PI.
        sources: files or names of "velocities" or "dipole" of each run, if these are not found by
            the prefix.
        timestep: time step of runs whose properties do not show it, atu.

    Raises:
        ConfigError: there is no run, or records or sources are given, but not one for each run.

    Example:
        Mean dipole of the first run without its first 0.1 ps, and infrared absorption of both
        runs::

            >>> from mlobs_client.analysis import SpectrumSettings, infrared
            >>> from mlobs_client.studies import RunSet
            >>> from mlobs_client.units import KELVIN
            >>> runs = RunSet(["a/simulation", "b/simulation"], skip=0.1)
            >>> dipoles = runs.dipoles()
            >>> dipoles.values[0].mean(axis=0).round(2) + 0.0
            array([0., 1., 0.])
            >>> settings = SpectrumSettings(resolution=200, n_blocks=2)
            >>> kt = 300 * KELVIN
            >>> found = infrared(
            ...     dipoles.stretches, dipoles.spacing, dipoles.volume, kt, settings=settings
            ... )
            >>> print(f"highest near {found.x[found.mean.argmax()]:.0f} {found.x_unit}")
            highest near 1000 cm^-1
    """

    prefixes: Sequence[Path | str]
    skip: float = 0.0
    temperature: float | None = None
    fraction: float = 0.0
    records: Sequence[Path | str] = ()
    sources: Sequence[Mapping[str, Source]] = ()
    timestep: float | None = None

    def __post_init__(self) -> None:
        n_runs = len(self.prefixes)
        if not n_runs:
            raise ConfigError("a set of runs needs at least one prefix of i-PI's outputs")
        for what, given in (("records", self.records), ("sources", self.sources)):
            if given and len(given) != n_runs:
                raise ConfigError(f"{len(given)} {what} for {n_runs} runs; give one for each run")

    @cached_property
    def runs(self) -> tuple[Run, ...]:
        """The runs.

        Raises:
            ConfigError: a run with replica exchange does not have this temperature, or has
                :attr:`sources`.
        """
        runs = [open_run(Path(prefix), self.temperature) for prefix in self.prefixes]
        sources = self.sources or [{} for _ in runs]
        return tuple(map(self._with_sources, runs, sources))

    def _with_sources(self, run: Run, sources: Mapping[str, Source]) -> Run:
        if sources and isinstance(run, ExchangedRun):
            raise ConfigError(
                f"{run.prefix}: the outputs of a run with replica exchange are found by PREFIX; "
                f"leave out the files and names that are given for its {', '.join(sources)}"
            )
        return replace(run, sources=sources, given_timestep=self.timestep)

    @property
    def _skip(self) -> Skip:
        return Skip(self.skip, self.fraction)

    @property
    def inputs(self) -> set[Path]:
        """Files of all runs that have been read so far, for the provenance of a result."""
        return {path for run in self.runs for path in run.inputs}

    def dipoles(self) -> Samples:
        """Read dipoles of the cell and of committee members, each of shape ``(t, 3)``, e bohr.

        Raises:
            RecordError: files are missing or damaged, or shorter than what is skipped.
            ConfigError: a run was at another temperature.
        """
        if self.records:
            read = [
                Dipoles.of(steps, values["dipole"], values.get(QUANTITIES["dipole"].members))
                for steps, values in self._read("dipole")
            ]
        else:
            read = [run.dipoles() for run in self.runs]
        members = [one.members for one in read if one.members is not None]
        return self._select(
            [one.steps for one in read],
            [one.mean for one in read],
            members if len(members) == len(read) else None,
            max(one.n_beads for one in read),
        )

    def polarizabilities(self) -> Samples:
        """Read polarizabilities, shape ``(t, 3, 3)``, bohr^3; see :meth:`observable`."""
        return self.observable("polarizability")

    def observable(self, name: str) -> Samples:
        """Read an observable from the records or, without them, from the extras of i-PI.

        Args:
            name: a row of :mod:`mlobs_client.quantities`, such as ``"born_charges"``, which gives
                the shape and the Hartree atomic unit.

        Raises:
            ConfigError: there is no such observable, or a run was at another temperature.
            RecordError: files are missing or damaged, or shorter than what is skipped.
        """
        read = self._read(name)
        of = QUANTITIES[name].members
        members = [values[of] for _, values in read if of in values and values[of].shape[2] > 1]
        return self._select(
            [steps for steps, _ in read],
            [values[name].mean(axis=1) for _, values in read],
            [np.moveaxis(one.mean(axis=1), 1, 0) for one in members]
            if len(members) == len(read)
            else None,
            max(values[name].shape[1] for _, values in read),
        )

    def currents(self) -> Samples:
        """Multiply Born charges by velocities, to get time derivatives of the dipole.

        In path integrals each bead has its own charges and velocities, and the mean over beads is
        taken.

        Returns:
            Currents, shape ``(t, 3)``, e bohr/atu.

        Raises:
            ConfigError: a run was at another temperature.
            RecordError: files are missing or damaged, or shorter than what is skipped.
        """
        steps, currents, n_beads = [], [], 0
        for run, (at, values) in zip(self.runs, self._read("born_charges"), strict=True):
            charges = values["born_charges"]  # [t, b, I, i, j]
            n_beads = max(n_beads, charges.shape[1])
            velocities = run.bead_velocities(charges.shape[1])
            both, here, there = np.intersect1d(at, velocities.steps, return_indices=True)
            if len(both) == 0:
                raise RecordError(
                    f"{run.prefix}: there are no velocities at the steps of the Born charges; "
                    "write both with the same stride"
                )
            steps.append(both)
            products = np.einsum("tbIij,tbIj->tbi", charges[here], velocities.values[there])
            currents.append(np.asarray(products.mean(axis=1)))
        return self._select(steps, currents, None, n_beads)

    def velocities(self, masses: Mapping[str, float] | None = None) -> Velocities:
        """Read velocities of the centroids, ``(t, n_atoms, 3)``, bohr/atu, and masses of the atoms.

        Args:
            masses: masses by label that replace those of the runs, dalton.

        Raises:
            ConfigError: a given mass is not valid, or a run was at another temperature.
            RecordError: files are missing or shorter than what is skipped; the velocities
                contradict the masses; or the atoms of the runs differ.
        """
        read = [run.velocities() for run in self.runs]
        chosen = self._select([one.steps for one in read], [one.values for one in read], None, 1)
        found = [
            run.masses(replace(one, values=values), masses)
            for run, one, values in zip(self.runs, read, chosen.values, strict=True)
        ]
        return Velocities(
            chosen.runs,
            chosen.steps,
            chosen.values,
            masses=common_masses(found, [run.prefix for run in self.runs]),
            quantities=tuple(sorted({one.quantity for one in read})),
        )

    def positions(self) -> list[Trajectory]:
        """Read unwrapped positions ``[t, bead, atom, i]``, bohr, and cells of each run.

        Raises:
            RecordError: files are missing or damaged, or shorter than what is skipped.
        """
        read = [run.positions() for run in self.runs]
        left = [kept(run, one.steps, self._skip) for run, one in zip(self.runs, read, strict=True)]
        return [
            replace(one, steps=one.steps[part], values=one.values[part], cells=one.cells[part])
            for one, part in zip(read, left, strict=True)
        ]

    def _read(self, name: str) -> list[tuple[Integers, Mapping[str, Array]]]:
        """Return steps, and values ``[step, bead, ...]`` of an observable and of its members."""
        if name not in QUANTITIES:
            raise ConfigError(f"{name!r} is not an observable; {suggest(name, QUANTITIES)}")
        if not self.records:
            return [run.observable(name) for run in self.runs]
        joined = [
            read_recorded(run, Path(record), name)
            for run, record in zip(self.runs, self.records, strict=True)
        ]
        return [(one.steps, one.values) for one in joined]

    def _select(
        self,
        steps: Sequence[Integers],
        values: Sequence[Array],
        members: list[Array] | None,
        n_beads: int,
    ) -> Samples:
        """Leave out what is skipped, and compare the temperature with that of the runs."""
        left = [kept(run, one, self._skip) for run, one in zip(self.runs, steps, strict=True)]
        samples = Samples(
            self.runs,
            [one[part] for one, part in zip(steps, left, strict=True)],
            [one[part] for one, part in zip(values, left, strict=True)],
            members and [one[:, part] for one, part in zip(members, left, strict=True)],
            n_beads,
        )
        if self.temperature is not None:
            for run, one in zip(self.runs, samples.steps, strict=True):
                compare_temperature(run, self.temperature, int(one[0]))
        return samples
