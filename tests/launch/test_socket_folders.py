"""Folders in which runs have their sockets: who leaves them, and who removes them."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mlobs_client.launch import socket_folders

# makes one, and gives its lock to a child, as ``mlobs run`` to i-PI
OWNER = """
import os, subprocess, sys, tempfile, time
from mlobs_client.launch import socket_folders
os.access = lambda path, mode: False
tempfile.tempdir = sys.argv[1]
with socket_folders.made() as (folder, lock):
    child = subprocess.Popen(["sleep", "60"], pass_fds=[lock])
    print(folder, child.pid, flush=True)
    time.sleep(60)
"""


@pytest.fixture(autouse=True)
def parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Those of others, in /tmp, are left alone."""
    monkeypatch.setattr("os.access", lambda path, mode: False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def make_left(parent: Path) -> Path:
    """As a kill leaves it."""
    folder = parent / f"{socket_folders.NAME}abcdefgh"
    folder.mkdir()
    (folder / "water").touch()
    (folder / socket_folders.LOCK).touch()
    return folder


def test_a_folder_is_removed_after_its_run(parent: Path) -> None:
    with socket_folders.made() as (folder, _):
        assert folder.parent == parent
    assert list(parent.iterdir()) == []


def test_what_a_killed_run_has_left_is_removed_and_that_is_said(
    parent: Path, caplog: pytest.LogCaptureFixture
) -> None:
    left = make_left(parent)
    with caplog.at_level(logging.WARNING), socket_folders.made():
        assert not left.exists()
    assert f"removed {left}" in caplog.text


def test_those_of_living_runs_stay(parent: Path) -> None:
    with socket_folders.made() as (one, _), socket_folders.made() as (other, _):
        assert one.exists()
        assert other.exists()


def test_that_of_a_killed_run_stays_as_long_as_its_ipi_lives(parent: Path) -> None:
    command = [sys.executable, "-c", OWNER, str(parent)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        folder, pid = owner.stdout.readline().split()
        owner.kill()
    with socket_folders.made():
        assert Path(folder).exists()
    os.kill(int(pid), signal.SIGKILL)
    deadline = time.monotonic() + 5.0
    while Path(folder).exists():
        assert time.monotonic() < deadline
        with socket_folders.made():
            time.sleep(0.02)


@pytest.mark.parametrize("whose", ["another user", "another machine", "nobody knows"])
def test_those_that_may_be_of_others_stay(
    parent: Path, monkeypatch: pytest.MonkeyPatch, whose: str
) -> None:
    left = make_left(parent)
    if whose == "another user":
        monkeypatch.setattr("os.getuid", lambda: left.stat().st_uid + 1)
    elif whose == "another machine":
        (left / socket_folders.LOCK).rename(left / "lock-elsewhere")
    else:
        (left / socket_folders.LOCK).unlink()
    with socket_folders.made():
        assert left.exists()
