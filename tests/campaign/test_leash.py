"""Programs that end when their parent does."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

PARENT = """
import subprocess, sys, time
leash = [sys.executable, "-m", "mlobs_client.campaign.leash"]
program = [sys.executable, "-c", "print('ready', flush=True); import time; time.sleep(60)"]
child = subprocess.Popen([*leash, *program])
print(child.pid, flush=True)
time.sleep(60)
"""


def is_alive(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such signal")
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
