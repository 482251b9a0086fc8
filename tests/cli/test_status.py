"""``mlobs status``: its words and its JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from small_run import Case

from mlobs_client.cli.status import command


def ask(*words: str) -> str:
    result = CliRunner().invoke(command, words)
    assert result.exit_code == 0, result.output
    return result.output


def test_a_stopped_run_is_described_with_the_line_that_continues_it(
    here: Case,
    write_steps: Callable[..., None],
    write_restart: Callable[[int], None],
    write_log: Callable[..., None],
) -> None:
    write_steps(8)
    write_log("stopped: SIGTERM", "mlobs", "run", "input.xml", "client.toml", "-n", "4")
    said = ask()
    assert "  checkpoint: none, the run starts anew\n" in said
    assert said.endswith("  next: mlobs run input.xml client.toml -n 4\n")
    write_restart(8)
    said = ask()
    assert said.startswith(".: stopped, 8 of 10 steps are done\n")
    assert "  checkpoint: RESTART, step 8\n" in said
    assert "  temperature: 310 K; from step 6 on 310 +- 0 K (2 rows)\n" in said
    assert "stopped: SIGTERM\n" in said
    assert said.endswith("  next: mlobs run input.xml client.toml -n 4 --resume\n")


def test_json_has_a_table_for_each_folder(case: Case, write_steps: Callable[..., None]) -> None:
    write_steps(4)
    (case.folder / "other").mkdir()
    first, second = json.loads(ask(str(case.folder), str(case.folder / "other"), "--json"))
    assert (first["state"], first["step"], first["total_steps"]) == ("killed", 4, 10)
    assert first["temperature"] == 310.0
    assert second["state"] == "empty"


def test_numbers_that_json_does_not_have_are_null(
    case: Case, write_steps: Callable[..., None]
) -> None:
    write_steps(4, "nan")
    (found,) = json.loads(ask(str(case.folder), "--json"))
    assert (found["state"], found["temperature"]) == ("exploded", None)


def test_of_a_folder_of_runs_the_runs_are_to_be_asked(case: Case, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    runs.mkdir()
    (runs / "a").symlink_to(tmp_path, target_is_directory=True)
    assert ask(str(runs)) == f"{runs}: no run of i-PI\n  next: mlobs status {runs}/*/\n"


def test_a_campaign_counts_its_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = 'template = "template"\nclients = 1\n[parameters]\ntemperature = [300, 310, 320]\n'
    (tmp_path / "campaign.toml").write_text(text)
    (tmp_path / "runs" / "temperature=300").mkdir(parents=True)
    (tmp_path / "runs" / "temperature=300" / "done.json").write_text("{}")
    said = ask()
    assert said == (".: a campaign of 3 runs: 1 done, 2 planned\n  next: mlobs campaign run\n")


def test_a_folder_that_is_not_there_is_said_beside_the_others(here: Case) -> None:
    result = CliRunner().invoke(command, ["gone", "input.xml", "."])
    assert result.exit_code == 1
    gone, file, other = result.output.splitlines()[:3]
    assert gone == "gone: cannot be read: No such file or directory"
    assert file == "input.xml: cannot be read: Not a directory"
    assert other == ".: not started, 0 of 10 steps are done"
