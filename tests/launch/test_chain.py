"""Jobs that submit their successor: when there is a next one, with a scheduler that only notes."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from mlobs_client.launch.jobs import Job, script
from mlobs_client.launch.site import Site

SLURM, PBS = Site(continuation="chain"), Site(scheduler="pbs")
ID = "8.head"
SUBMITS = f"""#!/bin/bash
echo submitted >> asked
for word; do last=${{word#since=}}; [ "$word" != "$last" ] && break; done
echo "$last" > told
echo {ID}
"""
"""Notes the step that the next job is told: its last argument, or with -v of PBS."""
CANCELS = "#!/bin/bash\necho cancelled $* >> asked\n"

DOES_STEPS = """echo "<step>$((1 + $(tr -dc 0-9 < RESTART)))</step>" > RESTART"""
IS_STOPPED = f"trap '{DOES_STEPS}; exit 143' TERM"
IS_STOPPED_WITHOUT_A_STEP = "trap 'exit 143' TERM"
WARNING = "sleep 0.4; kill -USR1 $JOB; "
TIME_IS_UP = f"{WARNING}for k in {{1..30}}; do sleep 0.1; done"
IS_CANCELLED = "sleep 0.4; kill -TERM $JOB; sleep 0.2; exit 143"
IS_KILLED = "kill -KILL $JOB"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "bin").mkdir()
    for name, text in {
        "sbatch": SUBMITS,
        "qsub": SUBMITS,
        "scancel": CANCELS,
        "qdel": CANCELS,
    }.items():
        (tmp_path / "bin" / name).write_text(text)
        (tmp_path / "bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    (tmp_path / "RESTART").write_text("<step>20</step>\n")
    return tmp_path


def execute(folder: Path, site: Site, run: str, told: str | None = None) -> list[str]:
    """Execute a job whose run is a line of bash; return what it asks the scheduler for."""
    if site is PBS:
        run = run.replace(WARNING, "")  # nobody warns but timeout
    job = Job(folder / "input.sh", ["bash", "-c", run], "6", cpus=1)
    job.path.write_text(script(job, site).replace("timeout 180", "timeout 0.4"))
    (folder / "asked").write_text("")
    arguments = [told] if told is not None and site is SLURM else []
    since = {"since": told} if told is not None and site is PBS else {}
    subprocess.run(
        ["bash", "-c", 'JOB=$$ exec bash input.sh "$@"', "job", *arguments],
        cwd=folder,
        env={**os.environ, **since, "SLURM_JOB_ID": "7", "PBS_JOBID": "7"},
        timeout=20,
    )
    return (folder / "asked").read_text().splitlines()


CANCELLED = ["submitted", f"cancelled {ID}"]


@pytest.mark.parametrize("site", [SLURM, PBS], ids=["slurm", "pbs"])
@pytest.mark.parametrize(
    ("run", "asked"),
    [
        ("exit 0", CANCELLED),
        ("exit 1", CANCELLED),
        (f"{IS_STOPPED}; {TIME_IS_UP}", ["submitted"]),
        (f"{IS_STOPPED_WITHOUT_A_STEP}; {TIME_IS_UP}", CANCELLED),
        (IS_CANCELLED, CANCELLED),
        (IS_KILLED, ["submitted"]),
    ],
    ids=["finished", "failed", "time is up", "no step", "cancelled", "killed"],
)
def test_there_is_a_next_job_only_if_it_can_continue(
    folder: Path, site: Site, run: str, asked: list[str]
) -> None:
    assert execute(folder, site, run) == asked


@pytest.mark.parametrize("site", [SLURM, PBS], ids=["slurm", "pbs"])
@pytest.mark.parametrize(("run", "n_jobs"), [(IS_KILLED, 2), (f"{DOES_STEPS}; {IS_KILLED}", 6)])
def test_two_jobs_in_a_row_that_are_killed_before_their_first_step_are_the_last(
    folder: Path, site: Site, run: str, n_jobs: int
) -> None:
    n, told = 1, None
    while execute(folder, site, run, told) == ["submitted"] and n < 6:
        n, told = n + 1, (folder / "told").read_text().strip()
    assert n == n_jobs


@pytest.mark.parametrize("site", [SLURM, PBS], ids=["slurm", "pbs"])
def test_the_last_job_of_a_chain_continues_it_after_a_step(folder: Path, site: Site) -> None:
    run = f"cp asked asked_before; {IS_STOPPED}; {TIME_IS_UP}"
    assert execute(folder, site, run, told="20") == ["submitted"]
    assert (folder / "asked_before").read_text() == ""


def test_steps_of_checkpoints_count(folder: Path) -> None:
    job = Job(folder / "input.sh", ["true"], "6", cpus=1, checkpoints=["simulation.it's"])
    (folder / "simulation.it's_40").write_text("<simulation>\n <step> 40 </step>\n")
    (folder / "simulation.it's_60").write_text("<simulation>\n <st")  # truncated by a kill
    job.path.write_text(script(job, SLURM))
    subprocess.run(["bash", "input.sh"], cwd=folder, timeout=20)
    assert (folder / "told").read_text() == "40\n"
