"""What is found out about a folder, without changing it."""

from __future__ import annotations

import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from ipi_runs import ffsocket, make_input

from mlobs_client.launch.overview import State, read_overview
from mlobs_client.launch.run_log import NAME, RunLog
from mlobs_client.launch.sections import heading
from mlobs_client.launch.stamps import stamps
from mlobs_client.locks import hold

OUTPUT = """<output prefix='simulation'>
    <properties filename='out'> [ step, temperature{kelvin} ] </properties>
  </output>"""
HEADER = """# column   1     --> step : The current simulation time step.
# column   2     --> temperature{kelvin} : The current temperature.
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An input of 1000 steps of 0.25 fs."""
    (tmp_path / "input.xml").write_text(make_input(OUTPUT, ffsocket("water"), steps=1000))
    return tmp_path


def write_rows(folder: Path, last: int, temperature: str = "") -> None:
    rows = [f"{step}.0e+00 {300 + step % 2}\n" for step in range(last)]
    text = HEADER + "".join(rows) + f"{last}.0e+00 {temperature or 300 + last % 2}\n"
    (folder / "simulation.out").write_text(text)


def write_restart(folder: Path, step: int) -> None:
    text = (folder / "input.xml").read_text()
    (folder / "RESTART").write_text(text.replace("<prng>", f"<step>{step}</step> <prng>"))


def end(folder: Path, words: str) -> None:
    """Write the log of a run with these last words."""
    with RunLog(folder, ["mlobs", "run", "input.xml", "client.toml"]) as log:
        log.say(words)


