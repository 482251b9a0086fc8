"""What happened last is what happened."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlobs_client.errors import RecordError
from mlobs_client.ipi.continuation import collect_beads, find_bead_files, find_history


@pytest.mark.parametrize(
    ("steps", "kept"),
    [
        ([], []),
        ([0, 1, 2], [0, 1, 2]),
        ([0, 1, 2, 1, 2, 3], [0, 3, 4, 5]),
        ([0, 5, 10, 15, 5], [0, 4]),  # 10 and 15 belong to a history that was given up
        ([3, 3, 3], [2]),
        ([5, 0, 7], [1, 2]),
    ],
)
def test_entries_after_a_step_that_was_done_again_are_dropped(steps, kept) -> None:
    assert find_history(np.array(steps, dtype=int), Path("a.out"), "rows").tolist() == kept


def test_how_many_entries_a_later_history_replaces_is_said(caplog) -> None:
    with caplog.at_level(logging.WARNING):
        find_history(np.array([0, 5, 10, 15, 5, 10]), Path("a.out"), "rows")
        find_history(np.array([0, 5]), Path("b.out"), "rows")
    assert caplog.messages == ["a.out: 3 rows replaced, because the run repeated them"]


@given(st.lists(st.lists(st.integers(0, 20), min_size=1, max_size=5), min_size=1, max_size=5))
def test_the_history_rises_and_ends_with_the_last_entry(runs: list[list[int]]) -> None:
    steps = np.array([step for run in runs for step in sorted(run)])
    kept = find_history(steps, Path("a.out"), "rows")
    assert kept[-1] == len(steps) - 1
    assert (np.diff(steps[kept]) > 0).all()


def test_beads_are_found_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for name in ("run.pos_10.xyz", "run.pos_02.xyz", "run.pos_x.xyz", "run.pose_1.xyz", "pos_1"):
        (tmp_path / name).touch()
    beads = find_bead_files(tmp_path / "run.pos")
    assert [(bead, path.name) for bead, path in beads.items()] == [
        (2, "run.pos_02.xyz"),
        (10, "run.pos_10.xyz"),
    ]


def test_missing_or_different_beads_are_refused(tmp_path: Path) -> None:
    for name in ("a_0.xyz", "a_1.xyz", "b_0.xyz"):
        (tmp_path / name).touch()
    with pytest.raises(RecordError, match="no files c_0, c_1"):
        find_bead_files(tmp_path / "c")
    with pytest.raises(RecordError, match=r"b: has the beads \[0\], but .*a has \[0, 1\]"):
        collect_beads((tmp_path / "a", tmp_path / "b"))


def make_beads(folder: Path, name: str, *beads: int) -> Path:
    for bead in beads:
        (folder / f"{name}_{bead}.xyz").touch()
    return folder / name


@pytest.mark.parametrize(
    ("beads", "missing"),
    [((0, 1, 3), "2 of 4"), ((1, 2, 3), "0 of 4"), ((0, 2, 3), "1 of 4"), ((0, 1, 2), "3 of 4")],
)
def test_a_mean_over_beads_without_one_of_them_is_refused(tmp_path: Path, beads, missing) -> None:
    make_beads(tmp_path, "run.pos", 0, 1, 2, 3)
    base = make_beads(tmp_path, "run.vel", *beads)
    with pytest.raises(RecordError, match=f"vel: has the beads .*, but {missing} are missing"):
        collect_beads((base,))
    for bead in set(range(4)) - set(beads):  # the remedy
        make_beads(tmp_path, "run.vel", bead)
    assert list(collect_beads((base,))) == [0, 1, 2, 3]


@pytest.mark.parametrize("beads", [(2,), (0,), (0, 2), (0, 3)])
def test_beads_that_i_pi_was_asked_for_are_read_and_said(tmp_path: Path, beads, caplog) -> None:
    make_beads(tmp_path, "run.pos", 0, 1, 2, 3)
    base = make_beads(tmp_path, "run.vel", *beads)
    with caplog.at_level(logging.WARNING):
        assert list(collect_beads((base,))) == list(beads)
    assert f"has only the beads {', '.join(map(str, beads))} of at least 4" in caplog.text


def test_two_files_of_one_bead_are_refused(tmp_path: Path) -> None:
    base = make_beads(tmp_path, "run.pos", 0)
    (tmp_path / "run.pos_00.xyz").touch()
    with pytest.raises(RecordError, match=r"pos_00\.xyz is also bead 0|pos_0\.xyz is also bead 0"):
        find_bead_files(base)
