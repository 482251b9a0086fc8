"""What the folder of a run says about it."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlobs_client.campaign.state import CampaignRun, RunState
from mlobs_client.errors import ConfigError


@pytest.fixture
def run(tmp_path: Path) -> CampaignRun:
    return CampaignRun("a=1", tmp_path / "a=1", {"a": 1}, None)


def begin(run: CampaignRun) -> None:
    run.folder.mkdir()
    for name, content in run.describe_start("digest").items():
        (run.folder / name).write_bytes(content)


def test_a_run_goes_through_its_states(run: CampaignRun) -> None:
    assert run.read_state() is RunState.PLANNED
    begin(run)
    assert (run.read_state(), run.read_digest()) == (RunState.STARTED, "digest")
    run.mark_failed("no clients")
    assert (run.read_state(), run.read_error()) == (RunState.FAILED, "no clients")
    run.clear_failure()
    assert (run.read_state(), run.read_error()) == (RunState.STARTED, "")
    (run.folder / "RESTART").write_text("<simulation><step> 70 </step></simulation>")
    run.mark_done(1.234)
    assert run.read_state() is RunState.DONE
    assert run.read_result() == {
        "name": "a=1", "parameters": {"a": 1}, "after": None, "steps": 70, "seconds": 1.2
    }  # fmt: skip


def test_a_run_waits_until_the_one_before_it_is_done(run: CampaignRun) -> None:
    second = CampaignRun("b", run.folder.with_name("b"), {}, run.name)
    assert second.read_state() is RunState.WAITING
    begin(run)
    assert second.read_state() is RunState.WAITING
    (run.folder / "done.json").write_text("{}")
    assert second.read_state() is RunState.PLANNED


def test_a_run_without_a_restart_is_not_done(run: CampaignRun) -> None:
    begin(run)
    with pytest.raises(ConfigError, match="RESTART"):
        run.mark_done(1.0)
    assert run.read_state() is RunState.STARTED


def test_a_folder_of_something_else_has_no_digest(run: CampaignRun) -> None:
    run.folder.mkdir()
    assert run.read_digest() is None
    (run.folder / "run.json").write_text("[1")
    assert run.read_digest() is None


def test_progress_is_read_from_the_files_of_ipi_however_old_they_are(run: CampaignRun) -> None:
    begin(run)
    assert run.read_progress() is None
    output = "<output prefix='s'><properties filename='out'> [ step ] </properties></output>"
    xml = f"<simulation>{output}<total_steps> 9 </total_steps></simulation>"
    (run.folder / "input.xml").write_text(xml)
    assert run.read_progress() is None
    (run.folder / "s.out").write_text("# column   1     --> step : The step.\n  4.0e+00 \n")
    status = run.read_progress()
    assert status is not None
    assert (status.step, status.total_steps) == (4, 9)
