"""Jobs of a real Slurm: stopped, put into the queue again, continued."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import slurm
from slurm import Cluster
from slurm_jobs import Job, Submitted
from test_docs import PAGES, commands

pytestmark = pytest.mark.skipif(bool(slurm.why_not()), reason=slurm.why_not())

FIRST_JOB = PAGES["docs/how-to/cluster.md"].split("## A first job")[1].split("**The script.**")[0]
SITE = """account = "chem"
partition = "main"
memory = "500M"
walltime = "10"
mail = "me@example.org"
modules = ["cuda"]
before = ["echo the site has $loaded"]
continuation = "chain"
"""
TOY = """structure = "init.xyz"
pbc = [false, false, false]
[socket]
address = "water-nve"
[potential]
kind = "toy"
name = "qtip4pf"
[dipole]
kind = "toy"
name = "qtip4pf"
[observables]
extras = ["dipole"]
"""


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


def test_the_first_job_of_the_page_about_clusters_is_a_chain_that_ends(
    tmp_path: Path, cluster: Cluster
) -> None:
    """Its commands, with a toy and fewer steps; the first job is told that its time is up."""
    site = tmp_path / "config" / "mlobs" / "site.toml"
    site.parent.mkdir(parents=True)
    site.write_text(SITE)
    environment = {
        **cluster.environment,
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "BASH_FUNC_module%%": "() { loaded=$2; }",
    }
    folder = tmp_path / "my-run"

    def do(*words: str) -> str:
        command = [sys.executable, "-m", "mlobs_client", *words[1:]]
        done = subprocess.run(
            command if words[0] == "mlobs" else words,
            cwd=folder if folder.exists() else tmp_path,
            env=environment, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, f"{shlex.join(words)}\n{done.stdout}{done.stderr}"
        return done.stdout

    init, _, launch, squeue, vdos = commands(FIRST_JOB, "sh")
    do(*init)
    (folder / "client.toml").write_text(TOY)
    text = re.sub(r"<trajectory filename='spread'.*", "", (folder / "input.xml").read_text())
    (folder / "input.xml").write_text(text.replace("40000 </total_steps>", "600 </total_steps>"))
    job = Submitted(folder, cluster, do(*launch, "--no-check").split()[-1])
    assert set(do(*squeue, "-h", "-o", "%j %a").splitlines()) == {"my-run chem"}
    job.wait_for_step(40)
    cluster("scancel", "--batch", "--signal=USR1", job.number)
    job.wait_until(lambda: job.said.count("the next job is") == 2)
    second, third = sorted(re.findall(r"the next job is (\d+)", job.said), key=int)
    assert cluster.wait_for(second, "COMPLETED", "FAILED") == "COMPLETED", job.said
    assert cluster.state(third) == "CANCELLED"
    assert do(*squeue, "-h") == ""
    assert job.steps() == list(range(0, 601, 4))  # <properties stride='4'>
    assert "the site has cuda" in job.said
    do(*vdos, "--resolution", "3000", "--blocks", "2")
