"""Locks of logs: held as long as a process lives that has the open file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mlobs_client.errors import LaunchError
from mlobs_client.locks import hold, in_turn, is_held


def test_one_at_a_time_has_the_lock(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    with hold(log) as lock:
        assert lock is not None
        assert is_held(log)
        with hold(log) as other:
            assert other is None
    assert not is_held(log)


def test_a_child_that_inherits_it_keeps_it_when_we_are_gone(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    with hold(log) as lock:
        assert lock is not None
        command = [sys.executable, "-c", "import sys; sys.stdin.read()"]
        child = subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=[lock])
    assert is_held(log)
    child.communicate()
    assert not is_held(log)


def test_one_waits_for_another_and_not_for_ever(tmp_path: Path) -> None:
    file = tmp_path / "a.lock"
    with (
        hold(file),
        pytest.raises(LaunchError, match=r"another process has held .*a\.lock for 0\.1 s"),
        in_turn(file, 0.1),
    ):
        pass
    code = "from mlobs_client.locks import hold; from pathlib import Path; import sys, time\n"
    code += "with hold(Path(sys.argv[1])): print(flush=True); time.sleep(0.3)"
    command = [sys.executable, "-c", code, str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        assert is_held(file)
        with in_turn(file):
            assert is_held(file)
        assert other.wait() == 0


def test_nobody_has_the_lock_of_a_log_that_is_not_there(tmp_path: Path) -> None:
    assert not is_held(tmp_path / "none.log")
    assert list(tmp_path.iterdir()) == []


def test_a_log_that_cannot_be_written_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(LaunchError, match=r"a\.log cannot be written"), hold(tmp_path / "x/a.log"):
        pass
