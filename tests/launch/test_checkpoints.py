"""From what a run goes on."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest
from ipi_runs import ffsocket, make_input

from mlobs_client.errors import ConfigError
from mlobs_client.ipi import input as ipi_input
from mlobs_client.ipi.input import IpiInput
from mlobs_client.launch.checkpoints import find_newest, set_aside, stamps_of

OUTPUT = "<output prefix='simulation'> <checkpoint filename='kept' stride='5'/> </output>"


@pytest.fixture
def ipi(tmp_path: Path) -> IpiInput:
    (tmp_path / "input.xml").write_text(make_input(OUTPUT, ffsocket("water"), steps=100))
    return ipi_input.read(tmp_path / "input.xml")


def write(ipi: IpiInput, name: str, step: int, written: float = 0.0, **change: str) -> Path:
    text = ipi.path.read_text().replace("<total_steps>", f"<step> {step} </step> <total_steps>")
    for old, new in change.items():
        text = text.replace(old, new)
    path = ipi.path.with_name(name)
    path.write_text(text)
    os.utime(path, (written, written))
    return path


def test_a_run_that_has_written_nothing_has_nothing_to_go_on_from(ipi: IpiInput) -> None:
    assert find_newest(ipi) is None


def test_the_farthest_checkpoint_is_taken_whatever_its_name_and_age(ipi: IpiInput) -> None:
    write(ipi, "RESTART", 40, written=9.0)
    kept = write(ipi, "simulation.kept_3", 60, written=1.0)
    found = find_newest(ipi)
    assert found is not None
    assert (found.path, found.step) == (kept, 60)


def test_of_the_same_step_the_later_file_is_taken(ipi: IpiInput) -> None:
    write(ipi, "simulation.kept", 40, written=1.0)
    restart = write(ipi, "RESTART", 40, written=2.0)
    found = find_newest(ipi)
    assert found is not None
    assert found.path == restart


def test_a_file_that_a_kill_has_cut_is_left_out(
    ipi: IpiInput, caplog: pytest.LogCaptureFixture
) -> None:
    kept = write(ipi, "simulation.kept", 40)
    cut = write(ipi, "RESTART", 60)
    cut.write_text(cut.read_text()[:-30])
    with caplog.at_level(logging.WARNING):
        found = find_newest(ipi)
    assert found is not None
    assert found.path == kept
    assert f"{cut} is not used" in caplog.text


def test_where_all_are_cut_nobody_begins_anew_without_a_word(ipi: IpiInput) -> None:
    cut = write(ipi, "RESTART", 60)
    cut.write_text(cut.read_text()[:-30])
    with pytest.raises(ConfigError, match=r"RESTART in .* cannot be read, and must be removed"):
        find_newest(ipi)


@pytest.mark.parametrize("cut", ["simulation.kept_0", "simulation.kept_1"])
def test_a_run_that_was_cut_off_at_its_first_checkpoints_begins_anew(
    ipi: IpiInput, cut: str
) -> None:
    write(ipi, "simulation.kept_0", 0)
    path = write(ipi, cut, 5)
    path.write_text(path.read_text()[:-30])
    assert find_newest(ipi) is None


@pytest.mark.parametrize(
    "change", [{"prefix='simulation'": "prefix='other'"}, {"name='mlobs'": "name='mace'"}]
)
def test_a_checkpoint_of_another_input_is_left_out(
    ipi: IpiInput, change: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    write(ipi, "RESTART", 60, **change)
    with caplog.at_level(logging.WARNING):
        assert find_newest(ipi) is None
    assert "it does not belong to" in caplog.text


@pytest.mark.parametrize("written", [1000.0, 3000.0])
def test_what_has_changed_is_of_this_run_whatever_the_clocks_say(
    ipi: IpiInput, written: float
) -> None:
    write(ipi, "RESTART", 60, written=2000.0)
    write(ipi, "simulation.kept", 40, written=2000.0)
    before = stamps_of(ipi)
    assert find_newest(ipi, before) is None
    write(ipi, "RESTART", 70, written=written)
    found = find_newest(ipi, before)
    assert found is not None
    assert found.step == 70


def test_a_restart_that_is_the_input_is_no_news(ipi: IpiInput) -> None:
    restart = write(ipi, "RESTART", 60)
    assert find_newest(ipi_input.read(restart)) is None


def test_what_earlier_runs_left_is_set_aside_and_nothing_is_lost(ipi: IpiInput) -> None:
    for step in (40, 60):
        write(ipi, "RESTART", step)
        set_aside(ipi, "from an earlier run")
    assert find_newest(ipi) is None
    steps = [ipi_input.read(ipi.path.with_name(f"#RESTART#{k}#")).step for k in (0, 1)]
    assert steps == [40, 60]


def test_what_was_written_before_the_explosion_stays(ipi: IpiInput) -> None:
    cool = write(ipi, "simulation.kept_1", 40, written=9.0)
    write(ipi, "simulation.kept_2", 60, written=1.0)
    cut = write(ipi, "simulation.kept_3", 80)
    cut.write_text(cut.read_text()[:-30])
    set_aside(ipi, "from after the explosion", beyond=59)
    found = find_newest(ipi)
    assert found is not None
    assert found.path == cool
    assert ipi.path.with_name("#simulation.kept_2#0#").exists()
    assert cut.exists()
