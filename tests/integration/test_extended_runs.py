"""A run with the real i-PI that is extended: its steps, logs, backups, and what is said of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from running import Run

from mlobs_client.cli.next_line import next_line
from mlobs_client.ipi import input as ipi_input
from mlobs_client.launch.overview import State, read_overview
from mlobs_client.launch.sections import read_last_section, split_date

pytestmark = pytest.mark.skipif(not Path("/proc").exists(), reason="looks at processes in /proc")


def test_a_finished_run_is_extended_and_each_start_is_a_section_of_the_logs(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(run.folder)
    run.prepare(steps=6)
    (run.folder / "simulation.out").write_text("of an earlier run")
    run.start("input.xml", 1, "--resume")
    assert run.wait() == 0, run.said
    assert (run.folder / "backups/1/simulation.out").read_text() == "of an earlier run"
    hold = run.folder / "hold"
    hold.write_text("8")  # evaluations of two beads: steps 6, 7, 8, and one at the start
    run.start("input.xml", 1, "--resume", "--steps", "12")
    run.wait_for_step(8)
    running = read_overview(run.folder)
    assert running.state is State.RUNNING
    assert (running.step, running.total_steps) == (8, 12)
    assert run.process is not None
    assert run.process.pid in running.processes
    hold.unlink()
    assert run.wait() == 0, run.said
    assert "finished: all 12 steps are done" in run.said
    assert run.steps() == list(range(13))
    # i-PI renames the RESTART that it started from when it writes the next one
    assert ipi_input.read(run.folder / "backups/2/RESTART").step == 6
    assert [path.name for path in run.folder.iterdir() if path.name.startswith("#")] == []
    for name in ("mlobs-run.log", "i-pi.log", "client-0.log"):
        heads = [line for line in (run.folder / name).read_text().splitlines() if "====" in line]
        assert len(heads) == 2, name
        assert all(split_date(head.removeprefix("==== "))[0] is not None for head in heads)
    assert split_date(read_last_section(run.folder / "client-0.log").last_line)[0] is not None
    found = read_overview(run.folder)
    assert (found.state, found.step, found.processes) == (State.FINISHED, 12, [])
    line = "mlobs run input.xml client.toml --no-check -n 1 --resume --steps"
    assert read_last_section(run.folder / "mlobs-run.log").title == f"{line} 12"
    assert next_line(found) == "mlobs ir simulation --temperature 300 -o ir"
