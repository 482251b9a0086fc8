"""Read ``<trajectory>`` files of i-PI: positions, velocities and forces of beads or centroids."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import BinaryIO

import numpy as np

from mlobs_client.errors import RecordError
from mlobs_client.ipi.continuation import collect_beads, common_steps, find_history
from mlobs_client.ipi.frames import FrameLocation, find_frames
from mlobs_client.ipi.xyz import Parsed, parse_frame
from mlobs_client.structure import Array, Integers, Structure

logger = logging.getLogger(__name__)

POSITION_QUANTITIES = frozenset({"positions", "x_centroid", "x_centroid_even", "x_centroid_odd"})


@dataclass(frozen=True)
class Frame(Parsed):
    """A frame of a trajectory, with its place in the run.

    Attributes:
        step: step of i-PI, or the number of the frame if the file has no steps.
        bead: bead; 0 for centroids and single files.
    """

    step: int = field(kw_only=True)
    bead: int = field(kw_only=True)

    @property
    def structure(self) -> Structure:
        """The structure, periodic if the file has a cell.

        Raises:
            RecordError: this is a frame of velocities, forces or the like.
        """
        if self.quantity not in POSITION_QUANTITIES:
            raise RecordError(f"a frame of {self.quantity} has no positions; read another file")
        if self.cell is None:
            return Structure(self.numbers, self.values, np.zeros((3, 3)), (False, False, False))
        return Structure(self.numbers, self.values, self.cell)


@dataclass(frozen=True)
class Trajectory:
    """A whole trajectory in memory.

    Attributes:
        steps: shape ``(n_steps,)``.
        quantity: see :class:`Frame`.
        numbers: shape ``(n_atoms,)``, atomic numbers.
        values: ``[step, atom, 3]`` or ``[step, bead, atom, 3]``, atomic units.
        cells: ``[step, 3, 3]``, bohr, lattice vectors are rows; NaN without a cell.
        labels: see :class:`Frame`.
        masses: masses of the first frame, see :class:`Frame`.
    """

    steps: Integers
    quantity: str
    numbers: Integers
    values: Array
    cells: Array
    labels: tuple[str, ...]
    masses: Array | None = None


class TrajectoryReader:
    """Reads the frames of a trajectory one by one; until then they stay in their files.

    Attributes:
        bead: bead of the frames, unless the comments name several beads.
        steps: shape ``(n_frames,)``, increasing, unless a step has several frames.
    """

    def __init__(
        self, places: Sequence[FrameLocation], bead: int = 0, columns: Sequence[str] = ()
    ) -> None:
        self.bead = bead
        self._columns = columns
        self._places = list(places)
        self._has_beads = len({place.bead for place in places}) > 1
        self.steps: Integers = np.array([place.step for place in places], dtype=np.int64)
        if (self.steps < 0).any():
            self.steps = np.arange(len(places))

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[Frame]:
        places = zip(self.steps, self._places, strict=True)
        labels: tuple[str, ...] = ()
        for path, group in groupby(places, key=lambda item: item[1].path):
            with path.open("rb") as file:
                for step, place in group:
                    frame = self._read(int(step), place, file)
                    labels = labels or frame.labels
                    _check_labels(frame.labels, labels, f"{path}:{place.line}", "the first frame")
                    yield frame

    def read_all(self) -> Trajectory:
        """Read all frames into memory."""
        frames = list(self)
        _check_masses(frames, self._places)
        no_cell = np.full((3, 3), np.nan)
        return Trajectory(
            self.steps,
            frames[0].quantity,
            frames[0].numbers,
            np.array([frame.values for frame in frames]),
            np.array([no_cell if frame.cell is None else frame.cell for frame in frames]),
            frames[0].labels,
            frames[0].masses,
        )

    def require_one_frame_per_step(self) -> None:
        """Refuse files with several frames per step, such as beads or NEB images.

        Raises:
            RecordError: a step has several frames.
        """
        steps, counts = np.unique(self.steps, return_counts=True)
        if (counts > 1).any():
            first = self._places[0]
            raise RecordError(
                f"{first.path}: has {counts.max()} frames of step {steps[counts.argmax()]}, such "
                "as beads or NEB images, but one at each step is needed; give files of single beads"
            )

    def select(self, steps: Integers) -> TrajectoryReader:
        """Return a reader of only the frames at these steps."""
        indices = np.flatnonzero(np.isin(self.steps, steps))
        places = [self._places[i] for i in indices]
        chosen = TrajectoryReader(places, self.bead, self._columns)
        chosen.steps = self.steps[indices]
        return chosen

    def _read(self, step: int, place: FrameLocation, file: BinaryIO) -> Frame:
        comment, lines = place.read(file)
        parsed = parse_frame(comment, lines, f"{place.path}:{place.line}", self._columns)
        bead = place.bead if self._has_beads else self.bead
        return Frame(**vars(parsed), step=step, bead=bead)


def _check_labels(
    labels: tuple[str, ...], expected: tuple[str, ...], where: str, of_which: str
) -> None:
    if labels == expected:
        return
    if len(labels) != len(expected):
        raise RecordError(f"{where}: {len(labels)} atoms, but {len(expected)} in {of_which}")
    i = next(i for i, pair in enumerate(zip(labels, expected, strict=True)) if len(set(pair)) == 2)
    raise RecordError(
        f"{where}: atom {i + 1} of {len(labels)} is {labels[i]}, but {expected[i]} in {of_which}; "
        "all frames need the same atoms in the same order"
    )


def _check_masses(frames: Sequence[Frame], places: Sequence[FrameLocation]) -> None:
    """Refuse masses that change, since only those of the first frame are kept."""
    first = frames[0].masses
    for frame, place in zip(frames, places, strict=True):
        if first is not frame.masses and not np.array_equal(first, frame.masses):  # type: ignore
            raise RecordError(
                f"{place.path}:{place.line}: the masses differ from those of the first "
                "frame; all frames need the same masses"
            )


def open_trajectory(
    *paths: Path | str, bead: int = 0, columns: Sequence[str] = ()
) -> TrajectoryReader:
    """Find the frames of a trajectory, for iteration or reading.

    If comments name several beads, the frames of all are included, step by step; if all frames
    have the same step (images of a path), all are included, in the order of the file.

    Args:
        paths: one file (xyz or extxyz, any units that i-PI writes), or the files of a continued
            run in their order.
        bead: bead of the frames.
        columns: columns of extended xyz from other programs; the first one that exists is read
            instead of positions, in its own unit.

    Raises:
        RecordError: a file is missing, is not a trajectory, or has no complete frame.
    """
    places = [place for path in paths for place in find_frames(Path(path))]
    if not places:
        raise RecordError(f"{', '.join(map(str, paths))}: has no complete frame")
    return TrajectoryReader(_keep_history(places, Path(paths[0])), bead, columns)


def _keep_history(places: list[FrameLocation], path: Path) -> list[FrameLocation]:
    steps = np.array([place.step for place in places])
    beads = np.array([place.bead for place in places])
    if (steps < 0).any() or len(np.unique(steps)) == 1:
        return places
    histories = []
    for bead in np.unique(beads):
        of_bead = np.flatnonzero(beads == bead)
        histories.append(of_bead[find_history(steps[of_bead], path, "frames")])
    kept = np.concatenate(histories)
    return [places[i] for i in kept[np.lexsort((beads[kept], steps[kept]))]]


def open_beads(*bases: Path | str) -> list[TrajectoryReader]:
    """Find the frames of all beads, at the steps that are common to all of them.

    Args:
        bases: path without bead and file extension, such as ``simulation.pos`` for
            ``simulation.pos_0.xyz``, ...; several for a run that was continued elsewhere.

    Raises:
        RecordError: see :func:`open_trajectory`; or the beads have no step in common.
    """
    beads = collect_beads([Path(base) for base in bases])
    readers = [open_trajectory(*paths, bead=bead) for bead, paths in beads.items()]
    for reader in readers:
        reader.require_one_frame_per_step()
    common = common_steps([reader.steps for reader in readers], Path(bases[0]))
    chosen = [reader.select(common) for reader in readers]
    expected = next(iter(chosen[0])).labels
    for reader in chosen[1:]:
        labels = next(iter(reader)).labels
        _check_labels(labels, expected, f"{bases[0]}, bead {reader.bead}", "the first bead")
    return chosen


def iterate_beads(*bases: Path | str) -> Iterator[Frame]:
    """Yield the frames of all beads, step by step, with the beads in order within each step.

    Args:
        bases: see :func:`open_beads`.
    """
    for frames in zip(*open_beads(*bases), strict=True):
        yield from frames


def read_beads(*bases: Path | str) -> Trajectory:
    """Read all beads into memory, values as ``[step, bead, atom, 3]``.

    Args:
        bases: see :func:`open_beads`.
    """
    beads = [reader.read_all() for reader in open_beads(*bases)]
    values = np.stack([bead.values for bead in beads], axis=1)
    return replace(beads[0], values=values)
