"""Read the outputs of a run of i-PI, which are found by their prefix.

File names are those of the shipped inputs: ``PREFIX.out`` for properties, ``PREFIX.pos_0.xyz``, ...
for positions of beads, ``PREFIX.vel.xyz`` for centroid velocities, ``PREFIX.NAME_0``,
``PREFIX.NAME_1``, ... for extras. Properties, velocities and dipoles are also found by content
under other names, and in files that a user names (:class:`~mlobs_client.ipi.series.Source`).
"""

from __future__ import annotations

import glob
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from mlobs_client.analysis.branches import average_beads
from mlobs_client.errors import RecordError
from mlobs_client.ipi.cells import is_in_vacuum, read_cells
from mlobs_client.ipi.continuation import find_bead_files
from mlobs_client.ipi.extras import Extras, read_bead_extras
from mlobs_client.ipi.finding import find_output, find_outputs
from mlobs_client.ipi.pieces import Piece, find_pieces
from mlobs_client.ipi.properties import Properties, read_properties
from mlobs_client.ipi.series import DIPOLE, Source, read_series
from mlobs_client.ipi.systems import System, find_systems, kinetic_temperature
from mlobs_client.ipi.trajectory import Trajectory, read_beads
from mlobs_client.ipi.velocities import VELOCITY_OUTPUTS, read_velocities
from mlobs_client.quantities import QUANTITIES
from mlobs_client.results.run_length import Interval
from mlobs_client.structure import Array, Integers
from mlobs_client.studies.masses import Masses, check_masses, find_masses
from mlobs_client.units import PICOSECOND


@dataclass(frozen=True)
class Dipoles:
    """Dipoles of the cell along a run, averaged over beads.

    Attributes:
        steps: steps of i-PI, shape ``(t,)``.
        mean: mean of the committee, shape ``(t, 3)``, e bohr.
        members: dipoles of the members, shape ``(n_members, t, 3)``, e bohr; None without a
            committee.
        n_beads: number of beads in the average.
    """

    steps: Integers
    mean: Array
    members: Array | None
    n_beads: int

    @classmethod
    def of(cls, steps: Integers, dipoles: Array, members: Array | None) -> Dipoles:
        """Average dipoles over beads.

        Args:
            steps: steps of i-PI, shape ``(t,)``.
            dipoles: shape ``(t, n_beads, 3)``, e bohr.
            members: shape ``(t, n_beads, n_members, 3)``, e bohr; None without a committee.
        """
        mean = average_beads(dipoles.swapaxes(0, 1))
        n_beads = dipoles.shape[1]
        if members is None or members.shape[2] < 2:
            return cls(steps, mean, None, n_beads)
        of_each = [average_beads(members[:, :, m].swapaxes(0, 1)) for m in range(members.shape[2])]
        return cls(steps, mean, np.array(of_each), n_beads)


