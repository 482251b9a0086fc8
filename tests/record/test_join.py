"""Rows find their way to beads and steps."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

from mlobs_client.errors import RecordError
from mlobs_client.ipi import Extras
from mlobs_client.record import (
    Record,
    RecordWriter,
    join_record,
    open_record,
)

STEPS = np.array([0, 10, 20])
ROWS = np.array([[0, 1], [5, 4], [2, 3]])


def make_record(path: Path, offset: float, n_rows: int = 6) -> Record:
    shapes = {"dipole": (3,), "positions": (2, 3), "cell": (3, 3)}
    rows = [
        {
            "dipole": np.arange(3.0) + 10 * row + offset,
            "positions": np.full((2, 3), row + offset),
            "cell": np.triu(np.full((3, 3), 8.0 + row)),
        }
        for row in range(n_rows)
    ]
    with RecordWriter(path, shapes, {"numbers": [8, 1]}) as writer:
        writer.append(rows)
    return open_record(path)


def extras(rows: np.ndarray, steps: np.ndarray = STEPS) -> Extras:
    return Extras(steps, {"record_row": rows.astype(float)}, {})


def test_rows_come_in_the_order_of_steps_and_beads(tmp_path: Path) -> None:
    record = make_record(tmp_path / "a.h5", 0.0)
    joined = join_record([extras(ROWS)], [record])
    np.testing.assert_array_equal(joined.steps, STEPS)
    np.testing.assert_array_equal(joined.values["dipole"][..., 1], 10 * ROWS + 1)
    assert joined.values["positions"].shape == (3, 2, 2, 3)
    assert list(join_record([extras(ROWS)], [record], ["dipole"]).values) == ["dipole"]


def test_rows_of_several_clients_are_told_apart_by_the_name_of_the_record(tmp_path: Path) -> None:
    records = [make_record(tmp_path / "a.h5", 0.0), make_record(tmp_path / "b.h5", 0.5)]
    names = np.array([["a.h5", "b.h5"], ["b.h5", "a.h5"], ["b.h5", "b.h5"]])
    joined = join_record([extras(ROWS), Extras(STEPS, {}, {"record": names})], records)
    expected = 10 * ROWS + np.where(names == "b.h5", 0.5, 0.0)
    np.testing.assert_array_equal(joined.values["dipole"][..., 0], expected)


def test_the_record_of_another_run_is_refused_although_it_has_the_name(
    tmp_path: Path, caplog
) -> None:
    for folder in ("this", "other"):
        (tmp_path / folder).mkdir()
    ours = make_record(tmp_path / "this" / "a.h5", 0.0)
    theirs = make_record(tmp_path / "other" / "a.h5", 0.25)
    # as i-PI prints it, nine digits
    printed = np.vectorize(lambda x: float(f"{x:.8e}"))(ours.read("dipole", ROWS))
    sent = Extras(STEPS, {"dipole": printed}, {})
    with caplog.at_level(logging.WARNING):
        assert join_record([extras(ROWS), sent], [ours]).steps.tolist() == STEPS.tolist()
        assert not caplog.text
        join_record([extras(ROWS)], [ours])
    assert "cannot check whether this record belongs to the run" in caplog.text
    with pytest.raises(RecordError, match=r"other/a\.h5: is the record of another run: its dipole"):
        join_record([extras(ROWS), sent], [theirs])
    names = Extras(STEPS, {}, {"record": np.full((3, 2), "a.h5")})
    with pytest.raises(
        RecordError, match=r"several of the records .*other/a\.h5 have the same name"
    ):
        join_record([extras(ROWS), names], [ours, theirs])


def test_only_steps_that_all_extras_have_are_joined(tmp_path: Path) -> None:
    record = make_record(tmp_path / "a.h5", 0.0)
    names = Extras(np.array([10, 20, 30]), {}, {"record": np.full((3, 2), "a.h5")})
    joined = join_record([extras(ROWS), names], [record])
    assert joined.steps.tolist() == [10, 20]
    np.testing.assert_array_equal(joined.values["dipole"][..., 0], 10 * ROWS[1:])


def test_several_records_without_their_names_in_the_extras_are_refused(tmp_path: Path) -> None:
    records = [make_record(tmp_path / name, 0.0) for name in ("a.h5", "b.h5")]
    with pytest.raises(RecordError, match="extra_type='record'"):
        join_record([extras(ROWS)], records)


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    record = make_record(tmp_path / "a.h5", 0.0, n_rows=5)
    with pytest.raises(RecordError, match="has no row 5; it has 5 rows"):
        join_record([extras(ROWS)], [record])
    with pytest.raises(RecordError, match="extra_type='record_row'"):
        join_record([Extras(STEPS, {}, {})], [record])
    names = Extras(STEPS, {}, {"record": np.full((3, 2), "c.h5")})
    with pytest.raises(RecordError, match=r"records c\.h5, which were not given"):
        join_record([extras(ROWS), names], [record])


def test_a_damaged_row_is_not_joined(tmp_path: Path) -> None:
    path = make_record(tmp_path / "a.h5", 0.0).path
    content = bytearray(path.read_bytes())
    row = (3 + 6 + 9 + 1) * 8
    content[len(content) - 2 * row] ^= 1  # the first number of row 4 of 6
    path.write_bytes(content)
    record = open_record(path)
    with pytest.raises(RecordError, match=r"a\.h5: damaged rows.*disk: 4 of 6"):
        join_record([extras(ROWS)], [record])
    assert join_record([extras(ROWS[:1], STEPS[:1])], [record]).steps.tolist() == [0]
