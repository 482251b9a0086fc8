"""A record is joined to the run that it is of, and to no other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from written_runs import write_record, write_run

from mlobs_client.errors import RecordError
from mlobs_client.studies import Run
from mlobs_client.studies.recorded import read_recorded

DIPOLES = np.random.default_rng(0).normal(size=(40, 1, 3))
MEMBERS = DIPOLES[:, :, None] + np.array([[-0.1], [0.1]])


@pytest.fixture
def run(tmp_path: Path) -> Run:
    prefix = tmp_path / "simulation"
    write_run(prefix, DIPOLES[:, 0], 20.0)
    write_record(tmp_path / "record.h5", prefix, {"dipole": DIPOLES, "committee_dipoles": MEMBERS})
    return Run(prefix)


@pytest.mark.parametrize("name", ["record.h5", ""])
def test_rows_are_put_in_the_order_of_steps_from_a_file_or_a_folder(run: Run, name: str) -> None:
    found = read_recorded(run, run.prefix.parent / name, "dipole")
    assert found.steps.tolist() == list(range(0, 160, 4))
    np.testing.assert_array_equal(found.values["dipole"], DIPOLES)
    np.testing.assert_array_equal(found.values["committee_dipoles"], MEMBERS)


def test_a_record_of_another_run_is_refused(run: Run) -> None:
    write_run(run.prefix, DIPOLES[::-1, 0], 20.0)
    with pytest.raises(RecordError, match="is the record of another run: its dipole differs"):
        read_recorded(run, run.prefix.with_name("record.h5"), "dipole")


def test_what_a_record_does_not_have_is_named(run: Run) -> None:
    with pytest.raises(RecordError, match="has no polarizability; it has dipole, committee_dip"):
        read_recorded(run, run.prefix.with_name("record.h5"), "polarizability")


def test_without_row_numbers_a_client_has_to_send_them(run: Run) -> None:
    run.prefix.with_name("simulation.record_row_0").unlink()
    with pytest.raises(RecordError, match="i-PI writes it with <trajectory extra_type='record_row"):
        read_recorded(run, run.prefix.with_name("record.h5"), "dipole")
