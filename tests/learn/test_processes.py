"""Members that are trained at once are those that are trained one by one."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from trainings import fail, train, train_for_ever, vanish

from mlobs_client.errors import ModelError
from mlobs_client.learn.processes import train_at_once


def test_all_members_are_trained_and_tell_their_steps() -> None:
    told: list[tuple[int, int, float]] = []
    trainings = {member: functools.partial(train, member) for member in (1, 2, 3)}
    train_at_once(trainings, 2, lambda *step: told.append(step))
    assert sorted(told) == [
        (member, step, 1.0 / step) for member in (1, 2, 3) for step in range(1, member + 1)
    ]


def test_a_training_that_fails_is_told_and_ends_the_others(tmp_path: Path) -> None:
    endless = functools.partial(train_for_ever, tmp_path / "pid")
    with pytest.raises(ModelError, match="the error is nan"):
        train_at_once({0: endless, 1: fail}, 2, lambda *_: None)
    with pytest.raises(ModelError, match="member 4 ended with exit status 3"):
        train_at_once({4: vanish}, 2, lambda *_: None)


def test_a_kill_ends_the_processes_as_well(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    line = (
        "import functools, pathlib, trainings as t\n"
        "from mlobs_client.learn.processes import train_at_once\n"
        "if __name__ == '__main__':\n"
        f"    endless = functools.partial(t.train_for_ever, pathlib.Path({str(path)!r}))\n"
        "    train_at_once({0: endless}, 2, lambda *_: None)\n"
    )
    script = tmp_path / "train.py"
    script.write_text(line)
    folders = os.pathsep.join([str(Path(__file__).parents[1]), *filter(None, sys.path)])
    parent = subprocess.Popen([sys.executable, script], env={**os.environ, "PYTHONPATH": folders})
    deadline = time.monotonic() + 60.0
    while not (path.exists() and path.read_text()) and time.monotonic() < deadline:
        time.sleep(0.02)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    child = Path(f"/proc/{path.read_text()}")
    while child.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not child.exists()
