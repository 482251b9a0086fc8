"""The file that ends i-PI: whose it is, and who removes it."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from mlobs_client.errors import LaunchError
from mlobs_client.launch import exit_file


def test_ours_is_removed_where_nobody_works_and_that_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    exit_file.make(tmp_path)
    assert (tmp_path / "EXIT").exists()
    with caplog.at_level(logging.WARNING):
        exit_file.clear(tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert f"removed {tmp_path / 'EXIT'}" in caplog.text


@pytest.mark.parametrize("content", [b"", b"stop, please", b"\xff"])
def test_that_of_a_user_stays_and_its_removal_is_all_that_is_needed(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "EXIT"
    path.write_bytes(content)
    exit_file.make(tmp_path)
    assert exit_file.remove(tmp_path) is False
    with pytest.raises(LaunchError, match=r"EXIT would stop i-PI at once, .*; remove it"):
        exit_file.clear(tmp_path)
    assert path.read_bytes() == content
    path.unlink()
    exit_file.clear(tmp_path)


def test_a_kill_while_it_is_written_leaves_none_that_is_not_marked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "replace", lambda self, target: None)  # killed just before
    exit_file.make(tmp_path)
    assert not (tmp_path / "EXIT").exists()
    exit_file.clear(tmp_path)
    assert list(tmp_path.iterdir()) == []
