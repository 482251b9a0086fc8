"""The line to type next in a folder of a run."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from small_run import CLIENT, Case

from mlobs_client.cli.next_line import next_line
from mlobs_client.launch.jobs import Job, script
from mlobs_client.launch.overview import read_overview
from mlobs_client.launch.site import Site


@pytest.fixture
def stopped(
    case: Case,
    monkeypatch: pytest.MonkeyPatch,
    write_steps: Callable[..., None],
    write_restart: Callable[[int], None],
    write_log: Callable[..., None],
) -> Case:
    """A run that was started from the folder above, the current one, and stopped."""
    monkeypatch.chdir(case.folder.parent)
    name = case.folder.name
    write_steps(4)
    write_restart(4)
    write_log("stopped: SIGTERM", "mlobs", "run", f"{name}/input.xml", f"{name}/client.toml")
    return case


def test_a_line_for_another_folder_goes_there_first(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(case.folder.parent)
    line = f"cd {case.folder.name}; mlobs run input.xml client.toml"
    assert next_line(read_overview(case.folder)) == line


def test_a_run_is_continued_from_where_it_was_started(stopped: Case) -> None:
    name = stopped.folder.name
    expected = f"mlobs run {name}/input.xml {name}/client.toml --resume"
    assert next_line(read_overview(stopped.folder)) == expected


def test_a_run_without_a_checkpoint_starts_anew(stopped: Case) -> None:
    (stopped.folder / "RESTART").unlink()
    name = stopped.folder.name
    expected = f"mlobs run {name}/input.xml {name}/client.toml"
    assert next_line(read_overview(stopped.folder)) == expected


def test_a_run_of_ipi_alone_is_continued_by_ipi(
    here: Case, write_steps: Callable[..., None], write_restart: Callable[[int], None]
) -> None:
    here.client.unlink()
    assert next_line(read_overview(here.folder)) == "i-pi input.xml"
    write_steps(4)
    write_restart(4)
    assert next_line(read_overview(here.folder)) == "i-pi RESTART"


def test_a_finished_run_is_analysed_or_extended(
    here: Case,
    write_steps: Callable[..., None],
    write_restart: Callable[[int], None],
    write_log: Callable[..., None],
) -> None:
    write_steps(10)
    write_restart(10)
    write_log("finished: all", "mlobs", "run", "input.xml", "client.toml", "--steps", "10")
    ir = "mlobs ir simulation --temperature 300 -o ir"
    assert next_line(read_overview(here.folder)) == ir
    here.replace(here.input, "extra_type='dipole'", "extra_type='charges'")
    extended = "mlobs run input.xml client.toml --resume --steps 20"
    assert next_line(read_overview(here.folder)) == extended
    (here.folder / "RESTART").unlink()  # without which there is nothing to extend
    assert next_line(read_overview(here.folder)) == ""


def test_a_copy_of_a_folder_is_not_told_to_continue_the_first_one(stopped: Case) -> None:
    shutil.copytree(stopped.folder, "a copy")
    line = "cd 'a copy'; mlobs run input.xml client.toml --resume"
    assert next_line(read_overview(Path("a copy"))) == line


@pytest.mark.parametrize(("site", "line"), [(Site(), "sbatch"), (Site(scheduler="pbs"), "qsub")])
def test_a_job_is_submitted_again(
    here: Case, write_steps: Callable[..., None], site: Site, line: str
) -> None:
    write_steps(4)
    run = ["mlobs", "run", "input.xml", "client.toml"]
    job = Job(here.folder / "input.sh", run, "1:00:00", cpus=1)
    job.path.write_text(script(job, site))
    assert next_line(read_overview(here.folder)) == f"{line} input.sh"
    job.path.write_text("#!/bin/bash\necho a script of the user, which runs nothing\n")
    assert next_line(read_overview(here.folder)) == shlex.join(run)


def test_a_run_of_a_campaign_is_left_to_it(here: Case) -> None:
    folder = here.folder / "runs" / "a"
    folder.mkdir(parents=True)
    (here.folder / "campaign.toml").touch()
    here.input.rename(folder / "input.xml")
    (folder / "run.json").write_text("{}")
    assert next_line(read_overview(folder)) == "mlobs campaign status"


def test_a_client_file_is_known_by_its_structure(here: Case) -> None:
    here.client.rename(here.folder / "own.toml")
    (here.folder / "notes.toml").write_text("x = 1\n")
    assert CLIENT.startswith("structure")
    assert next_line(read_overview(here.folder)) == "mlobs run input.xml own.toml"
