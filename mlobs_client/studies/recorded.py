"""Read observables of a run from the records of its clients, or of ``mlobs observe``."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mlobs_client.client.observe import check_trajectory, read_observed
from mlobs_client.errors import RecordError
from mlobs_client.ipi.continuation import find_bead_files
from mlobs_client.ipi.extras import Extras
from mlobs_client.ipi.finding import find_outputs
from mlobs_client.ipi.trajectory import POSITION_QUANTITIES, TrajectoryReader, open_trajectory
from mlobs_client.quantities import QUANTITIES
from mlobs_client.record.join import Joined, join_record
from mlobs_client.record.reader import Record, open_record
from mlobs_client.studies.replica_exchange import ExchangedRun
from mlobs_client.studies.runs import Run

logger = logging.getLogger(__name__)

ROW, FILE = "record_row", "record"
"""Extras with the row and the record in which a client has stored its observables."""


def read_recorded(run: Run, path: Path, name: str) -> Joined:
    """Read an observable of all beads, and its committee members if they were recorded.

    Args:
        run: the run to which the record belongs.
        path: record of ``mlobs observe``; or the record of this run's client, which needs i-PI's
            extras ``record_row``; or the folder with the records of several clients, which also
            need the extras ``record``.
        name: name of the observable, a row of :mod:`mlobs_client.quantities`.

    Returns:
        Its values, shape ``(n_steps, n_beads, ...)``, Hartree atomic units.

    Raises:
        RecordError: the record lacks the observable, belongs to another run, or cannot be joined;
            or the run has replica exchange.
    """
    if isinstance(run, ExchangedRun):
        raise RecordError(
            f"{path}: recorded observables of replica exchange cannot be sorted by temperature; "
            f"let i-PI write the extras {name!r} during the run"
        )
    records = _open(run, path)
    missing = [record for record in records if name not in record.names]
    if missing:
        raise RecordError(
            f"{missing[0].path}: has no {name}; it has {', '.join(missing[0].names)}. Observe it "
            f"with: mlobs observe -w {name}"
        )
    names = [name]
    if (of_members := QUANTITIES[name].members) and all(of_members in one.names for one in records):
        names.append(of_members)
    if "step" in records[0].names:
        observed = read_observed(path, names)
        _check_run(run, records[0])
        return observed
    return join_record(_extras(run, records), records, names)


def _open(run: Run, path: Path) -> list[Record]:
    files = [path]
    if path.is_dir():
        files = [path / str(file) for file in np.unique(run.extras(FILE).texts[FILE])]
    return [open_record(run.note(file)) for file in files]


def _check_run(run: Run, record: Record) -> None:
    """Compare a record of ``mlobs observe`` with the positions of the run."""
    if readers := _positions(run):
        check_trajectory(record, readers)
    else:
        logger.warning(
            "%s: cannot check whether this record belongs to the run; keep the trajectory that was "
            "observed beside the other outputs, with the prefix %s",
            record.path,
            run.prefix,
        )


def _positions(run: Run) -> list[TrajectoryReader]:
    """Find the positions of all beads and of centroids."""
    outputs = find_outputs(run.prefix)
    files = [
        file
        for path in (run.note(one.path) for one in outputs if POSITION_QUANTITIES & {*one.holds})
        for file in ([path] if path.is_file() else find_bead_files(path).values())
    ]
    return [open_trajectory(file) for file in files]


def _extras(run: Run, records: Sequence[Record]) -> list[Extras]:
    """Read the rows at all steps and beads, and observables that identify the run."""
    found = [run.extras(ROW)]
    if len(records) > 1:
        found.append(run.extras(FILE))
    wire_names = (QUANTITIES[name].wire_name for name in records[0].names if name in QUANTITIES)
    return found + [run.extras(name) for name in wire_names if run.has_extras(name)]
