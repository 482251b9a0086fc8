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
from mlobs_client.studies.demo_plan import CLASSICAL_IN_FIELDS, RUNS, DemoRun


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.name)
def test_the_inputs_of_every_run_pass_the_check(run: DemoRun, tmp_path: Path) -> None:
    demo.write(run, tmp_path / run.name, 120)
    folder = tmp_path / run.name
    findings = check_files(folder / "input.xml", [folder / "client.toml"])
    assert [f.what for f in findings if f.level is Level.ERROR] == []
    xml = (folder / "input.xml").read_text()
    assert re.search(r"<total_steps>\s*120\s*</total_steps>", xml)
    assert f"nbeads='{run.n_beads}'" in xml
    field = load_config(folder / "client.toml").field
    assert (field.vector[2] if field else 0.0) == run.field
    assert load_config(folder / "client.toml").potential.dtype == run.dtype


def test_a_kill_while_inputs_are_written_leaves_none_that_are_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(demo, "_change", die)
        with pytest.raises(KeyboardInterrupt):
            demo.write(RUNS[0], tmp_path / "run", 120)
    assert not (tmp_path / "run").exists()
    demo.write(RUNS[0], tmp_path / "run", 120)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_run_that_fails_ends_the_demo_with_its_reason(tmp_path: Path) -> None:
    for run in RUNS[:3]:
        demo.write(run, tmp_path / run.name, 40)
        (tmp_path / run.name / "client.toml").write_text("")
    with pytest.raises(
        LaunchError,
        match=r"mlobs run input\.xml client\.toml --resume --no-check failed: .*run\.log",
    ):
        demo.run_all(RUNS[:3], tmp_path, lambda run, fraction: None)


def test_runs_continue_where_they_ended_and_those_that_are_done_are_not_begun_again(
    tmp_path: Path,
) -> None:
    begun, done = CLASSICAL_IN_FIELDS[:2]
    for run, step in (begun, 36), (done, 40):
        folder = tmp_path / run.name
        demo.write(run, folder, 40)
        text = (folder / "input.xml").read_text()
        restart = text.replace("<total_steps>", f"<step> {step} </step> <total_steps>")
        (folder / "RESTART").write_text(restart)
    over: list[DemoRun] = []
    seconds = demo.run_all([begun, done], tmp_path, lambda run, fraction: None, over.append)
    assert {*over} == {*seconds} == {begun, done}
    assert "(step 36) to step 40" in (tmp_path / begun.name / "run.log").read_text()
    assert "finished: all 40 steps are done" in (tmp_path / done.name / "run.log").read_text()
    assert not (tmp_path / done.name / "simulation.out").exists()
