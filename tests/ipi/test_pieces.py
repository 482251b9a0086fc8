"""Where the time step of a run was changed."""

from __future__ import annotations

import numpy as np
import pytest

from mlobs_client.ipi.pieces import Piece, find_pieces
from mlobs_client.units import FEMTOSECOND


def times_of(steps: np.ndarray, *pieces: tuple[int, float]) -> np.ndarray:
    """Times, atu, with the time step (fs) from each step on, as i-PI prints them."""
    knots = np.array([first for first, _ in pieces] + [max(int(steps[-1]), pieces[-1][0] + 1)])
    fs = np.concatenate([[0.0], np.cumsum(np.diff(knots) * [dt for _, dt in pieces])])
    exact = np.interp(steps, knots, fs) * FEMTOSECOND
    return np.array([float(f"{time:.8e}") for time in exact])


def test_a_run_with_one_time_step_is_one_piece_whatever_rows_it_has() -> None:
    steps = np.array([0, 3, 4, 100, 101, 5000])
    (piece,) = find_pieces(steps, times_of(steps, (0, 0.5)))
    assert (piece.first, piece.last) == (0, 5000)
    assert piece.timestep == pytest.approx(0.5 * FEMTOSECOND, rel=1e-8)  # nine digits


@pytest.mark.parametrize(
    "pieces",
    [
        [(0, 0.5), (400, 0.25)],
        [(0, 0.25), (10, 0.5), (990, 0.25)],
        # the middle one has the mean time step: all its rows are as far from the straight line
        [(0, 0.25), (300, 0.5), (700, 0.75)],
        [(0, 0.7), (300, 0.5), (700, 0.3)],
        [(0, 0.3), (200, 0.1), (400, 0.3), (600, 0.5), (800, 0.3)],
    ],
)
def test_pieces_lie_between_the_steps_at_which_the_time_step_changed(
    pieces: list[tuple[int, float]],
) -> None:
    steps = np.arange(0, 1001, 10)
    found = find_pieces(steps, times_of(steps, *pieces))
    ends = [first for first, _ in pieces[1:]] + [1000]
    assert [(one.first, one.last) for one in found] == [
        (first, end) for (first, _), end in zip(pieces, ends, strict=True)
    ]
    lengths = [one.timestep / FEMTOSECOND for one in found]
    assert lengths == pytest.approx([dt for _, dt in pieces], rel=1e-5)  # ten rows, nine digits


def test_a_run_that_goes_on_from_a_restart_counts_from_its_step() -> None:
    steps = np.arange(2_000_000, 2_000_100)
    (piece,) = find_pieces(steps, times_of(steps, (0, 0.5)))
    assert (piece.first, piece.last) == (2_000_000, 2_000_099)


def test_two_rows_are_one_piece() -> None:
    assert find_pieces(np.array([5, 9]), np.array([50.0, 130.0])) == [Piece(5, 9, 20.0)]


def test_a_piece_is_written_in_fs_and_steps() -> None:
    # 1 fs is 41.341 atu
    assert str(Piece(0, 400, 20.67069)) == "0.5 fs from step 0 to 400"
