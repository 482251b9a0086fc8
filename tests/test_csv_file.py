"""Tables as CSV."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlobs_client.csv_file import write_csv


def test_what_is_not_known_is_an_empty_cell(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    write_csv(path, {"name": ["a,b", None], "x (K)": [float("nan"), 0.1], "n": [3, None]})
    assert path.read_text() == 'name,x (K),n\n"a,b",,3\n,0.1,\n'


def test_columns_of_different_length_leave_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("old")
    with pytest.raises(ValueError, match="shorter"):
        write_csv(path, {"a": [1], "b": []})
    assert path.read_text() == "old"
