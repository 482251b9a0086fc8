"""Bad input: one error that names the value and the remedy, before anything is started."""

from __future__ import annotations

import io
import os
import socket
from collections.abc import Callable
from pathlib import Path
from signal import Signals

import pytest
from click.testing import CliRunner
from rich.console import Console

from mlobs_client.cli.init import copy_kind
from mlobs_client.cli.options import continued
from mlobs_client.cli.run import _find_start, _say_end, command, shown
from mlobs_client.errors import MlobsError
from mlobs_client.ipi import input as ipi_input
from mlobs_client.launch.ending import Ending, read_ending
from mlobs_client.launch.options import Outcome
from mlobs_client.launch.progress import Status
from mlobs_client.locks import hold


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    copy_kind("water-nve-field", tmp_path)
    return tmp_path


def edit(name: str, old: str, new: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        text = (folder / name).read_text()
        assert old in text
        (folder / name).write_text(text.replace(old, new))

    return change


def swap_species(folder: Path) -> None:
    lines = (folder / "init.xyz").read_text().splitlines()
    lines[2], lines[3] = lines[3], lines[2]
    (folder / "other.xyz").write_text("\n".join(lines))
    edit("client.toml", "init.xyz", "other.xyz")(folder)


def flatten_cell(folder: Path) -> None:
    edit("init.xyz", "0.0 0.0 7.830137595191438", "0.0 0.0 0.0")(folder)


BAD = {
    "another address": (
        edit("client.toml", 'address = "water-nve-field"', 'address = "water"'),
        ["'water'", "'water-nve-field'", "[socket]"],
    ),
    "no such forcefield": (
        edit("input.xml", "forcefield='mlobs'", "forcefield='mace'"),
        ["'mace'", "'mlobs'", "<forces>"],
    ),
    "unknown unit": (edit("client.toml", "V/angstrom", "V/parsec"), ["V/parsec", "V/nm"]),
    "wrong species": (swap_species, ["atom 1", "'O'", "'H'", "same order"]),
    "flat cell": (flatten_cell, ["cell", "volume"]),
    "no structure": (lambda folder: (folder / "init.xyz").unlink(), ["init.xyz", "folder"]),
    "no client file": (lambda folder: (folder / "client.toml").unlink(), ["client.toml", "init"]),
    "no input": (lambda folder: (folder / "input.xml").unlink(), ["input.xml", "mlobs init"]),
}


@pytest.mark.parametrize("mistake", BAD)
def test_a_mistake_is_one_error_that_names_the_value_and_the_remedy(folder: Path, mistake: str):
    change, words = BAD[mistake]
    change(folder)
    before = sorted(path.name for path in folder.iterdir())
    result = CliRunner().invoke(command, [str(folder / n) for n in ("input.xml", "client.toml")])
    assert result.exit_code == 1
    assert isinstance(result.exception, MlobsError), result.exception
    assert [word for word in words if word not in str(result.exception)] == []
    assert sorted(path.name for path in folder.iterdir()) == before


def test_a_port_in_use_is_an_error_that_names_it(tmp_path: Path):
    copy_kind("remote-tcp", tmp_path)
    with socket.socket() as other:
        other.bind(("0.0.0.0", 0))
        other.listen()
        port = str(other.getsockname()[1])
        for name in ("input.xml", "client.toml"):
            edit(name, "31415 ", f"{port} ")(tmp_path)
        files = [str(tmp_path / name) for name in ("input.xml", "client.toml")]
        result = CliRunner().invoke(command, files)
    assert isinstance(result.exception, MlobsError)
    assert f"port {port} of '0.0.0.0' is in use" in str(result.exception)


STATUS = Status(120, 400, 0.25, 301.0, 12.5, 2)
SAID = "step 120/400, 0.25 ns/day, 301 K, spread 12.5 meV, 2 clients"


def test_a_terminal_shows_a_bar_with_the_numbers():
    screen = io.StringIO()
    with shown(Console(file=screen, force_terminal=True, width=120)) as show:
        show(STATUS)
    assert SAID in screen.getvalue()
    assert "30%" in screen.getvalue()


def test_without_a_terminal_there_is_one_line_every_ten_seconds(monkeypatch, capsys):
    clock = [0.0]
    monkeypatch.setattr("mlobs_client.cli.run.time.monotonic", lambda: clock[0])
    with shown(Console(file=io.StringIO())) as show:
        for clock[0] in range(25):
            show(STATUS)
    assert capsys.readouterr().err == f"{SAID}\n{SAID}\n"


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("@ SIMULATION: Exiting cleanly.", "finished: all 60 steps are done"),
        (
            "Geometry optimization converged. Exiting simulation",
            "finished: Geometry optimization converged (step 6 of at most 60)",
        ),
    ],
)
def test_an_optimisation_that_has_converged_has_not_made_all_steps(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], reason: str, said: str
) -> None:
    log = f"Soft exit has been requested with message: ' {reason} I-PI reports success.'. Cleaning"
    xml = "<simulation> {} <total_steps> 60 </total_steps> </simulation>"
    for name, step in (("input.xml", ""), ("RESTART", "<step> 6 </step>")):
        (tmp_path / name).write_text(xml.format(step))
    ending, words = read_ending(log, 0)
    outcome = Outcome(ending, words, None, tmp_path / "RESTART")
    _say_end(outcome, ipi_input.read(tmp_path / "input.xml"))
    assert capsys.readouterr().out == f"{said}\n"


