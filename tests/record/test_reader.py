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


ROW = 3 * 8 + 8 + 8  # dipole, step, checksum


def damage(path: Path, row: int, byte: int = 0) -> None:
    """Turn one bit of a row of the record of four."""
    content = bytearray(path.read_bytes())
    content[len(content) - (4 - row) * ROW + byte] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("row", range(3))
def test_a_damaged_row_is_refused_with_file_and_number_whatever_byte_is_wrong(
    record: Record, row: int
) -> None:
    for byte in range(0, ROW, 3):
        damage(record.path, row, byte)
        for column in ("dipole", "step"):
            for rows in (None, [3, row], [[row]]):
                with pytest.raises(RecordError, match=rf"a\.h5: damaged rows.*disk: {row} of 4;"):
                    open_record(record.path).read(column, rows)
        damage(record.path, row, byte)
    np.testing.assert_array_equal(open_record(record.path).read("dipole"), DIPOLES)


def test_rows_beside_damaged_ones_can_be_read_as_the_message_says(record: Record) -> None:
    damage(record.path, 0)
    damage(record.path, 2)
    damaged = open_record(record.path)
    with pytest.raises(
        RecordError, match=r"disk: 0, 2 of 4; .* find_corrupt_rows\(\) does not name"
    ):
        damaged.read("dipole")
    good = sorted({*range(len(damaged))} - {*damaged.find_corrupt_rows()})
    np.testing.assert_array_equal(damaged.read("dipole", good), DIPOLES[[1, 3]])


def test_torn_rows_at_the_end_are_left_out_with_their_number(
    record: Record, caplog: pytest.LogCaptureFixture
) -> None:
    damage(record.path, 2)
    damage(record.path, 3)
    assert open_record(record.path).read("step").tolist() == [0, 1]
    assert "a.h5: the last 2 rows are incomplete" in caplog.text


def test_a_record_that_has_no_rows_yet_has_no_torn_ones(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with RecordWriter(tmp_path / "a.h5", {"dipole": (3,)}, {}):
        assert len(open_record(tmp_path / "a.h5")) == 0
    assert caplog.text == ""
