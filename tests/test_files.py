"""What cannot be written is one line with its reason, and what was there before stays."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import h5py
import pytest
from matplotlib.figure import Figure

from mlobs_client.errors import LaunchError, ModelError, RecordError
from mlobs_client.files import read_json, replacing, write_csv, write_json

FULL = Path("/dev/full")  # every write says that no space is left


@pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full of Linux")
def test_a_full_disk_is_named_and_the_file_before_stays(tmp_path: Path) -> None:
    path = tmp_path / "it"
    write_json(path, {"step": 1})
    before = path.read_bytes()
    (tmp_path / "it.partial").symlink_to(FULL)
    with pytest.raises(
        ModelError, match=r"it: cannot be written: No space left .* repeat the command"
    ):
        write_json(path, {"step": 2})
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_cannot_be_replaced_is_named(tmp_path: Path) -> None:
    (tmp_path / "it").mkdir()
    with pytest.raises(ModelError, match="it: cannot be written: Is a directory"):
        write_json(tmp_path / "it", {})


def write_hdf5(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["x"] = 1.0


def write_and_fail(path: Path, write: Callable[[Path], object], fault: BaseException) -> None:
    with replacing(path, error=LaunchError) as draft:
        write(draft)
        raise fault


WRITERS: dict[str, Callable[[Path], object]] = {
    "text": lambda path: path.write_text("new"),
    "HDF5": write_hdf5,
    "figure": lambda path: Figure().savefig(path, format="png"),
}


@pytest.mark.parametrize("kind", WRITERS)
def test_any_writer_replaces_a_file_at_once(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "it"
    path.write_text("old")
    with replacing(path) as draft:
        WRITERS[kind](draft)
        assert path.read_text() == "old"
    assert path.read_bytes()[:3] in (b"new", b"\x89HD", b"\x89PN")
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize(
    ("fault", "raised"), [(OSError(5, "broken"), LaunchError), (KeyboardInterrupt(), None)]
)
def test_what_fails_while_it_is_written_leaves_the_file_before_and_no_draft(
    kind: str, fault: BaseException, raised: type[LaunchError] | None, tmp_path: Path
) -> None:
    path = tmp_path / "it"
    path.write_text("old")
    with pytest.raises(raised or type(fault)) as caught:
        write_and_fail(path, WRITERS[kind], fault)
    assert raised is None or str(caught.value).startswith(f"{path}: cannot be written: broken; ")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_two_that_write_one_file_at_once_do_not_mix(tmp_path: Path) -> None:
    path = tmp_path / "it"
    with replacing(path, writer="-1") as one, replacing(path, writer="-2") as other:
        one.write_text("one")
        other.write_text("other")
    assert path.read_text() == "one"


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


@pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full of Linux")
def test_a_table_on_a_full_disk_is_named(tmp_path: Path) -> None:
    (tmp_path / "table.csv.partial").symlink_to(FULL)
    with pytest.raises(RecordError, match=r"table\.csv: cannot be written: No space left"):
        write_csv(tmp_path / "table.csv", {"a": ["x" * 10000]})
    assert list(tmp_path.iterdir()) == []


def test_columns_of_different_length_leave_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("old")
    with pytest.raises(ValueError, match="shorter"):
        write_csv(path, {"a": [1], "b": []})
    assert path.read_text() == "old"
