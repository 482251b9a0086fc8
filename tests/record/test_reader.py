"""What can be read from a record, and what is said when it cannot."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mlobs_client.errors import RecordError
from mlobs_client.record.reader import Record, open_record
from mlobs_client.record.writer import RecordWriter

DIPOLES = np.arange(12.0).reshape(4, 3)


@pytest.fixture
def record(tmp_path: Path) -> Record:
    with RecordWriter(tmp_path / "a.h5", {"dipole": (3,), "step": ()}, {"model": "m1"}) as writer:
        writer.append([{"dipole": dipole, "step": i} for i, dipole in enumerate(DIPOLES)])
    return open_record(tmp_path / "a.h5")


def test_a_record_says_what_it_holds(record: Record) -> None:
    assert (len(record), record.names) == (4, ("dipole", "step"))
    assert (record.shapes["dipole"], record.units["dipole"]) == ((3,), "e bohr")
    assert record.attributes["model"] == "m1"
    assert str(record.attributes["created"]).startswith("20")


def test_rows_can_be_read_in_any_order_and_shape(record: Record) -> None:
    rows = np.array([[3, 0], [1, 1]])
    np.testing.assert_array_equal(record.read("dipole", rows), DIPOLES[rows])
    assert record.read("step").tolist() == [0, 1, 2, 3]


def test_what_is_read_can_be_changed_without_changing_the_record(record: Record) -> None:
    record.read("dipole")[:] = 0.0
    record.read("dipole", [1])[:] = 0.0
    np.testing.assert_array_equal(record.read("dipole"), DIPOLES)


@pytest.mark.parametrize("row", [-1, 4])
def test_a_row_that_is_not_there_is_refused(record: Record, row: int) -> None:
    with pytest.raises(RecordError, match=f"a.h5: has no row {row}; it has 4 rows"):
        record.read("dipole", [0, row])


def test_a_column_that_is_not_there_is_refused(record: Record) -> None:
    with pytest.raises(RecordError, match="has no 'energy'; it has dipole, step"):
        record.read("energy")


@pytest.mark.parametrize("content", [b"", b"\x89HDF\r\n\x1a\n", b"nonsense" * 100])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "b.h5").write_bytes(content)
    with pytest.raises(RecordError, match=r"b\.h5: not a record"):
        open_record(tmp_path / "b.h5")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"c\.h5: cannot be read: No such file"):
        open_record(tmp_path / "c.h5")