def test_a_run_of_ipi_alone_is_read_and_nothing_is_changed(
    finished_run: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(finished_run, folder)
    before = stamps(folder.iterdir())
    found = read_overview(folder)
    assert stamps(folder.iterdir()) == before
    assert found.state is State.FINISHED
    assert (found.step, found.total_steps) == (400, 400)
    assert found.recent is not None
    assert found.recent.since == 300
    assert found.recent.n_rows == 51  # of every second step from 300 to 400
    (folder / "simulation.out").touch()
    with (folder / "simulation.out").open("a"):  # as i-PI has it
        found = read_overview(folder)
    assert (found.state, found.processes) == (State.RUNNING, [os.getpid()])


@pytest.mark.parametrize(
    ("step", "words", "state"),
    [
        (None, "failed: client-0 cannot start", State.FAILED),
        (500, "stopped: SIGTERM", State.STOPPED),
        (500, "step 500/1000, 1 client", State.KILLED),
        (500, "finished: Geometry optimization converged", State.FINISHED),
        (1000, "finished: all steps", State.FINISHED),
    ],
)
def test_the_log_of_a_run_says_how_it_ended(
    folder: Path, step: int | None, words: str, state: State
) -> None:
    if step is not None:
        write_rows(folder, step)
    end(folder, words)
    found = read_overview(folder)
    assert (found.state, found.step) == (state, step or 0)


def test_the_success_of_an_earlier_run_is_not_that_of_a_run_that_was_killed_at_once(
    folder: Path,
) -> None:
    (folder / "i-pi.log").write_text("@softexit: converged. I-PI reports success.\n")
    assert read_overview(folder).state is State.FINISHED
    with RunLog(folder, ["mlobs", "run", "input.xml", "client.toml"]):
        pass
    assert read_overview(folder).state is State.KILLED


def test_without_a_log_outputs_and_the_restart_say_it(folder: Path) -> None:
    assert read_overview(folder).state is State.PLANNED
    write_rows(folder, 500)
    assert read_overview(folder).state is State.KILLED
    write_restart(folder, 501)
    found = read_overview(folder)
    assert (found.state, found.step) == (State.STOPPED, 501)


def test_a_restart_whose_input_is_gone_can_be_continued(folder: Path) -> None:
    write_rows(folder, 500)
    write_restart(folder, 500)
    (folder / "input.xml").unlink()
    found = read_overview(folder)
    assert found.state is State.STOPPED
    assert found.checkpoint is not None
    assert (found.checkpoint.path, found.checkpoint.step) == (folder / "RESTART", 500)


def test_a_run_that_has_the_lock_is_running_wherever_it_is(folder: Path) -> None:
    end(folder, "stopped: SIGTERM")
    with hold(folder / "i-pi.log"):
        found = read_overview(folder)
    assert found.state is State.RUNNING
    assert found.processes == [os.getpid()]


@pytest.mark.parametrize("temperature", ["nan", "2.0e+05"])
def test_a_temperature_beyond_all_molecules_is_an_explosion(folder: Path, temperature: str) -> None:
    write_rows(folder, 500, temperature)
    assert read_overview(folder).state is State.EXPLODED


def test_the_restart_of_an_explosion_tells_it(folder: Path) -> None:
    write_rows(folder, 400)
    (folder / "RESTART-blown-up").touch()
    assert read_overview(folder).state is State.EXPLODED


def test_the_temperature_is_averaged_over_the_last_quarter(folder: Path) -> None:
    write_rows(folder, 800)
    recent = read_overview(folder).recent
    assert recent is not None
    assert (recent.since, recent.n_rows) == (600, 201)
    # 101 rows of 300 K and 100 of 301 K
    assert recent.mean == pytest.approx(300 + 100 / 201, abs=1e-9)
    assert recent.deviation == pytest.approx((100 * 101 / 201 / 200) ** 0.5, rel=1e-9)


def test_the_end_of_a_file_of_a_terabyte_tells_the_last_step(folder: Path) -> None:
    with (folder / "simulation.out").open("w") as stream:
        stream.write(HEADER)
        stream.truncate(10**12)  # a hole, which nobody could read
        stream.seek(10**12)
        stream.writelines(f"\n{step}.0e+00 300.0" for step in range(30_000))
        stream.write("\n")
    found = read_overview(folder)
    assert found.step == 29_999
    assert found.recent is not None
    assert found.recent.mean == 300.0


def test_the_speed_is_that_since_the_first_step_of_the_last_start(folder: Path) -> None:
    write_rows(folder, 500)
    (folder / NAME).write_text(
        f"{heading('mlobs run')}2026-01-01 10:00:00+0000 step 100/1000, 1 client\n"
    )
    written = datetime(2026, 1, 1, 10, 33, 20, tzinfo=UTC).timestamp()  # 2000 s later
    os.utime(folder / "simulation.out", (written, written))
    found = read_overview(folder)
    assert found.steps_per_second == pytest.approx(400 / 2000)
    # 0.2 steps of 0.25 fs each second; i-PI's fs differs from CODATA's in the seventh digit
    assert found.ns_per_day == pytest.approx(0.05e-6 * 86400, rel=1e-5)


def test_a_copy_of_a_folder_with_new_dates_has_the_speed_of_its_log(folder: Path) -> None:
    write_rows(folder, 500)
    (folder / NAME).write_text(
        f"{heading('mlobs run')}2026-01-01 10:00:00+0000 step 100/1000, 1 client\n"
        "2026-01-01 10:33:20+0000 step 500/1000, 1 client\n"  # 2000 s later
    )
    assert read_overview(folder).steps_per_second == pytest.approx(400 / 2000)


def test_without_our_log_the_speed_is_the_last_average_of_ipi(folder: Path) -> None:
    write_rows(folder, 500)
    words = " @simulation.run: Average timings at MD step    {}. t/step: {}\n"
    text = words.format(0, "9.0e+00")  # with the start of the clients
    (folder / "ipi.log").write_text(text)
    assert read_overview(folder).steps_per_second is None
    (folder / "ipi.log").write_text(text + words.format(100, "2.00000e-02"))
    assert read_overview(folder).steps_per_second == 50.0


def test_folders_without_a_run_are_told_apart(tmp_path: Path) -> None:
    assert read_overview(tmp_path).state is State.EMPTY
    (tmp_path / "notes.txt").touch()
    assert read_overview(tmp_path).state is State.FOREIGN
    (tmp_path / "input.xml").write_text("<other/>")
    found = read_overview(tmp_path)
    assert found.state is State.FOREIGN
    assert "the outermost tag is <other>" in found.problem


def test_files_that_cannot_be_read_are_a_problem_and_no_failure(folder: Path) -> None:
    write_rows(folder, 500)
    (folder / "RESTART").write_text("<simulation>")
    found = read_overview(folder)
    assert (found.state, found.step) == (State.KILLED, 500)
    assert "RESTART" in found.problem
