"""Join a record to the beads and steps of i-PI.

A client knows neither bead nor step. i-PI knows both, so the client sends the number of the row as
the extras ``record_row``, and i-PI writes it into its own files for each bead and step.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mlobs_client.errors import RecordError
from mlobs_client.ipi.extras import Extras
from mlobs_client.record.reader import Record
from mlobs_client.structure import Integers

logger = logging.getLogger(__name__)

PRINTED: Final = 1e-5
"""Largest difference between an observable in i-PI's files and in the record, relative to its
largest value: i-PI prints nine digits by default, and at least six are expected."""


@dataclass(frozen=True)
class Joined:
    """Columns of a record in the order of a trajectory.

    Attributes:
        steps: shape ``(n_steps,)``, steps of i-PI.
        values: by the name of the column, shape ``(n_steps, n_beads, ...)``, Hartree atomic units.
    """

    steps: Integers
    values: Mapping[str, npt.NDArray[Any]]


def join_record(
    extras: Sequence[Extras], records: Sequence[Record], names: Iterable[str] | None = None
) -> Joined:
    """Read rows of records in the order of steps and beads.

    Records of other runs may have the same names and row numbers. Such records are recognized only
    by an observable that is in both the extras and the record; without one, a warning is logged.

    Args:
        extras: ``record_row`` and, if several clients wrote records, ``record`` (their file names),
            read by :func:`mlobs_client.ipi.read_bead_extras`; if possible, also an observable that
            was recorded.
        records: records of all clients.
        names: columns to read; by default all columns that the records share.

    Returns:
        The columns at the steps that all ``extras`` have.

    Raises:
        RecordError: extras, a record or a row are missing, or a record belongs to another run.
    """
    steps: Integers = reduce(np.intersect1d, [e.steps for e in extras])
    rows, files = None, None
    for extra in extras:
        chosen = np.isin(extra.steps, steps)
        if "record_row" in extra.values:
            rows = extra.values["record_row"][chosen].round().astype(np.int64)
        if "record" in extra.texts:
            files = extra.texts["record"][chosen]
    if rows is None:
        raise RecordError(
            "no record_row in these extras; add <trajectory filename='record_row' "
            "extra_type='record_row'> extras </trajectory> to i-PI's input"
        )
    owners = _find_owners(rows, files, records)
    _check_run(extras, steps, rows, owners, records)
    if names is None:
        names = [n for n in records[0].names if all(n in record.names for record in records)]
    values = {name: _gather(name, rows, owners, records) for name in names}
    return Joined(steps, values)


def _check_run(
    extras: Sequence[Extras],
    steps: Integers,
    rows: Integers,
    owners: Integers,
    records: Sequence[Record],
) -> None:
    """Compare observables that are in both the extras and the records."""
    compared: set[int] = set()
    for extra in extras:
        at = np.isin(extra.steps, steps)
        for name, values in extra.values.items():
            for i, record in enumerate(records):
                mine = owners == i
                if name not in record.names or not mine.any():
                    continue
                sent, recorded = values[at][mine], record.read(name, rows[mine])
                if sent.shape != recorded.shape:
                    continue
                compared.add(i)
                if np.abs(sent - recorded).max() > PRINTED * np.abs(recorded).max():
                    raise RecordError(
                        f"{record.path}: is the record of another run: its {name} differs from "
                        "that in the extras; give the record of the same run (or, if another "
                        f"client sent this {name}, leave it out of the extras)"
                    )
    for i in sorted(set(np.unique(owners).tolist()) - compared):
        logger.warning(
            "%s: cannot check whether this record belongs to the run; let i-PI also "
            "write one of its observables as extras: %s",
            records[i].path,
            " or ".join(records[i].names),
        )


def _find_owners(
    rows: Integers, files: npt.NDArray[np.str_] | None, records: Sequence[Record]
) -> Integers:
    """Return the index of the record of each row."""
    if not records:
        raise RecordError("no record was given to join")
    if files is None:
        if len(records) > 1:
            raise RecordError(
                f"{len(records)} records, but no extras 'record' to name the record of each row; "
                "add <trajectory filename='record' extra_type='record'> extras </trajectory>"
            )
        return np.zeros(rows.shape, np.int64)
    known = {record.path.name: i for i, record in enumerate(records)}
    if len(known) < len(records):
        raise RecordError(
            f"several of the records {', '.join(str(record.path) for record in records)} have the "
            "same name, so their rows cannot be told apart; give the records of one run"
        )
    if missing := sorted(set(np.unique(files).tolist()) - known.keys()):
        raise RecordError(f"rows are in the records {', '.join(missing)}, which were not given")
    owners: Integers = np.vectorize(known.__getitem__, otypes=[np.int64])(files)
    return owners


def _gather(
    name: str, rows: Integers, owners: Integers, records: Sequence[Record]
) -> npt.NDArray[Any]:
    shape = records[0].shapes.get(name, ())
    values = np.empty((*rows.shape, *shape))
    for i, record in enumerate(records):
        mine = owners == i
        if mine.any():
            found = record.read(name, rows[mine])
            if found.shape[1:] != shape:
                raise RecordError(
                    f"{record.path}: holds {name} with shape {found.shape[1:]}, but "
                    f"{records[0].path} with {shape}; join them separately"
                )
            values[mine] = found
    return values
