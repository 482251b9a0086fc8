"""Programs that end when their parent does."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mlobs_client.launch.parent_death_signal import with_parent_death_signal

PARENT = """
import subprocess, sys, time
from mlobs_client.launch.parent_death_signal import with_parent_death_signal
program = [sys.executable, "-c", "print('ready', flush=True); import time; time.sleep(60)"]
child = subprocess.Popen(with_parent_death_signal(program))
print(child.pid, flush=True)
time.sleep(60)
"""
linux = pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such signal")


def is_alive(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


@linux
def test_a_program_ends_with_its_parent_and_is_out_of_reach_of_its_terminal() -> None:
    command = [sys.executable, "-c", PARENT]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert parent.stdout.readline() == "ready\n"
        assert os.getsid(pid) == pid
        parent.kill()
    deadline = time.monotonic() + 5.0
    while is_alive(pid):
        assert time.monotonic() < deadline
        time.sleep(0.02)


@linux
def test_a_program_whose_parent_is_gone_already_does_not_begin() -> None:
    begins = with_parent_death_signal([sys.executable, "-c", "print('begun')"])
    # the shell starts it, and not this process; "true", for it would become it
    shell = ["sh", "-c", f"{shlex.join(begins)}; true"]
    done = subprocess.run(shell, capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout == ""
