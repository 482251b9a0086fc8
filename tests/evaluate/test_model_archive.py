"""What is said of a file without loading it, and which files loading could run."""

from __future__ import annotations

import io
import pickle
import tarfile
import zipfile
from pathlib import Path

import pytest
import torch

from mlobs_client.errors import ModelError
from mlobs_client.evaluate.model_archive import MOST, can_run_code, describe_file


class Evil:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_of_any_protocol_can_run_code(tmp_path: Path, protocol: int) -> None:
    ran, path = tmp_path / "ran", tmp_path / "evil.pkl"
    path.write_bytes(pickle.dumps(Evil(ran), protocol=protocol))
    assert can_run_code(path)
    assert not ran.exists()
    pickle.loads(path.read_bytes())
    assert ran.exists()  # it could


@pytest.mark.parametrize("zipped", [True, False])
def test_what_torch_saves_can_run_code(tmp_path: Path, zipped: bool) -> None:
    path = tmp_path / "a.model"
    torch.save({"a": torch.zeros(2)}, path, _use_new_zipfile_serialization=zipped)
    assert can_run_code(path)


def test_a_tar_as_old_torch_wrote_it_can_run_code(tmp_path: Path) -> None:
    path, content = tmp_path / "old.pt", pickle.dumps(Evil(tmp_path / "ran"), protocol=2)
    with tarfile.open(path, "w") as archive:
        row = tarfile.TarInfo("pickle")
        row.size = len(content)
        archive.addfile(row, io.BytesIO(content))
    assert can_run_code(path)


@pytest.mark.parametrize(
    "content",
    [b"", b"3\n\nO 0 0 0\n", b"# a comment\n", b'{"a": 1}', b"[table]\na = 1\n", b"\x89HDF\r\n",
     b"(a comment)\n1 2 3\n", b"c a comment\n", b"pair_style lj\n", b"name: x.\n", b"\xffbytes."],
)  # fmt: skip
def test_texts_and_tables_are_no_code(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "parameters"
    path.write_bytes(content)
    assert not can_run_code(path)


def test_what_cannot_be_read_may_be_code_and_is_not_described(tmp_path: Path) -> None:
    assert can_run_code(tmp_path / "gone")
    with pytest.raises(ModelError, match=r"gone: cannot be read: No such file"):
        describe_file(tmp_path / "gone", "0")


def test_an_archive_is_described_by_its_names_and_what_it_would_use(tmp_path: Path) -> None:
    path = tmp_path / "evil.model"
    torch.save([torch.zeros(2), torch.ones(3), Evil(tmp_path / "ran")], path)
    said = describe_file(path, 64 * "a")
    assert said.startswith(f"{path}: not trusted, {path.stat().st_size} bytes, sha256 aaaa")
    assert "evil/data.pkl" in said
    assert "and 2 tensors" in said
    assert "would use builtins.getattr, pathlib.Path" in said
    assert not (tmp_path / "ran").exists()


def test_an_archive_of_tensors_alone_is_said_to_be_one(tmp_path: Path) -> None:
    path = tmp_path / "plain.model"
    torch.save({"a": torch.zeros(2)}, path)
    assert describe_file(path, "0").endswith("1 tensors; loading it would use plain tensors only")


def test_what_is_no_archive_is_said_to_be_none(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_text("text")
    assert "4 bytes, sha256 0, no archive as torch writes it (" in describe_file(path, "0")


def test_an_archive_that_torch_did_not_write_does_not_tell_what_it_would_use(
    tmp_path: Path,
) -> None:
    path = tmp_path / "other.zip"
    names = [f"{i:02d}" for i in range(MOST + 5)] + ["evil\x1b[2J"]
    with zipfile.ZipFile(path, "w") as archive:
        for name in reversed(names):
            archive.writestr(name, "")
    said = describe_file(path, "0")
    assert "loading it would use what cannot be told (" in said
    assert "'evil\\x1b[2J'" in said
    assert " and 6 more, and 0 tensors" in said
    assert said.isprintable()
