"""Blocks that are freed and needed again cost no page faults."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

SCRIPT = """
import resource, sys
import numpy as np
from mlobs_client.evaluate.memory import disable_malloc_trim
if sys.argv[1] == "keep":
    assert disable_malloc_trim()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def step():
    blocks = [np.ones(500_000) for _ in range(8)]  # 4 MB each
step()
before = faults()
for _ in range(10):
    step()
print((faults() - before) / 10)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a setting of glibc")
def test_memory_is_asked_for_once() -> None:
    n_faults = {}
    for how in ("keep", "leave"):
        command = [sys.executable, "-c", SCRIPT, how]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        n_faults[how] = float(done.stdout)
    assert n_faults["leave"] > 1000  # 8000 pages of 4 kB, unless they are huge
    assert n_faults["keep"] < 10
