"""Trajectories of beads become arrays, or come frame by frame."""

from __future__ import annotations

import logging
import time
from pathlib import Path

import numpy as np
import pytest

from mlobs_client.errors import RecordError
from mlobs_client.ipi import iterate_beads, open_trajectory, read_beads

HEAD = (
    "{n}\n# CELL(abcABC):   10.00000    11.00000    12.00000    90.00000    90.00000    90.00000"
    "  Step: {step:11d}  Bead: {bead:7d} {quantity}{{atomic_unit}}  cell{{atomic_unit}}\n"
)


def frame(step: int, bead: int = 0, quantity: str = "positions", n_atoms: int = 2) -> str:
    lines = [f"       H {step:12.5e} {bead:12.5e} {i:12.5e}\n" for i in range(n_atoms)]
    return HEAD.format(n=n_atoms, step=step, bead=bead, quantity=quantity) + "".join(lines)


def write(path: Path, steps: list[int], bead: int = 0, quantity: str = "positions") -> Path:
    path.write_text("".join(frame(step, bead, quantity) for step in steps))
    return path


def test_a_trajectory_is_read_whole_or_frame_by_frame(tmp_path: Path) -> None:
    reader = open_trajectory(write(tmp_path / "a.xyz", [0, 5, 10]))
    whole = reader.read_all()
    assert whole.steps.tolist() == [0, 5, 10]
    assert whole.values.shape == (3, 2, 3)
    assert whole.values[:, 0, 0].tolist() == [0, 5, 10]
    for s, one in enumerate(reader):
        assert (one.step, one.quantity) == (whole.steps[s], "positions")
        np.testing.assert_array_equal(one.structure.positions, whole.values[s])
        np.testing.assert_allclose(one.structure.cell, np.diag([10, 11, 12]), atol=1e-13)


def test_labels_stay_as_they_are_written(tmp_path: Path) -> None:
    path = write(tmp_path / "a_0.xyz", [0, 5])
    path.write_text(path.read_text().replace("       H", "       D"))
    one, *_ = iterate_beads(tmp_path / "a")
    assert one.labels == ("D", "D")
    assert read_beads(tmp_path / "a").labels == ("D", "D")
    assert one.structure.numbers.tolist() == [1, 1]  # a model knows the element only


def test_a_continued_trajectory_has_every_step_once(tmp_path: Path) -> None:
    first = write(tmp_path / "a.xyz", [0, 5, 10, 15])
    second = write(tmp_path / "b.xyz", [5, 10], bead=1)
    second.write_text(second.read_text().replace("Bead:       1", "Bead:       0"))
    trajectory = open_trajectory(first, second).read_all()
    assert trajectory.steps.tolist() == [0, 5, 10]
    assert trajectory.values[:, 0, 1].tolist() == [0, 1, 1]  # from the second file


def test_the_images_of_a_path_in_one_file_are_all_there(tmp_path: Path, caplog) -> None:
    path = tmp_path / "neb.xyz"
    path.write_text("".join(frame(7, bead) for bead in range(16)))
    with caplog.at_level(logging.WARNING):
        images = list(open_trajectory(path))
    assert [image.values[0, 1] for image in images] == list(range(16))
    assert [(image.step, image.bead) for image in images] == [(7, bead) for bead in range(16)]
    path.write_text(frame(7, 3) * 5)  # whoever joined these files left the numbers of the beads
    assert len(open_trajectory(path)) == 5
    assert not caplog.text


def test_beads_that_were_joined_in_one_file_come_step_by_step(tmp_path: Path, caplog) -> None:
    beads = range(4)
    runs = [write(tmp_path / f"{bead}", [0, 5, 10, 5, 10], bead).read_text() for bead in beads]
    (tmp_path / "cat.xyz").write_text("".join(runs))
    with caplog.at_level(logging.WARNING):
        reader = open_trajectory(tmp_path / "cat.xyz")
    assert [(f.step, f.bead, f.values[0, 1]) for f in reader] == [
        (step, bead, bead) for step in (0, 5, 10) for bead in beads
    ]
    assert caplog.text.count("cat.xyz: 2 frames replaced") == 4  # 5 and 10 of each bead


