"""The demo: its runs are made from the shipped inputs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mlobs_client.check.files import check_files
from mlobs_client.check.finding import Level
from mlobs_client.client.config import load_config
from mlobs_client.errors import LaunchError
from mlobs_client.studies import demo


@pytest.mark.parametrize("run", demo.RUNS, ids=lambda run: run.name)
def test_the_inputs_of_every_run_pass_the_check(run: demo.DemoRun, tmp_path: Path) -> None:
    demo.write(run, tmp_path / run.name)
    folder = tmp_path / run.name
    findings = check_files(folder / "input.xml", [folder / "client.toml"])
    assert [f.what for f in findings if f.level is Level.ERROR] == []
    xml = (folder / "input.xml").read_text()
    assert re.search(rf"<total_steps>\s*{run.n_steps}\s*</total_steps>", xml)
    assert f"nbeads='{run.n_beads}'" in xml
    field = load_config(folder / "client.toml").field
    assert (field.vector[2] if field else 0.0) == run.field
    assert load_config(folder / "client.toml").potential.dtype == run.dtype


def test_a_run_that_fails_ends_the_demo_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_broken(run: demo.DemoRun, folder: Path, scale: float) -> None:
        folder.mkdir()
        (folder / "input.xml").write_text("<simulation><total_steps> 1 </total_steps>")
        (folder / "client.toml").write_text("")

    monkeypatch.setattr(demo, "write", write_broken)
    with pytest.raises(
        LaunchError, match=r"mlobs run input\.xml client\.toml --no-check failed: .*run\.log"
    ):
        demo.run_all(demo.RUNS[:3], tmp_path, lambda run, fraction: None)


def test_runs_that_are_there_keep_their_inputs_and_continue_from_their_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new, begun, done = demo.CLASSICAL_FIELDS[:3]
    for run, step in (begun, 100), (done, 320):
        folder = tmp_path / run.name
        demo.write(run, folder)
        text = (folder / "input.xml").read_text()
        restart = text.replace("<total_steps>", f"<step> {step} </step> <total_steps>")
        (folder / "RESTART").write_text(restart)
        (folder / "client.toml").write_text("# changed\n" + (folder / "client.toml").read_text())
    calls = []
    monkeypatch.setattr(
        demo, "_call", lambda arguments, folder, *_: calls.append((folder.name, arguments[1]))
    )
    demo.run_all([new, begun, done], tmp_path, lambda run, fraction: None)
    assert sorted(calls) == sorted([(new.name, "input.xml"), (begun.name, "RESTART")])
    assert (tmp_path / begun.name / "client.toml").read_text().startswith("# changed")
