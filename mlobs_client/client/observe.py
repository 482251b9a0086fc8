"""Evaluate observables along a trajectory, after the run.

The values are those that a client gives during the run, within the precision of the positions, of
which i-PI prints 6 digits.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, islice, tee
from pathlib import Path
from typing import Any, Final

import numpy as np

from mlobs_client.client.total_energy import observe_batch
from mlobs_client.client.workers import EvaluateBatches
from mlobs_client.errors import RecordError
from mlobs_client.evaluate.evaluation import Evaluator
from mlobs_client.files import replacing
from mlobs_client.ipi.trajectory import Frame, TrajectoryReader
from mlobs_client.quantities import QUANTITIES
from mlobs_client.record.header import Attributes
from mlobs_client.record.join import Joined
from mlobs_client.record.reader import Record, open_record
from mlobs_client.record.writer import RecordWriter
from mlobs_client.structure import Array, Structure, to_atoms
from mlobs_client.terms.term import Term

FRAME_COLUMNS: Final = ("step", "bead", "structure_checksum")
"""Columns that identify the frame of a row."""

N_COMPARED: Final = 10
"""Number of rows that are compared with a trajectory; few suffice, since runs soon diverge."""

Periodicity = tuple[bool, bool, bool]


def observe_trajectory(
    frames: Iterable[Frame],
    evaluators: Sequence[Evaluator],
    wanted: Sequence[str],
    output: Path,
    *,
    terms: Sequence[Term] = (),
    pbc: Periodicity | None = None,
    batch_size: int = 16,
    elsewhere: EvaluateBatches | None = None,
    attributes: Attributes | None = None,
    progress: Callable[[int], None] | None = None,
) -> None:
    """Write observables of each frame to a record; continue where a killed call stopped.

    Args:
        frames: frames of positions, all with the same atoms; the beads of a step follow one
            another, as :func:`mlobs_client.ipi.iterate_beads` yields them.
        evaluators: evaluators that together provide everything that is wanted.
        wanted: names of observables; "positions" and "cell" are copied from the frames.
        output: path of the record to write, or to continue.
        terms: force terms that change observables, as in the run.
        pbc: periodicity along each lattice vector; by default, frames with a cell are periodic.
        batch_size: number of frames to evaluate at once.
        elsewhere: evaluates batches in other processes (:mod:`mlobs_client.client.workers`).
        attributes: origin of the numbers (models with their sha256, the client file).
        progress: called with the number of frames done, after each batch.

    Raises:
        RecordError: there are no frames, or ``output`` was made from another trajectory or with
            other models; the message says what differs.
        MissingObservable: no model gives one of the wanted observables.
    """
    stream = iter(frames)
    first = next(stream, None)
    if first is None:
        raise RecordError("the trajectory has no frames to observe")

    def evaluate_here(batches: Iterable[Sequence[Structure]]) -> Iterator[list[dict[str, Array]]]:
        return (observe_batch(batch, evaluators, terms, wanted) for batch in batches)

    (value,) = observe_batch([_structure(first, pbc)], evaluators, terms, wanted)
    row = _row(first, pbc, value)
    shapes = {name: np.shape(row[name]) for name in dict.fromkeys((*FRAME_COLUMNS, *wanted))}
    origin = {**(attributes or {}), "numbers": first.numbers.tolist()}
    with RecordWriter(output, shapes, origin) as writer:
        rest = chain([first], stream)
        _skip_done(rest, open_record(output), pbc)
        batches, again = tee(_batched(rest, batch_size))
        structures = ([_structure(frame, pbc) for frame in batch] for batch in again)
        for batch, values in zip(batches, (elsewhere or evaluate_here)(structures), strict=True):
            writer.append([_row(f, pbc, value) for f, value in zip(batch, values, strict=True)])
            if progress is not None:
                progress(len(writer))


def read_observed(path: Path, names: Iterable[str] | None = None) -> Joined:
    """Read a record written by :func:`observe_trajectory`.

    Args:
        path: path of the record.
        names: columns to read; by default all but those that identify the frame.

    Raises:
        RecordError: the record was written by another command, or its rows are not complete steps,
            one after the other.
    """
    record = open_record(path)
    steps, beads = record.read("step"), record.read("bead")
    n_beads = len(np.unique(beads))
    n_steps = len(record) // max(n_beads, 1)
    whole = np.arange(n_steps * n_beads).reshape(n_steps, n_beads)
    if n_steps == 0 or (steps[whole] != steps[whole[:, :1]]).any():
        raise RecordError(f"{path}: its rows are not whole steps in turn, each with all its beads")
    columns = (
        [name for name in record.names if name not in FRAME_COLUMNS] if names is None else names
    )
    return Joined(steps[whole[:, 0]], {name: record.read(name, whole) for name in columns})


def check_trajectory(record: Record, readers: Sequence[TrajectoryReader]) -> None:
    """Compare rows, evenly spread over a record, with the positions of a run.

    Args:
        record: a record written by :func:`observe_trajectory`.
        readers: trajectories of positions of the run, for example one for each bead.

    Raises:
        RecordError: the record was made from the trajectory of another run.
    """
    steps, checksums = record.read("step"), record.read("structure_checksum")
    common = np.flatnonzero(np.isin(steps, np.concatenate([one.steps for one in readers])))
    rows = common[np.linspace(0, len(common) - 1, min(N_COMPARED, len(common)), dtype=int)]
    frames = {
        (frame.step, _checksum(frame.structure))
        for reader in readers
        for frame in reader.select(steps[rows])
    }
    others = [i for i in rows if (steps[i], checksums[i]) not in frames]
    if others or not len(rows):
        where = f"at step {steps[others[0]]} its positions" if others else "its steps"
        raise RecordError(
            f"{record.path}: is the record of another run: {where} are not those of the run; give "
            "its record, or observe its positions with 'mlobs observe' and another -o"
        )


def export_extxyz(
    record: Record, frames: Iterable[Frame], output: Path, pbc: Periodicity | None = None
) -> None:
    """Write frames with their observables as extended xyz, in eV and angstrom.

    Names start with ``mlobs_``, because ASE takes the plain ones for results of a calculator.
    Tensors of each atom become rows of 9 or 27 numbers. The file appears when it is complete.

    Args:
        record: a record written by :func:`observe_trajectory`.
        frames: the frames of this record.
        output: path of the file to write.
        pbc: periodicity along each lattice vector; by default, frames with a cell are periodic.

    Raises:
        RecordError: the frames are not those of the record, or the file cannot be written; even
            then, the record is complete.
    """
    import ase.io

    names = [name for name in record.names if name in QUANTITIES and name != "positions"]
    checksums = record.read("structure_checksum")
    with replacing(output) as draft, draft.open("w", encoding="utf-8") as file:
        for i, frame in enumerate(frames):
            structure = _structure(frame, pbc)
            _check_same(i, frame, structure, checksums, record.path)
            atoms = to_atoms(structure.numbers, structure.positions, structure.cell, structure.pbc)
            atoms.info.update(step=frame.step, bead=frame.bead)
            for name in names:
                value = record.read(name, i) / QUANTITIES[name].to_users.factor
                _attach(atoms, name, value)
            ase.io.write(file, atoms, format="extxyz")


def _structure(frame: Frame, pbc: Periodicity | None) -> Structure:
    return frame.structure if pbc is None else replace(frame.structure, pbc=pbc)


def _row(frame: Frame, pbc: Periodicity | None, value: Mapping[str, Array]) -> dict[str, Any]:
    structure = _structure(frame, pbc)
    place = {"step": frame.step, "bead": frame.bead, "structure_checksum": _checksum(structure)}
    return {**value, **place, "positions": structure.positions, "cell": structure.cell}


def _batched(frames: Iterator[Frame], size: int) -> Iterator[list[Frame]]:
    while batch := list(islice(frames, size)):
        yield batch


def _checksum(structure: Structure) -> int:
    arrays = (structure.numbers, structure.positions, structure.cell)
    return zlib.crc32(b"".join(np.ascontiguousarray(array).tobytes() for array in arrays))


def _skip_done(frames: Iterator[Frame], record: Record, pbc: Periodicity | None) -> None:
    """Skip the frames that the record already has, and check that they are the same."""
    checksums = record.read("structure_checksum")
    n_skipped = 0
    for frame in islice(frames, len(checksums)):
        _check_same(n_skipped, frame, _structure(frame, pbc), checksums, record.path)
        n_skipped += 1
    if n_skipped < len(checksums):
        raise RecordError(
            f"{record.path}: has {len(checksums)} frames, but the trajectory has only {n_skipped}; "
            "choose another output for another trajectory"
        )


def _check_same(i: int, frame: Frame, structure: Structure, checksums: Array, path: Path) -> None:
    if i >= len(checksums) or _checksum(structure) != checksums[i]:
        raise RecordError(
            f"{path}: frame {i} of the trajectory (step {frame.step}, bead {frame.bead}) is not "
            "the one that was observed; choose another output for another trajectory"
        )


def _attach(atoms: Any, name: str, value: Array) -> None:
    row = QUANTITIES[name]
    if row.per == "atom" and not row.members_of:
        atoms.arrays[f"mlobs_{name}"] = value.reshape(len(atoms), -1)
    else:
        atoms.info[f"mlobs_{name}"] = value if value.ndim else float(value)
