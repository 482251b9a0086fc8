"""The list of trusted models: whose it is, what is in it, and what is refused."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from mlobs_client.errors import ModelError
from mlobs_client.evaluate.trusted_list import add, trust_file, trusted

A, B = "a" * 64, "b" * 64


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The list, in a configuration folder of our own."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "config" / "mlobs" / "trusted_models.json"


def test_what_is_trusted_is_json_that_only_its_user_reads_and_writes(
    file: Path, tmp_path: Path
) -> None:
    assert trusted() == frozenset()
    for sha256 in (A, B, A):
        add(sha256, tmp_path / f"{sha256[0]}.model")
    assert trust_file() == file
    assert trusted() == {A, B}
    assert json.loads(file.read_text())["models"] == {
        A: str(tmp_path / "a.model"),
        B: str(tmp_path / "b.model"),
    }
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_what_a_killed_writer_left_is_not_written_into(file: Path, tmp_path: Path) -> None:
    add(A, tmp_path / "a.model")
    foreign = tmp_path / "of-somebody-else"
    foreign.touch()
    file.with_name(f"{file.name}.partial").symlink_to(foreign)
    add(B, tmp_path / "b.model")
    assert foreign.read_text() == ""
    assert trusted() == {A, B}
    assert not file.is_symlink()


@pytest.mark.parametrize("name", ["a\nb.model", "a\x1b[2J.model", "a\udcff.model"])
def test_a_name_that_cannot_be_printed_is_refused_in_one_line(name: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="rename the file or its folder") as caught:
        add(A, tmp_path / name)
    assert str(caught.value).isprintable()
    assert trusted() == frozenset()


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_list_that_others_may_write_is_refused_and_the_remedy_works(
    mode: int, file: Path, tmp_path: Path
) -> None:
    add(A, tmp_path / "a.model")
    file.chmod(mode)
    with pytest.raises(ModelError, match=f"can be written by others.* run: chmod 600 {file}$"):
        trusted()
    with pytest.raises(ModelError, match="can be written by others"):
        add(B, tmp_path / "b.model")
    file.chmod(0o600)
    assert trusted() == {A}


def test_a_list_of_another_user_is_refused(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(A, tmp_path / "a.model")
    monkeypatch.setattr("os.geteuid", lambda: file.stat().st_uid + 1)
    with pytest.raises(ModelError, match=r"trusted_models\.json: belongs to another user"):
        trusted()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"null",
        b"[" * 100_000,
        b"1" * 10_000,
        b'{"format": "another"}',
        b'{"models": []}',
        b'{"models": {"short": "a.model"}}',
        f'{{"models": {{"{A}": 1}}}}'.encode(),
        f"{A}  /home/me/a.model\n".encode(),
    ],
    ids=range(11),
)
def test_a_damaged_list_is_one_line_and_the_remedy_works(
    content: bytes, file: Path, tmp_path: Path
) -> None:
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    for use in (trusted, lambda: add(A, tmp_path / "a.model")):
        with pytest.raises(ModelError, match=r"trusted_models\.json: .*; remove it, and") as caught:
            use()
        assert "\n" not in str(caught.value)
    file.unlink()
    add(A, tmp_path / "a.model")
    assert trusted() == {A}


def test_a_folder_in_place_of_the_list_is_one_line(file: Path, tmp_path: Path) -> None:
    file.mkdir(parents=True)
    for use in (trusted, lambda: add(A, tmp_path / "a.model")):
        with pytest.raises(ModelError, match=r"trusted_models\.json: cannot be read .*Is a direc"):
            use()


def test_a_list_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", "/dev/null")
    assert trusted() == frozenset()
    with pytest.raises(
        ModelError, match=r"/dev/null/mlobs/trusted_models\.json: cannot be written"
    ):
        add(A, tmp_path / "a.model")


def test_a_user_without_a_home_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setattr(Path, "home", homeless)
    with pytest.raises(ModelError, match="set XDG_CONFIG_HOME"):
        trusted()