def test_a_run_that_was_stopped_before_its_first_step_is_not_to_be_continued(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("input.xml", "RESTART"):
        (tmp_path / name).write_text("<simulation> <total_steps> 60 </total_steps> </simulation>")
    outcome = Outcome(Ending.STOPPED, "SIGINT", Signals.SIGINT, tmp_path / "RESTART")
    _say_end(outcome, ipi_input.read(tmp_path / "input.xml"))
    said = capsys.readouterr().out
    assert said == "stopped: SIGINT; no step was done, so the next run starts anew\n"


def resume(folder: Path, *options: str) -> str:
    """What ``mlobs run --resume`` says without starting anything."""
    files = [str(folder / name) for name in ("input.xml", "client.toml")]
    result = CliRunner().invoke(command, [*files, "--resume", *options])
    return result.output or str(result.exception)


@pytest.fixture
def half_done(folder: Path) -> Path:
    """A run of 40000 steps that was stopped after 60."""
    text = (folder / "input.xml").read_text()
    edit("input.xml", "<prng>", "<step>60</step> <prng>")(folder)
    (folder / "input.xml").rename(folder / "RESTART")
    (folder / "input.xml").write_text(text)
    return folder


def test_fewer_steps_than_are_done_are_refused(half_done: Path):
    before = (half_done / "RESTART").read_bytes()
    assert "RESTART is at step 60 already; steps are counted" in resume(half_done, "--steps", "59")
    assert (half_done / "RESTART").read_bytes() == before


def test_as_many_steps_as_are_done_finish_the_run(half_done: Path):
    assert "finished: all 60 steps are done" in resume(half_done, "--steps", "60")
    assert ipi_input.read(half_done / "RESTART").total_steps == 60


def test_the_second_of_two_runs_that_are_extended_at_once_changes_nothing(
    half_done: Path, monkeypatch: pytest.MonkeyPatch
):
    before = (half_done / "RESTART").read_bytes()
    # the first one starts between the first look of the second one and its own start
    monkeypatch.setattr("mlobs_client.cli.run.wait_for_rest", lambda folder: None)
    files = [str(half_done / name) for name in ("input.xml", "client.toml")]
    with hold(half_done / "i-pi.log"):
        result = CliRunner().invoke(command, [*files, "--resume", "--steps", "70"])
    assert isinstance(result.exception, MlobsError)
    assert str(result.exception).startswith(f"another 'mlobs run' (process {os.getpid()}) is")
    assert (half_done / "RESTART").read_bytes() == before


def test_a_run_that_was_extended_is_continued_to_its_new_end(
    half_done: Path, capsys: pytest.CaptureFixture[str]
):
    edit("RESTART", "<total_steps> 40000", "<total_steps> 50000")(half_done)
    assert _find_start(half_done / "input.xml", None).path == half_done / "RESTART"
    assert "RESTART (step 60) to step 50000\n" in capsys.readouterr().out


def test_an_input_that_asks_for_more_steps_than_its_run_is_not_ignored(half_done: Path):
    edit("RESTART", "<total_steps> 40000", "<total_steps> 30000")(half_done)
    said = resume(half_done)
    assert "asks for 40000 steps, but" in said
    assert "for 30000; give --steps with the number that you want" in said


@pytest.mark.parametrize("words", ["", "--resume", "--resume --steps 9", "--steps=9 --resume"])
def test_the_line_that_extends_a_run_says_its_end_once(words: str):
    start = ["mlobs", "run", "input.xml", "client.toml", "-n", "20"]
    assert continued([*start, *words.split()], 20) == [*start, "--resume", "--steps", "20"]


def test_the_line_that_continues_an_extended_run_keeps_its_end():
    line = continued(["mlobs", "run", "in.xml", "c.toml", "--resume", "--steps", "9"])
    assert line == ["mlobs", "run", "in.xml", "c.toml", "--steps", "9", "--resume"]


def test_a_run_that_has_not_begun_is_not_extended(folder: Path):
    assert "--steps 9: there is no RESTART or <checkpoint>" in resume(folder, "--steps", "9")


def test_steps_without_resume_are_wrong_usage(folder: Path):
    files = [str(folder / name) for name in ("input.xml", "client.toml")]
    result = CliRunner().invoke(command, [*files, "--steps", "9"])
    assert result.exit_code == 2
    assert "give --resume, too" in result.output
