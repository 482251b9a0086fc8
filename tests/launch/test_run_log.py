"""The log of ``mlobs run`` itself."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from mlobs_client.launch.ending import Ending
from mlobs_client.launch.options import Outcome
from mlobs_client.launch.progress import Status
from mlobs_client.launch.run_log import NAME, RunLog, find_command, find_ending
from mlobs_client.launch.sections import read_last_section, split_date


def test_the_log_of_a_run_has_its_command_line_its_warnings_and_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "a run"
    folder.mkdir()
    words = ["mlobs", "run", "a run/input.xml", "a run/client.toml"]
    with RunLog(folder, words) as log:
        logging.getLogger("mlobs_client.launch").warning("a client died")
        log.follow(lambda status: None)(Status(7, 60, None, None, None, 1))
    section = read_last_section(folder / NAME)
    assert find_command(section, folder) == (words, "..")
    (tmp_path / "a copy").mkdir()
    assert find_command(section, tmp_path / "a copy") is None  # the line is not for it
    assert find_ending(section) is None  # as after a kill
    assert [split_date(line)[1] for line in section.lines] == [
        "a client died",
        "step 7/60, 1 client",
    ]
    with RunLog(folder, words) as log:
        log.follow(lambda status: None)(Status(9, 60, None, None, None, 1))
        log.say_end(Outcome(Ending.STOPPED, "SIGTERM", None, None))
    section = read_last_section(folder / NAME)
    assert find_ending(section) is Ending.STOPPED
    assert [line.rpartition(" step ")[2] for line in section.lines[:-1]] == ["9/60, 1 client"]


def test_a_run_that_fails_says_so_at_the_end_of_its_log(tmp_path: Path) -> None:
    with pytest.raises(KeyError), RunLog(tmp_path, ["mlobs", "run"]):
        raise KeyError("lost")
    section = read_last_section(tmp_path / NAME)
    assert find_ending(section) is Ending.FAILED
    assert "lost" in section.last_line


def test_a_warning_that_something_failed_is_no_end(tmp_path: Path) -> None:
    with RunLog(tmp_path, ["mlobs", "run"]) as log:
        log.say("client-0 died (compilation failed: no compiler) and is started again")
    assert find_ending(read_last_section(tmp_path / NAME)) is None


def test_a_name_that_is_no_text_is_written_as_it_is(tmp_path: Path) -> None:
    word = os.fsdecode(b"caf\xe9.xml")
    with RunLog(tmp_path, ["mlobs", "run", word]) as log:
        log.say(word)
    assert (tmp_path / NAME).read_bytes().count(b"caf\xe9.xml") == 2


def test_a_log_that_cannot_be_written_ends_no_run(tmp_path: Path) -> None:
    (tmp_path / NAME).mkdir()
    with RunLog(tmp_path, ["mlobs", "run"]) as log:
        log.say("more")


def test_a_run_that_a_second_signal_ends_at_once_is_stopped_and_not_failed(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), RunLog(tmp_path, ["mlobs", "run"]):
        raise KeyboardInterrupt
    section = read_last_section(tmp_path / NAME)
    assert find_ending(section) is Ending.STOPPED
    assert "second signal" in section.last_line
