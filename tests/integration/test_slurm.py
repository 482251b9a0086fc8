"""Jobs of a real Slurm: stopped, put into the queue again, continued."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import slurm
from slurm import Cluster
from slurm_jobs import Job

pytestmark = pytest.mark.skipif(bool(slurm.why_not()), reason=slurm.why_not())


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with slurm.running(tmp_path_factory.mktemp("slurm")) as cluster:
        yield cluster


@pytest.fixture
def job(tmp_path: Path, cluster: Cluster) -> Job:
    return Job(tmp_path, cluster)


def test_a_job_whose_time_is_up_goes_on_in_the_next(job: Job) -> None:
    job.submit()
    job.wait_for_step(100)
    # what Slurm sends to the script three minutes before the end
    job.cluster("scancel", "--batch", "--signal=USR1", job.number)
    job.begin_soon()
    job.ends_well()
    assert "continuing from RESTART" in job.said


def test_a_job_that_is_cancelled_leaves_a_restart_and_is_not_queued_again(job: Job) -> None:
    job.submit()
    job.wait_for_step(100)
    job.cluster("scancel", job.number)
    assert job.cluster.wait_for(job.number, "CANCELLED", "PENDING") == "CANCELLED"
    job.wait_until((job.folder / "RESTART").exists)
    job.wait_until(lambda: "stopped" in job.said)
    job.submit()
    job.ends_well()


def test_a_job_whose_node_fails_goes_on_from_its_last_checkpoint(job: Job) -> None:
    job.submit()
    job.wait_for_step(200)
    node = job.cluster("squeue", "-h", "-j", job.number, "-o", "%N")
    job.cluster.kill(node)
    job.kill_all_on(node)
    job.cluster("scontrol", "update", f"NodeName={node}", "State=DOWN", "Reason=power")
    job.cluster.start(node)
    job.begin_soon()
    job.ends_well()
    assert "continuing from simulation.kept" in job.said


def test_two_jobs_of_the_same_address_run_side_by_side(tmp_path: Path, cluster: Cluster) -> None:
    jobs = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        jobs.append(Job(tmp_path / name, cluster, steps=20, seconds=0.0))
        # two beads: the first is not over when the second, which starts later, is at step 1
        (tmp_path / name / "hold").write_text("4")
    for job in jobs:
        job.submit()
    for job in jobs:
        job.wait_for_step(1)
    assert [cluster.state(job.number) for job in jobs] == ["RUNNING", "RUNNING"]
    for job in jobs:
        (job.folder / "hold").unlink()
    for job in jobs:
        job.ends_well()
    nodes = {cluster("squeue", "-h", "-t", "all", "-j", job.number, "-o", "%N") for job in jobs}
    assert nodes == {"n1"}
