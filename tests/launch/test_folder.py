"""One run at a time has a folder; what a killed one has left there ends first."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlobs_client.errors import LaunchError
from mlobs_client.launch import exit_file
from mlobs_client.launch.folder import alone, wait_for_rest

linux = pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell who it is")
# takes the lock, as ``mlobs run``, and gives it to a child, as to i-PI
OWNER = """
import subprocess, sys, time
from pathlib import Path
from mlobs_client.launch.folder import alone
with alone(Path(sys.argv[1])) as lock:
    child = subprocess.Popen(["sleep", "60"], pass_fds=[lock])
    print(child.pid, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def rest(tmp_path: Path) -> Iterator[int]:
    """A process that has the lock from one that was killed."""
    command = [sys.executable, "-c", OWNER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        pid = int(owner.stdout.readline())
        owner.kill()
    yield pid
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


@linux
def test_the_rest_of_a_killed_run_is_waited_for_and_named(
    tmp_path: Path, rest: int, caplog: pytest.LogCaptureFixture
) -> None:
    threading.Timer(0.3, os.kill, (rest, signal.SIGTERM)).start()
    with caplog.at_level(logging.WARNING), alone(tmp_path) as lock:
        assert lock > 0
    assert f"i-PI (process {rest}) of a 'mlobs run' that was killed is running in" in caplog.text


@linux
def test_the_rest_that_does_not_end_is_an_error_with_a_command_that_helps(
    tmp_path: Path, rest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlobs_client.launch.folder.PATIENCE", 0.3)
    with pytest.raises(LaunchError) as caught:
        wait_for_rest(tmp_path)
    command = re.search(r"has not ended in 0\.3 s; run: (kill -9 \d+)$", str(caught.value))
    assert command is not None
    assert command[1].endswith(str(rest))
    subprocess.run(shlex.split(command[1]), check=True)
    with alone(tmp_path):
        pass


@linux
def test_a_run_that_lives_is_named_and_not_waited_for(tmp_path: Path) -> None:
    with (
        alone(tmp_path),
        pytest.raises(
            LaunchError, match=rf"another 'mlobs run' \(process {os.getpid()}\) is running in"
        ),
    ):
        wait_for_rest(tmp_path)


@pytest.mark.parametrize("holders", [{}, {4001: 0}, {4001: -1}])
def test_who_is_not_seen_is_not_taken_for_dead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, holders: dict[int, int]
) -> None:
    monkeypatch.setattr("mlobs_client.launch.folder.find_holders", lambda log: holders)
    monkeypatch.setattr("mlobs_client.launch.folder.DYING", 0.1)
    with alone(tmp_path), pytest.raises(LaunchError, match="perhaps on another machine"):
        wait_for_rest(tmp_path)


def test_nothing_is_written_where_nobody_works(tmp_path: Path) -> None:
    wait_for_rest(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_exit_of_ours_is_removed_when_the_folder_is_free_and_not_before(tmp_path: Path) -> None:
    with alone(tmp_path):
        exit_file.make(tmp_path)
        with pytest.raises(LaunchError, match="wait until it ends"), alone(tmp_path):
            pass
        assert (tmp_path / "EXIT").exists()
    with alone(tmp_path):
        assert not (tmp_path / "EXIT").exists()