def test_a_history_has_one_frame_at_each_step(tmp_path: Path) -> None:
    for bead in (0, 1):
        joined = tmp_path / f"run.pos_{bead}.xyz"
        joined.write_text("".join(frame(5, image) for image in range(3)))
    with pytest.raises(RecordError, match=r"pos_0\.xyz: has 3 frames of step 5.*single beads"):
        read_beads(tmp_path / "run.pos")


def test_beads_come_as_step_and_bead(tmp_path: Path, caplog) -> None:
    for bead, steps in ((0, [0, 5, 10]), (1, [0, 5]), (2, [0, 5, 10])):  # killed within step 10
        write(tmp_path / f"run.pos_{bead}.xyz", steps, bead)
    with caplog.at_level(logging.WARNING):
        whole = read_beads(tmp_path / "run.pos")
    assert "1 steps that not all beads have" in caplog.text
    assert whole.steps.tolist() == [0, 5]
    assert whole.values.shape == (2, 3, 2, 3)
    assert whole.values[1, :, 0, 1].tolist() == [0, 1, 2]
    one_by_one = [(f.step, f.bead, f.values[0, 1]) for f in iterate_beads(tmp_path / "run.pos")]
    assert one_by_one == [(s, b, b) for s in (0, 5) for b in (0, 1, 2)]


def test_frames_of_velocities_are_no_structures(tmp_path: Path) -> None:
    (only,) = open_trajectory(write(tmp_path / "a.xyz", [0], quantity="velocities"))
    assert only.quantity == "velocities"
    with pytest.raises(RecordError, match="a frame of velocities has no positions"):
        _ = only.structure


@pytest.mark.parametrize("label", ["O", "D"])
def test_species_that_change_places_are_refused_with_their_frame(
    tmp_path: Path, label: str
) -> None:
    path = write(tmp_path / "run.pos_0.xyz", [0, 5])
    path.write_text(frame(0) + "".join(frame(5).rsplit("       H", 1)[:1]) + f" {label} 0 0 0\n")
    with pytest.raises(RecordError, match=f"pos_0.xyz:6: atom 2 of 2 is {label}, but H"):
        open_trajectory(path).read_all()
    write(tmp_path / "run.pos_1.xyz", [0], bead=1)
    path.write_text(frame(0).replace("       H", f" {label}", 1))
    with pytest.raises(RecordError, match=f"bead 1: atom 1 of 2 is H, but {label} in the first"):
        read_beads(tmp_path / "run.pos")


def test_pieces_with_other_atoms_are_refused(tmp_path: Path) -> None:
    first = write(tmp_path / "a.xyz", [0, 5])
    (tmp_path / "b.xyz").write_text(frame(10, n_atoms=3))
    with pytest.raises(RecordError, match=r"b\.xyz:2: 3 atoms, but 2 in the first frame"):
        open_trajectory(first, tmp_path / "b.xyz").read_all()


def test_frames_without_step_are_counted(tmp_path: Path) -> None:
    (tmp_path / "a.xyz").write_text("1\npositions{angstrom}\nH 0 0 0\n" * 3)
    reader = open_trajectory(tmp_path / "a.xyz")
    assert [one.step for one in reader] == [0, 1, 2]
    assert next(iter(reader)).structure.pbc == (False, False, False)


def test_files_without_a_frame_or_a_common_step_are_refused(tmp_path: Path) -> None:
    (tmp_path / "cut.xyz").write_text(frame(0)[:-5])
    with pytest.raises(RecordError, match=r"cut\.xyz: has no complete frame"):
        open_trajectory(tmp_path / "cut.xyz")
    for bead in (0, 1):
        write(tmp_path / f"run.pos_{bead}.xyz", [bead])
    with pytest.raises(RecordError, match="no step in common"):
        read_beads(tmp_path / "run.pos")


def test_ten_thousand_frames_of_48_atoms_are_read_in_seconds(tmp_path: Path) -> None:
    path = tmp_path / "long.xyz"
    path.write_text("".join(frame(step, n_atoms=48) for step in range(10_000)))
    begin = time.process_time()
    trajectory = open_trajectory(path).read_all()
    assert trajectory.values.shape == (10_000, 48, 3)
    assert time.process_time() - begin < 15.0  # 1.5 s on an idle machine; i-PI's reader takes 30
