"""What is said of a file without loading it, and which files loading could run."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
import torch

from mlobs_client.errors import ModelError
from mlobs_client.evaluate.model_archive import MOST, describe_file


class Evil:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.path,)


def test_what_cannot_be_read_is_not_described(tmp_path: Path) -> None:
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
    assert "4 bytes, sha256 0, not an archive of torch (" in describe_file(path, "0")


def test_an_archive_that_torch_did_not_write_does_not_tell_what_it_would_use(
    tmp_path: Path,
) -> None:
    path = tmp_path / "other.zip"
    names = [f"{i:02d}" for i in range(MOST + 5)] + ["evil\x1b[2J"]
    with zipfile.ZipFile(path, "w") as archive:
        for name in reversed(names):
            archive.writestr(name, "")
    said = describe_file(path, "0")
    assert "loading it would use functions that cannot be listed (" in said
    assert "'evil\\x1b[2J'" in said
    assert " and 6 more, and 0 tensors" in said
    assert said.isprintable()
