"""``mlobs campaign``: what it shows, and the tables that it writes."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from campaigns import write_campaign
from click.testing import CliRunner, Result
from rich.console import Console

from mlobs_client.campaign.campaign import Campaign, load
from mlobs_client.cli.campaign import _make_table, _shown, command
from mlobs_client.errors import ConfigError, LaunchError

FIRST, SECOND = "temperature=280_seed=1", "temperature=300_seed=1"


@pytest.fixture
def campaign(tmp_path: Path) -> Campaign:
    return load(write_campaign(tmp_path, seeds=[1]))


def invoke(*words: str | Path) -> Result:
    return CliRunner().invoke(command, [str(word) for word in words])


def begin(campaign: Campaign, name: str = FIRST) -> Path:
    run = campaign.runs[name]
    others = run.describe_start(campaign.digest(run))
    campaign.template.write(campaign.values(run), run.folder, others)
    return run.folder


def test_the_plan_is_a_table_of_all_runs_and_begins_none(campaign: Campaign) -> None:
    result = invoke("plan", campaign.path)
    assert result.exit_code == 0, result.output
    assert "2 runs: 1 planned, 1 waiting" in result.output
    rows = [line.split() for line in result.output.splitlines() if line.lstrip().startswith("temp")]
    assert rows == [[FIRST, "280", "1", "planned"], [SECOND, "300", "1", FIRST, "waiting"]]
    assert not (campaign.path.parent / "runs").exists()


def test_the_status_says_how_far_runs_are_and_why_they_failed(campaign: Campaign) -> None:
    (begin(campaign) / "simulation.out").write_text("# column 1 --> step : The step.\n 7.0 \n")
    assert "step 7/100" in invoke("status", campaign.path).output
    campaign.runs[FIRST].mark_failed("no [socket]")
    result = invoke("status", "--once", campaign.path)
    assert "1 waiting, 1 failed" in result.output
    assert "no [socket]" in result.output


def test_what_goes_on_comes_first_in_a_live_table(campaign: Campaign) -> None:
    begin(campaign, SECOND)
    screen = io.StringIO()
    Console(file=screen, width=200).print(_make_table(campaign, busy_first=True))
    shown = [line for line in screen.getvalue().splitlines() if "temperature=" in line]
    assert [line.split()[0] for line in shown] == [SECOND, FIRST]


def test_a_failed_campaign_is_one_line_with_the_first_reason(campaign: Campaign) -> None:
    template = campaign.template.folder / "input.xml"
    template.write_text(template.read_text().replace("forcefield='mlobs'", "forcefield='mlops'"))
    result = invoke("run", campaign.path)
    assert isinstance(result.exception, LaunchError)
    text = str(result.exception)
    assert text.startswith(f"0 of 2 runs are done, {FIRST} failed: ")
    assert "names no forcefield" in text
    assert (
        ", and 1 more are not done; remove the cause, and continue with: mlobs campaign resume"
        in text
    )
    assert "\n" not in text


def test_an_input_that_cannot_be_read_is_known_before_the_first_run(campaign: Campaign) -> None:
    template = campaign.template.folder / "input.xml"
    template.write_text(template.read_text().replace("</simulation>", ""))
    result = invoke("run", campaign.path)
    assert isinstance(result.exception, ConfigError)
    assert "template/input.xml: cannot be read as XML" in str(result.exception)
    assert not (campaign.path.parent / "runs").exists()


def test_a_terminal_shows_a_bar_with_the_runs_that_work(campaign: Campaign) -> None:
    (begin(campaign) / "simulation.out").write_text("# column 1 --> step : The step.\n 7.0 \n")
    screen = io.StringIO()
    with _shown(Console(file=screen, force_terminal=True, width=150), campaign) as report:
        report({SECOND: "no"})
    assert f"{FIRST} step 7/100, 1 failed" in screen.getvalue()
    assert "0/2" in screen.getvalue()


def test_without_a_terminal_each_run_that_ends_is_one_line(
    campaign: Campaign, capsys: pytest.CaptureFixture[str]
) -> None:
    with _shown(Console(file=io.StringIO()), campaign) as report:
        for _ in range(2):
            report({FIRST: None, SECOND: "no"})
    assert capsys.readouterr().err == f"done: {FIRST} (2 left)\nfailed: {SECOND}: no (2 left)\n"


def test_collected_results_are_two_files(campaign: Campaign, tmp_path: Path) -> None:
    result = invoke("collect", campaign.path, "-o", tmp_path / "results", "--skip", "20%")
    assert result.exit_code == 0, result.output
    assert result.output.split() == [str(tmp_path / f"results.{end}") for end in ("csv", "h5")]
    assert (tmp_path / "results.csv").read_text().splitlines()[1].startswith(f"{FIRST},,planned")


@pytest.mark.parametrize("skip", ["-1", "100%", "nan", "2fs"])
def test_what_cannot_be_skipped_is_wrong_usage(campaign: Campaign, skip: str) -> None:
    assert invoke("collect", campaign.path, "-o", "x", "--skip", skip).exit_code == 2


def test_resume_is_run() -> None:
    assert command.commands["resume"] is command.commands["run"]
