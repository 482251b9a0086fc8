"""What earlier runs left is moved into ``backups``."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ipi_runs import ffsocket, make_input

from mlobs_client.errors import LaunchError
from mlobs_client.ipi import input as ipi_input
from mlobs_client.ipi.input import IpiInput
from mlobs_client.launch.backups import back_up, move_renamed, set_aside
from mlobs_client.launch.checkpoints import find_newest

OUTPUT = """<output prefix='simulation'>
    <properties filename='out'> [ step ] </properties>
    <trajectory filename='pos'> positions </trajectory>
    <trajectory filename='vel'> v_centroid </trajectory>
    <trajectory filename='dipole' extra_type='dipole'> extras </trajectory>
    <checkpoint filename='kept' stride='5' overwrite='False'/>
  </output>"""
OF_IPI = [
    "simulation.dipole_0",
    "simulation.dipole_1",
    "simulation.out",
    "simulation.pos_0.xyz",
    "simulation.vel.xyz",
]
OTHERS = ["simulation.out.png", "simulation.pos.csv", "simulation.posters", "vdos.csv"]


@pytest.fixture
def ipi(tmp_path: Path) -> IpiInput:
    """A folder in which a run was made, with files of the user."""
    (tmp_path / "input.xml").write_text(make_input(OUTPUT, ffsocket("water")))
    for name in (*OF_IPI, *OTHERS):
        (tmp_path / name).touch()
    return ipi_input.read(tmp_path / "input.xml")


def write_checkpoint(ipi: IpiInput, name: str, step: int) -> Path:
    path = ipi.path.with_name(name)
    path.write_text(ipi.path.read_text().replace("<prng>", f"<step>{step}</step> <prng>"))
    return path


def test_a_new_run_finds_none_of_the_outputs_and_checkpoints_of_an_earlier_one(
    ipi: IpiInput,
) -> None:
    checkpoints = ["RESTART", "simulation.kept_0", "simulation.kept_1"]
    for step, name in enumerate(checkpoints):
        write_checkpoint(ipi, name, step)
    (ipi.path.parent / "RESTART-blown-up").touch()
    back_up(ipi, ())
    kept = sorted(path.name for path in (ipi.path.parent / "backups/1").iterdir())
    assert kept == sorted([*OF_IPI, *checkpoints, "RESTART-blown-up"])
    assert all((ipi.path.parent / name).exists() for name in OTHERS)


def test_a_run_that_is_continued_keeps_all_but_the_end_of_an_explosion(ipi: IpiInput) -> None:
    restart = write_checkpoint(ipi, "RESTART", 5)
    (ipi.path.parent / "RESTART-blown-up").touch()
    back_up(ipi_input.read(restart), ())
    assert [path.name for path in (ipi.path.parent / "backups/1").iterdir()] == ["RESTART-blown-up"]
    assert restart.exists()
    assert all((ipi.path.parent / name).exists() for name in OF_IPI)


def test_after_a_kill_no_checkpoint_is_without_its_outputs(
    ipi: IpiInput, monkeypatch: pytest.MonkeyPatch
) -> None:
    for step, name in enumerate(("RESTART", "simulation.kept_1")):
        write_checkpoint(ipi, name, 5 + step)
    rename, seen = Path.rename, []

    def look(path: Path, target: Path) -> Path:
        if find_newest(ipi) is not None:
            seen.append(all((ipi.path.parent / name).exists() for name in OF_IPI))
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", look)
    back_up(ipi, ())
    assert seen == [True, True]  # before each of the two was moved


def test_what_the_new_run_reads_stays(ipi: IpiInput) -> None:
    text = ipi.path.read_text().replace("init.xyz", "simulation.pos_0.xyz")
    ipi.path.write_text(text)
    back_up(ipi, [ipi.path.parent / "simulation.vel.xyz"])
    kept = {path.name for path in (ipi.path.parent / "backups/1").iterdir()}
    assert kept == {"simulation.out", "simulation.dipole_0", "simulation.dipole_1"}


def test_a_checkpoint_of_the_first_step_that_is_the_input_stays(ipi: IpiInput) -> None:
    first = write_checkpoint(ipi, "simulation.kept_0", 0)
    write_checkpoint(ipi, "simulation.kept_1", 5)
    back_up(ipi_input.read(first), ())
    assert first.exists()
    assert (ipi.path.parent / "backups/1/simulation.kept_1").exists()


def test_a_start_that_the_run_would_replace_is_refused_and_nothing_is_moved(ipi: IpiInput) -> None:
    restart = write_checkpoint(ipi, "RESTART", 5)
    ipi.path.write_text(ipi.path.read_text().replace("init.xyz", "RESTART"))
    with pytest.raises(LaunchError, match=r"input\.xml reads RESTART, which the run itself would"):
        back_up(ipi, ())
    assert restart.exists()
    assert not (ipi.path.parent / "backups").exists()


def test_files_with_the_same_name_do_not_replace_each_other(ipi: IpiInput) -> None:
    folder = ipi.path.parent / "other"
    folder.mkdir()
    ipi.path.write_text(ipi.path.read_text().replace("prefix='simulation'", "prefix=''"))
    ipi.path.write_text(ipi.path.read_text().replace("filename='out'", "filename='other/pos'"))
    (folder / "pos").write_text("of properties")
    (ipi.path.parent / "pos").write_text("of positions")
    back_up(ipi_input.read(ipi.path), ())
    kept = [(ipi.path.parent / f"backups/{k}/pos").read_text() for k in (1, 2)]
    assert kept == ["of properties", "of positions"]


def test_what_was_written_before_the_explosion_stays(ipi: IpiInput) -> None:
    cool = write_checkpoint(ipi, "simulation.kept_1", 40)
    write_checkpoint(ipi, "simulation.kept_2", 60)
    truncated = write_checkpoint(ipi, "simulation.kept_3", 80)
    truncated.write_text(truncated.read_text()[:-30])
    set_aside(ipi, beyond=59)
    found = find_newest(ipi)
    assert found is not None
    assert found.path == cool
    assert (ipi.path.parent / "backups/1/simulation.kept_2").exists()
    assert truncated.exists()


def test_files_that_ipi_has_renamed_get_their_names_back_in_the_order_of_the_runs(
    tmp_path: Path,
) -> None:
    (tmp_path / "backups" / "7").mkdir(parents=True)
    for name in ("#RESTART#0#", "#out#0#", "#RESTART#1#", "#notes#", "RESTART"):
        (tmp_path / name).write_text(name)
    assert move_renamed(tmp_path) == [tmp_path / "backups/8", tmp_path / "backups/9"]
    assert (tmp_path / "backups/8/out").read_text() == "#out#0#"
    assert (tmp_path / "backups/8/RESTART").read_text() == "#RESTART#0#"
    assert (tmp_path / "backups/9/RESTART").read_text() == "#RESTART#1#"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["#notes#", "RESTART", "backups"]


def test_nothing_to_move_leaves_no_folder(tmp_path: Path) -> None:
    (tmp_path / "input.xml").write_text(make_input(OUTPUT, ffsocket("water")))
    back_up(ipi_input.read(tmp_path / "input.xml"), ())
    assert move_renamed(tmp_path) == []
    assert [path.name for path in tmp_path.iterdir()] == ["input.xml"]


def test_a_file_that_cannot_be_moved_is_named(
    ipi: IpiInput, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*paths: Path) -> None:
        raise PermissionError(13, os.strerror(13))

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(
        LaunchError, match=r"simulation\.out of an earlier run cannot be moved into"
    ):
        back_up(ipi, ())
