"""What cannot be written is one line with its reason, and what was there before stays."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mlobs_client.errors import ModelError
from mlobs_client.files import read_json, write_csv, write_json

FULL = Path("/dev/full")  # every write says that no space is left


@pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full of Linux")
def test_a_full_disk_is_named_and_the_file_before_stays(tmp_path: Path) -> None:
    path = tmp_path / "it"
    write_json(path, {"step": 1})
    before = path.read_bytes()
    (tmp_path / "it.partial").symlink_to(FULL)
    with pytest.raises(ModelError, match=r"it: cannot be written: No space left .* line again"):
        write_json(path, {"step": 2})
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_cannot_be_replaced_is_named(tmp_path: Path) -> None:
    (tmp_path / "it").mkdir()
    with pytest.raises(ModelError, match="it: cannot be written: Is a directory"):
        write_json(tmp_path / "it", {})


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_is_read_only_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(ModelError, match="it: cannot be written: Permission denied"):
        write_json(tmp_path / "it", {})


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    path.write_text("{")
    with pytest.raises(ModelError, match=r"settings\.json: cannot be read .* another folder"):
        read_json(path)


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
