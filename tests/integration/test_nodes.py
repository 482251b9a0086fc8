"""One i-PI with clients on several nodes of a real Slurm."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import slurm
from slurm import NODES, Cluster
from slurm_jobs import Job

pytestmark = pytest.mark.skipif(bool(slurm.why_not()), reason=slurm.why_not())

SEVERAL = ("--listen", "127.0.0.1", "--nodes")
KILLING = 30.0  # s; half an hour: tests/long/soak.py


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with slurm.running(tmp_path_factory.mktemp("slurm")) as cluster:
        yield cluster


def clients(job: Job, *nodes: str) -> dict[str, int]:
    """The running clients by their names; not the srun that has started them."""
    return {
        words[-1]: pid
        for node in nodes or NODES
        for pid, words in job.processes(node).items()
        if "client" in words and words[0] != "srun"
    }


def test_clients_on_three_nodes_serve_one_ipi(tmp_path: Path, cluster: Cluster) -> None:
    job = Job(tmp_path, cluster, steps=250, seconds=0.02)
    job.submit(*SEVERAL, "3", "-n", "8")
    job.wait_for_step(1)
    job.wait_until(lambda: len(clients(job)) == 8)
    found = {node: clients(job, node) for node in NODES}
    assert all(found.values()), found
    file = tmp_path / "mlobs-run.json"
    assert file.stat().st_mode & 0o777 == 0o600
    job.ends_well(was_resumed=False)
    assert not file.exists()


def test_clients_that_are_killed_every_few_seconds_leave_no_trace_in_the_trajectory(
    tmp_path: Path, cluster: Cluster
) -> None:
    job = Job(tmp_path, cluster, steps=1200, seconds=0.02)
    job.submit(*SEVERAL, "2", "-n", "4")
    job.wait_for_step(1)
    end = time.monotonic() + KILLING
    n_kills = 0
    while time.monotonic() < end:
        if running := sorted(clients(job).values()):
            os.kill(random.choice(running), signal.SIGKILL)
            n_kills += 1
        time.sleep(3.0)
    assert n_kills > 0.6 * KILLING / 3.0
    assert job.steps()[-1] < job.n_steps
    job.ends_well(was_resumed=False)
    assert job.said.count("is started again") > 0


def test_a_node_that_fails_takes_only_its_clients_with_it(tmp_path: Path, cluster: Cluster) -> None:
    job = Job(tmp_path, cluster, steps=500, seconds=0.02)
    job.submit(*SEVERAL, "2", "-n", "4", "--sbatch=--ntasks-per-node=3")
    job.wait_for_step(1)
    job.wait_until(lambda: len(clients(job)) == 4)
    first = cluster("scontrol", "show", "job", job.number).split("BatchHost=")[1].split()[0]
    (other,) = (node for node in NODES if clients(job, node) and node != first)
    cluster.kill(other)
    job.kill_all_on(other)
    cluster("scontrol", "update", f"NodeName={other}", "State=DOWN", "Reason=power")
    try:
        job.ends_well(was_resumed=False)
    finally:
        cluster.start(other)
