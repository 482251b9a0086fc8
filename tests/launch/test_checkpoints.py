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
from mlobs_client.launch.checkpoints import find_newest, set_total_steps, stamps_of

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


def test_of_many_checkpoints_the_farthest_alone_is_read_whole(
    ipi: IpiInput, monkeypatch: pytest.MonkeyPatch
) -> None:
    for k in range(5):
        write(ipi, f"simulation.kept_{k}", 10 * k)
    read: list[Path] = []
    monkeypatch.setattr(
        "mlobs_client.launch.checkpoints.ipi_input.read",
        lambda path: read.append(path) or ipi_input.read_content(path.read_bytes(), path),
    )
    found = find_newest(ipi)
    assert found is not None
    assert read == [found.path]
    assert (found.step, found.total_steps) == (40, 100)


def test_a_step_that_is_not_in_the_head_is_read_all_the_same(ipi: IpiInput) -> None:
    write(ipi, "simulation.kept", 60)
    far = write(ipi, "RESTART", 50)
    far.write_text(far.read_text().replace("<step>", f"<!-- {70_000 * 'x'} --> <step>"))
    found = find_newest(ipi)
    assert found is not None
    assert found.step == 60


@pytest.mark.parametrize("has_default", [False, True], ids=["written", "as by default"])
def test_the_last_step_of_a_checkpoint_is_changed_and_nothing_else(
    ipi: IpiInput, *, has_default: bool
) -> None:
    path = write(ipi, "RESTART", 60)
    if has_default:  # i-PI does not write the 1000 steps of its default
        path.write_text(path.read_text().replace("<total_steps> 100 </total_steps>", ""))
    before = path.read_text()
    set_total_steps(path, 250)
    assert ipi_input.read(path).total_steps == 250
    assert ipi_input.read(path).step == 60
    added = set(path.read_text().split()) - set(before.split())
    assert added == {"<total_steps>250</total_steps>"}
