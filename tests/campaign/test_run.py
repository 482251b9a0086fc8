"""One run of a campaign: what it needs to begin, and what it does with those who work there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from campaigns import write_campaign

from mlobs_client.campaign.campaign import Campaign, load
from mlobs_client.campaign.run import run_to_completion
from mlobs_client.campaign.state import RunState
from mlobs_client.errors import LaunchError
from mlobs_client.locks import hold

COLD, WARM = "temperature=280_seed=1", "temperature=300_seed=1"
# has the lock until there is an EXIT file, as an i-PI whose campaign was killed
SURVIVOR = """
import sys, time
from pathlib import Path
from mlobs_client.locks import hold
with hold(Path(sys.argv[1])):
    print("held", flush=True)
    while not Path("EXIT").exists():
        time.sleep(0.01)
"""


@pytest.fixture
def campaign(tmp_path: Path) -> Campaign:
    campaign = load(write_campaign(tmp_path, seeds=[1]))
    campaign.hidden.mkdir()
    return campaign


def carry(campaign: Campaign, name: str = COLD) -> bool:
    return run_to_completion(str(campaign.path), name, campaign.digest(campaign.runs[name]))


def break_input(campaign: Campaign) -> None:
    """So that ``mlobs run`` ends at once."""
    path = campaign.template.folder / "input.xml"
    path.write_text(path.read_text().replace("</simulation>", ""))


def test_a_run_that_is_done_is_not_done_again(campaign: Campaign) -> None:
    run = campaign.runs[COLD]
    campaign.template.write(campaign.values(run), run.folder, {"done.json": b"{}"})
    before = sorted(run.folder.iterdir())
    assert run_to_completion(str(campaign.path), COLD, "other") is True
    assert sorted(run.folder.iterdir()) == before


def test_nothing_begins_after_the_campaign_was_told_to_stop(campaign: Campaign) -> None:
    campaign.stop.touch()
    assert carry(campaign) is False
    assert not campaign.runs[COLD].folder.exists()


def test_a_template_that_has_changed_since_is_an_error_and_nothing_begins(
    campaign: Campaign,
) -> None:
    with pytest.raises(LaunchError, match="has changed since the campaign was started"):
        run_to_completion(str(campaign.path), COLD, "other")
    assert not campaign.runs[COLD].folder.exists()


def test_a_repaired_template_replaces_a_run_that_made_no_step(campaign: Campaign) -> None:
    whole = (campaign.template.folder / "input.xml").read_text()
    break_input(campaign)
    with pytest.raises(LaunchError, match="cannot be read as XML"):
        carry(load(campaign.path))
    folder = campaign.runs[COLD].folder
    (folder / "of_the_first").touch()
    repaired = whole.replace("<simulation", "<!-- repaired --> <simulation")
    (campaign.template.folder / "input.xml").write_text(repaired)
    break_input(campaign)  # so that it fails at once, again
    with pytest.raises(LaunchError, match="cannot be read as XML"):
        carry(load(campaign.path))
    assert "repaired" in (folder / "input.xml").read_text()
    assert not (folder / "of_the_first").exists()
    assert [path.name for path in folder.parent.iterdir()] == [COLD]  # nothing is left of before


def test_a_run_has_the_end_of_the_one_before_it(campaign: Campaign) -> None:
    break_input(campaign)
    first = campaign.runs[COLD].folder
    first.mkdir(parents=True)
    (first / "RESTART").write_text("the end")
    with pytest.raises(LaunchError):
        carry(load(campaign.path), WARM)
    assert (campaign.runs[WARM].folder / "start.chk").read_text() == "the end"


def test_a_run_whose_start_is_missing_does_not_begin(campaign: Campaign) -> None:
    with pytest.raises(LaunchError, match=r"cannot be made: .*RESTART"):
        carry(campaign, WARM)
    assert campaign.runs[WARM].read_state() is RunState.WAITING


def test_a_run_that_fails_keeps_the_line_that_says_why(campaign: Campaign) -> None:
    break_input(campaign)
    with pytest.raises(LaunchError) as caught:
        carry(load(campaign.path))
    run = campaign.runs[COLD]
    assert "input.xml: cannot be read as XML" in str(caught.value)
    assert (run.read_state(), run.read_error()) == (RunState.FAILED, str(caught.value))


@pytest.mark.parametrize("log", ["run.log", "i-pi.log"])
def test_what_still_works_in_its_folder_is_told_to_end_first(campaign: Campaign, log: str) -> None:
    break_input(campaign)
    folder = campaign.runs[COLD].folder
    folder.mkdir(parents=True)
    command = [sys.executable, "-c", SURVIVOR, log]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE) as survivor:
        assert survivor.stdout is not None
        assert survivor.stdout.readline() == b"held\n"
        with pytest.raises(LaunchError):
            run_to_completion(str(campaign.path), COLD, "any")
        assert survivor.wait(5.0) == 0
    assert not (folder / "EXIT").exists()


def test_who_does_not_end_is_an_error_in_the_end(
    campaign: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlobs_client.campaign.run.PATIENCE", 0.3)
    folder = campaign.runs[COLD].folder
    folder.mkdir(parents=True)
    with hold(folder / "i-pi.log"), pytest.raises(LaunchError, match=r"has not ended 0\.3 s after"):
        run_to_completion(str(campaign.path), COLD, "any")