@dataclass(frozen=True)
class Run:
    """The outputs of one run.

    Attributes:
        prefix: path with i-PI's output prefix, such as ``my-run/simulation``; a string will do.
        sources: files or names of "velocities" or "dipole", if these are not found by name or
            content.
        given_timestep: time step of a run whose properties do not show it, atu.
    """

    prefix: Path
    sources: Mapping[str, Source] = field(default_factory=dict, kw_only=True)
    given_timestep: float | None = field(default=None, kw_only=True)
    _read: set[Path] = field(default_factory=set, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "prefix", Path(self.prefix))

    @cached_property
    def properties(self) -> Properties:
        """The properties in ``PREFIX.out`` or another file with such a header, atomic units."""
        path = self._path("out")
        remedy = f"properties belong in {path.name}"
        found = path if path.is_file() else self._find(("properties",), "out", remedy)
        return read_properties(self.note(found))

    @property
    def inputs(self) -> set[Path]:
        """Files read so far, along with RESTART and inputs, for the provenance of a result."""
        return self._read.union(*([one.path, *one.starts] for one in self.systems))

    @property
    def timestep(self) -> float:
        """The time step, atu, from the columns ``step`` and ``time``, or else the given one.

        If the time step changed during the run, this is the last one.

        Raises:
            RecordError: these columns are missing, or there are fewer than two rows.
        """
        return self._pieces[-1].timestep

    @cached_property
    def _pieces(self) -> list[Piece]:
        columns = self.properties.values.keys() if self.has_properties else ()
        if not {"step", "time"}.issubset(columns):
            if self.given_timestep is not None:
                return [Piece(0, 0, self.given_timestep)]
            raise RecordError(
                f"{self.prefix}: the time step is not known: no properties, such as "
                f"{self._path('out').name}, have the columns step and time; add them, or give "
                "--timestep in fs"
            )
        steps, times = self.properties["step"], self.properties["time"]
        if len(steps) < 2 or steps[-1] == steps[0]:
            raise RecordError(f"{self._path('out')}: fewer than two rows; the run is too short")
        return find_pieces(steps, times)

    def times(self, steps: Integers) -> Array:
        """Return the times of steps since the first row of the properties, atu, shape ``(t,)``.

        Args:
            steps: steps of i-PI, shape ``(t,)``.
        """
        pieces = self._pieces
        knots = np.array([piece.first for piece in pieces])
        lengths = [(piece.last - piece.first) * piece.timestep for piece in pieces[:-1]]
        starts = np.concatenate([[0.0], np.cumsum(lengths)])
        of = np.maximum(np.searchsorted(knots, steps, side="right") - 1, 0)  # piece of each step
        timesteps = np.array([piece.timestep for piece in pieces])
        return np.asarray(starts[of] + (steps - knots[of]) * timesteps[of])

    @property
    def has_properties(self) -> bool:
        """True if there is a file with properties."""
        return self._path("out").is_file() or bool(find_outputs(self.prefix, "properties"))

    @property
    def _trajectories(self) -> list[Path]:
        """The files that may have a cell, with positions before others."""
        files = self._path("*").parent.glob(f"{glob.escape(self.prefix.name)}.*xyz")
        ordered = sorted(files, key=lambda path: (".pos_0" not in path.name, path))
        return [*ordered, *(one.path for one in self.sources.values() if one.path)]

    @cached_property
    def _steps_and_cells(self) -> tuple[Integers, Array]:
        return read_cells(map(self.note, self._trajectories), self.prefix)

    def cells(self, since: int = 0) -> Array:
        """Return the cells of a trajectory, shape ``(t, 3, 3)``, bohr, lattice vectors are rows.

        Args:
            since: first step of the returned cells; if no frame is that late, the last cell is
                returned.

        Raises:
            RecordError: there is no trajectory with a cell.
        """
        steps, cells = self._steps_and_cells
        return cells[min(int(np.searchsorted(steps, since)), len(steps) - 1) :]

    @cached_property
    def is_molecule(self) -> bool | None:
        """True if there is vacuum around all atoms of the first frame; None without positions."""
        return is_in_vacuum(map(self.note, self._trajectories))

    @cached_property
    def volume(self) -> float:
        """The mean volume of the cell over all frames of a trajectory, bohr^3.

        Raises:
            RecordError: there is no trajectory with a cell.
        """
        return float(np.mean(np.abs(np.linalg.det(self.cells()))))

    def extras(self, name: str) -> Extras:
        """Read an observable of all beads, shape ``(t, n_beads, ...)``, Hartree atomic units.

        Args:
            name: key of the extras.

        Raises:
            RecordError: files are missing or damaged.
        """
        of_dipoles = (
            "; 'mlobs ir' reads dipoles of other names with --key, and other files with --dipoles"
        )
        remedy = f"i-PI writes it with <trajectory extra_type='{name}'> extras </trajectory>" + (
            of_dipoles if name == "dipole" else ""
        )
        return read_bead_extras(self._find((name,), name, remedy))

    def dipoles(self) -> Dipoles:
        """Read dipoles from ``sources``, or from the extras ``dipole`` and ``committee_dipole``.

        Raises:
            RecordError: files are missing or damaged.
        """
        if (source := self.sources.get("dipole")) is not None:
            remedy = "give another --key, or name the file with --dipoles"
            path = source.path or self._find((source.key, "raw"), source.key, remedy)
            series = read_series(path, source, DIPOLE)
            self.note(path)
            return Dipoles.of(series.steps, series.values, None)
        steps, values = self.observable("dipole")
        return Dipoles.of(steps, values["dipole"], values.get(QUANTITIES["dipole"].members))

    def observable(self, name: str) -> tuple[Integers, dict[str, Array]]:
        """Read an observable, and its committee members if written, from the extras of all beads.

        Args:
            name: a row of :mod:`mlobs_client.quantities`.

        Returns:
            Steps, shape ``(t,)``, and values by name, shape ``(t, n_beads, ...)``, Hartree atomic
            units.

        Raises:
            RecordError: extras are missing or damaged, or members were written at other steps.
        """
        row = QUANTITIES[name]
        extras = self.extras(row.wire_name)
        values = {name: extras.values[name]}
        of_members = QUANTITIES.get(row.members)
        if of_members is not None and self.has_extras(of_members.wire_name):
            committee = self.extras(of_members.wire_name)
            if not np.array_equal(committee.steps, extras.steps):
                raise RecordError(
                    f"{self.prefix}: {row.wire_name} and {of_members.wire_name} were written at "
                    "different steps; give both the same stride"
                )
            values[row.members] = committee.values[row.members]
        return extras.steps, values

    def has_extras(self, name: str) -> bool:
        """Return whether i-PI has written extras of this name for any bead.

        Args:
            name: key of the extras.
        """
        return any(self.prefix.parent.glob(f"{glob.escape(self.prefix.name)}.{name}_*"))

    def fields(self, steps: Integers) -> Array:
        """Return the field of ``driven_dynamics``, shape ``(t, 3)``, Eh/(e bohr).

        Args:
            steps: steps of other outputs, shape ``(t,)``.

        Raises:
            RecordError: there is no column ``Efield``, or it was written at other steps.
        """
        written = self.properties["step"].astype(int)
        if "Efield" not in self.properties.values:
            raise RecordError(
                f"{self._path('out')}: has no column Efield{{v/ang}}; add it to <properties> of a "
                "run with driven_dynamics"
            )
        missing = np.setdiff1d(steps, written)
        last = written.max(initial=-1)
        if len(missing) and missing[0] > last:
            raise RecordError(
                f"{self._path('out')}: ends at step {last}, but other outputs at {steps[-1]}: it "
                "is truncated; complete the run with 'mlobs run --resume'"
            )
        if len(missing):
            starts = [", ".join(map(str, one[:3])) for one in (written, steps)]
            raise RecordError(
                f"{self._path('out')}: has Efield at the steps {starts[0]} ..., but other outputs "
                f"are at {starts[1]} ...; give <properties> and the dipole the same stride"
            )
        return np.asarray(self.properties["Efield"][np.searchsorted(written, steps)])

    def positions(self) -> Trajectory:
        """Read unwrapped positions of all beads, shape ``(t, n_beads, n_atoms, 3)``, bohr."""
        return read_beads(self._find(("positions",), "pos", "write them, with filename='pos'"))

    def velocities(self) -> Trajectory:
        """Read velocities of the centroids, shape ``(t, n_atoms, 3)``, bohr/atu."""
        source = self.sources.get("velocities", Source(""))
        remedy = "name the file with --velocities"
        path = source.path or self._find(VELOCITY_OUTPUTS, "vel", remedy)
        found = read_velocities(path, source)
        self.note(path)
        return found

    def bead_velocities(self, n_beads: int) -> Trajectory:
        """Read velocities of all beads, shape ``(t, n_beads, n_atoms, 3)``, bohr/atu.

        Args:
            n_beads: number of beads of the run; a single bead is the centroid.

        Raises:
            RecordError: there are no velocities for this number of beads.
        """
        if n_beads == 1:
            found = self.velocities()
            return replace(found, values=found.values[:, None])
        remedy = "write those of all beads: <trajectory filename='v'> velocities </trajectory>"
        found = read_beads(self._find(("velocities",), "v", remedy))
        if (there := found.values.shape[1]) != n_beads:
            raise RecordError(f"{self.prefix}: has velocities of only {there} of {n_beads} beads")
        return found

    @cached_property
    def systems(self) -> list[System]:
        """The systems in RESTART, a checkpoint and inputs beside outputs, most reliable first."""
        return find_systems(self.prefix)

    def masses(self, velocities: Trajectory, given: Mapping[str, float] | None = None) -> Masses:
        """Find the masses of the atoms from the trajectory, RESTART, a checkpoint, input or labels.

        Args:
            velocities: velocities of this run, with which the masses are compared.
            given: masses that the user sets, by label, dalton.

        Raises:
            ConfigError: a given mass is not valid.
            RecordError: the velocities contradict these masses.
        """
        found = find_masses(velocities.labels, self.systems, given or {}, velocities.masses)
        temperature = kinetic_temperature(self.systems, velocities.quantity)
        check_masses(found, velocities.values, temperature, self.prefix)
        return found

    def stretches(self, steps: Integers) -> list[slice]:
        """Return the stretches of consecutive samples; here, all samples as one stretch.

        Args:
            steps: steps of the samples, shape ``(t,)``.
        """
        return [slice(0, len(steps))]

    def spacing(self, steps: Integers) -> float:
        """Return the time between samples, atu.

        Args:
            steps: steps of the samples, shape ``(t,)``.

        Raises:
            RecordError: the samples are not evenly spaced, or the time step changes along them.
        """
        strides = np.unique(np.diff(steps))
        if len(strides) != 1:
            raise RecordError(
                f"{self.prefix}: samples are {strides.tolist()} steps apart; a spectrum needs one "
                "stride: was the input changed between two pieces of the run?"
            )
        across = [p for p in self._pieces if p.first < steps[-1] and p.last > steps[0]]
        if len(across) > 1:
            skip = self.times(np.array([across[-1].first]))[0] / PICOSECOND
            raise RecordError(
                f"{self._path('out')}: the time step changes: {', '.join(map(str, across))}; a "
                f"spectrum needs one: --skip {np.ceil(1e4 * skip) / 1e4:g} leaves out the "
                "earlier pieces"
            )
        return float(strides[0]) * (across[0] if across else self._pieces[-1]).timestep

    def interval(self, steps: Integers) -> Interval:
        """Return the mean time between samples, with its number of steps.

        Args:
            steps: steps of two or more samples, shape ``(t,)``.
        """
        ends = steps[[0, -1]]
        picoseconds = float(np.ptp(self.times(ends))) / PICOSECOND
        return Interval(picoseconds / (len(steps) - 1), float(np.ptp(ends)) / (len(steps) - 1))

    def _find(self, holds: Sequence[str], name: str, remedy: str) -> Path:
        self._path(name)
        return self.note(find_output(self.prefix, holds, name, remedy))

    def note(self, path: Path) -> Path:
        """Add a file, or those of all its beads, to the files that were read; return its path."""
        self._read.update([path] if path.is_file() else find_bead_files(path).values())
        return path

    def _path(self, end: str) -> Path:
        if not self.prefix.name:
            raise RecordError(
                f"{str(self.prefix)!r} is a folder; give the prefix of i-PI's outputs in it, for "
                f"example {str(self.prefix / 'simulation')!r}"
            )
        return self.prefix.with_name(f"{self.prefix.name}.{end}")
