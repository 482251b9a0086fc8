"""The script of a job: what it asks for, and what is refused. Jobs that run: test_slurm.py."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from mlobs_client.errors import ConfigError, LaunchError
from mlobs_client.launch import jobs
from mlobs_client.launch.jobs import Job, script
from mlobs_client.launch.schedulers import SLURM
from mlobs_client.launch.site import Site

JOB = Job(Path("/water/input.sh"), ["mlobs"], "24:00:00", cpus=5)
SITE = Site()


def in_folder(folder: Path, *command: str) -> Job:
    return replace(JOB, path=folder / "input.sh", command=command)


def asked(text: str) -> list[str]:
    return [line.removeprefix("#SBATCH ") for line in text.splitlines() if "#SBATCH" in line]


def test_it_asks_for_a_core_for_each_thread_and_for_a_signal_before_the_end() -> None:
    options = asked(script(JOB, SITE))
    assert {"--nodes=1", "--cpus-per-task=5", "--time=24:00:00"} < set(options)
    assert {"--signal=B:USR1@180", "--requeue", "--open-mode=append"} < set(options)
    assert not any("gpu" in option for option in options)


def test_it_asks_for_gpus_and_what_the_user_wants() -> None:
    job = replace(JOB, gpus=2, options=["--partition=long", "--exclusive"])
    assert asked(script(job, SITE))[-2:] == ["--partition=long", "--exclusive"]
    assert "--gpus-per-node=2" in asked(script(job, SITE))


@pytest.mark.parametrize(
    ("folder", "name"), [("my run", "my_run"), ("300K", "run-300K"), ("it's", "it_s")]
)
def test_a_job_is_named_after_its_folder(folder: str, name: str) -> None:
    job = replace(JOB, path=Path("/of/all") / folder / "input.sh")
    assert asked(script(job, SITE))[0] == f"--job-name={name}"


def test_modules_and_commands_of_the_site_come_before_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BASH_FUNC_module%%", '() { loaded="$loaded $2"; test "$2" != gone; }')
    site = Site(modules=("gcc/12", "cuda/12.4"), before=("export FOUND=$loaded",))
    job = in_folder(tmp_path, "bash", "-c", "echo $FOUND $OMP_NUM_THREADS")
    text = script(job, site)
    done = subprocess.run(["bash"], input=text, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "gcc/12 cuda/12.4 1\n"), done.stderr
    text = script(job, Site(modules=("gone",)))
    done = subprocess.run(["bash"], input=text, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")


@pytest.mark.parametrize("name", ["a folder", "it's", "$(touch x)", "back`tick`"])
def test_names_of_files_are_never_read_as_commands(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    text = script(in_folder(folder, "printf", "%s\n", f"{name}.xml"), SITE)
    done = subprocess.run(["bash"], input=text, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, f"{name}.xml\n"), done.stderr
    assert sorted(tmp_path.iterdir()) == [folder]
    assert list(folder.iterdir()) == []


def test_its_status_is_that_of_the_run(tmp_path: Path) -> None:
    text = script(in_folder(tmp_path, "bash", "-c", "exit 3"), SITE)
    assert subprocess.run(["bash"], input=text, text=True).returncode == 3


def test_a_time_that_is_needed_for_stopping_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"--time 5 is 300 s, of which the last 180"):
        script(replace(JOB, time="5"), SITE)


WAITS = """echo '<step> {after} </step>' > RESTART.new
trap 'mv RESTART.new RESTART; exit 143' TERM
sleep 0.5
kill -USR1 $PPID
while true; do sleep 0.1; done"""


@pytest.mark.parametrize(("after", "requeued"), [(40, True), (20, False)])
def test_a_job_that_has_done_no_step_is_not_queued_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int, requeued: bool
) -> None:
    (tmp_path / "RESTART").write_text("<step> 20 </step>\n")
    scontrol = tmp_path / "scontrol"
    scontrol.write_text("#!/bin/bash\necho $* > asked\n")
    scontrol.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    text = script(in_folder(tmp_path, "bash", "-c", WAITS.format(after=after)), SITE)
    done = subprocess.run(["bash"], input=text, text=True, timeout=20)
    assert done.returncode == 143
    asked_for = tmp_path / "asked"
    assert asked_for.exists() == requeued
    assert not requeued or asked_for.read_text() == "requeue 7\n"


def test_without_slurm_the_script_is_kept_and_the_remedy_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LaunchError, match=r"sbatch is not on the PATH; where Slurm is, run: cd "):
        jobs.submit(tmp_path / "input.sh", SLURM)
