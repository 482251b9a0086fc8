"""``make faults``: a job of Slurm that reaches its real time limit, twice, on two nodes.

Slurm allows no limit below minutes, and begins a job anew two minutes after its last try.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from report import Figure, run

sys.path.insert(0, str(Path(__file__).parents[1]))
import slurm
from slurm_jobs import Job

MINUTES = "6"  # of which the last three are for stopping
STEPS = 5500  # some more than two jobs can do
PATIENCE = 1800.0  # s


def continue_after_limits() -> list[Figure]:
    """Wait for a job until all its steps are done, and compare it with one that had no limits."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "cluster").mkdir()
        (folder / "job").mkdir()
        with slurm.running(folder / "cluster") as cluster:
            job = Job(folder / "job", cluster, steps=STEPS, seconds=0.05)
            job.submit("--time", MINUTES, "--nodes", "2", "-n", "4", "--listen", "127.0.0.1")
            began = time.monotonic()
            cluster.wait_for(job.number, "COMPLETED", "FAILED", seconds=PATIENCE)
            took = time.monotonic() - began
            n_limits = job.said.count("continuing from RESTART")
            difference = job.find_largest_difference()
    return [
        Figure(
            "a job at its time limit: continued", n_limits, None, "1", "at least 1", n_limits > 0
        ),
        Figure("a job at its time limit: all steps done", took / 60, None, "min", "", None),
        Figure(
            "a job at its time limit: largest difference",
            difference,
            None,
            "1",
            "at most 1e-11, rounding; all steps once, beside one run without limits",
            difference <= 1e-11,
        ),
    ]


def main() -> int:
    """Run it, if there can be a Slurm."""
    if why := slurm.why_not():
        print(f"not measured: {why}")
        return 0
    return run("time_limit", {"limits": continue_after_limits})


if __name__ == "__main__":
    sys.exit(main())
