"""Jobs of a real Slurm: stopped, put into the queue again, continued."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import slurm
from ipi_runs import WATER, ffsocket, make_input
from slurm import Cluster

from mlobs_client.outputs import read_properties

pytestmark = pytest.mark.skipif(bool(slurm.why_not()), reason=slurm.why_not())

STEPS = 1500
OUTPUT = """<output prefix='simulation'>
    <properties filename='out'>[step, conserved, potential, kinetic_md]</properties>
    <trajectory filename='pos' stride='100' format='xyz'>positions</trajectory>
    <checkpoint filename='kept' stride='50' overwrite='true'/>
  </output>"""
EXACT = "<simulation floatformat='%25.17e'"
"""i-PI's RESTART has nine digits otherwise, and what goes on from it is another trajectory."""
CLIENT = """structure = "init.xyz"
virial = "none"
[socket]
address = "{address}"
[potential]
kind = "toy"
name = "qtip4pf"
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with slurm.running(tmp_path_factory.mktemp("slurm")) as cluster:
        yield cluster


class Job:
    """A folder with a run, and its job."""

    def __init__(self, folder: Path, cluster: Cluster) -> None:
        self.folder, self.cluster, self.number = folder, cluster, ""
        address = f"slurm-{os.getpid()}"
        (folder / "init.xyz").write_text(WATER)
        (folder / "client.toml").write_text(CLIENT.format(address=address))
        text = make_input(OUTPUT, ffsocket(address, 2), STEPS)
        (folder / "input.xml").write_text(text.replace("<simulation", EXACT))

    def submit(self) -> None:
        command = ["launch", "--slurm", "input.xml", "client.toml", "--time", "10", "--submit"]
        done = subprocess.run(
            [sys.executable, "-m", "mlobs_client", *command],
            cwd=self.folder, env=self.cluster.environment, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        self.number = done.stdout.split()[-1]

    def wait_for_step(self, step: int) -> None:
        self.wait_until(lambda: len(self.steps()) > 0 and self.steps()[-1] >= step)

    def wait_until(self, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 60.0
        while not holds():
            assert time.monotonic() < deadline, self.said
            time.sleep(0.1)

    def begin_soon(self) -> None:
        """Slurm would wait for two minutes, until nobody can mistake the job for its last try."""
        self.cluster.wait_for(self.number, "PENDING")
        self.cluster("scontrol", "update", f"JobId={self.number}", "StartTime=now+3")

    def steps(self) -> list[int]:
        path = self.folder / "simulation.out"
        if not path.exists():
            return []
        lines = path.read_text().split("\n")[:-1]
        return [int(float(line.split()[0])) for line in lines if not line.startswith("#")]

    def ends_well(self) -> None:
        """All steps are there once, and their numbers are those of one undisturbed run."""
        assert self.cluster.wait_for(self.number, "COMPLETED", "FAILED") == "COMPLETED", self.said
        expected = read_properties(undisturbed(self.folder) / "simulation.out")
        found = read_properties(self.folder / "simulation.out")
        assert found["step"].tolist() == list(range(STEPS + 1))
        for name in ("conserved", "potential", "kinetic_md"):
            # RESTART has beads, i-PI propagates normal modes: rounding differs
            np.testing.assert_allclose(found[name], expected[name], rtol=1e-11)

    @property
    def said(self) -> str:
        logs = [*self.folder.glob("*.out"), *self.folder.glob("*.log")]
        return "\n".join(f"{log.name}:\n{log.read_text()[-2000:]}" for log in logs)


def undisturbed(folder: Path) -> Path:
    """The same run, without Slurm and from start to end."""
    other = folder.with_name(f"{folder.name}-undisturbed")
    other.mkdir()
    for name in ("init.xyz", "client.toml", "input.xml"):
        (other / name).write_text((folder / name).read_text())
    command = [sys.executable, "-m", "mlobs_client", "run", "input.xml", "client.toml"]
    subprocess.run(command, cwd=other, check=True, capture_output=True)
    return other


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
    assert "going on from RESTART" in job.said


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
    kill_all_of(job)
    job.cluster("scontrol", "update", f"NodeName={node}", "State=DOWN", "Reason=power")
    job.cluster.start(node)
    job.begin_soon()
    job.ends_well()
    assert "going on from simulation.kept" in job.said


def test_two_jobs_of_the_same_address_run_side_by_side(tmp_path: Path, cluster: Cluster) -> None:
    jobs = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        jobs.append(Job(tmp_path / name, cluster))
    for job in jobs:
        job.submit()
    for job in jobs:
        job.wait_for_step(1)
    assert [cluster.state(job.number) for job in jobs] == ["RUNNING", "RUNNING"]
    for job in jobs:
        job.ends_well()
    assert {cluster("squeue", "-h", "-t", "all", "-j", job.number, "-o", "%N") for job in jobs} == {
        "n1"
    }


def kill_all_of(job: Job) -> None:
    """As when the power fails: nobody lives to tell Slurm who has died."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_text()
            works_here = (process / "cwd").resolve() == job.folder
        except OSError:
            continue
        if works_here or words.startswith(f"slurmstepd: [{job.number}."):
            found.append(int(process.name))
    for signum in (signal.SIGSTOP, signal.SIGKILL):
        for pid in found:
            os.kill(pid, signum)
