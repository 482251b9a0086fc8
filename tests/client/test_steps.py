"""The steps of i-PI, counted from what it asks."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlobs_client.client.steps import StepCounter

N_BEADS = st.integers(1, 9)
FIRST = st.integers(0, 1000)


@st.composite
def torn(draw: st.DrawFn, n_beads: int) -> list[int]:
    """One step: how many structures each of its requests carries."""
    pieces, left = [], n_beads
    while left:
        pieces.append(draw(st.integers(1, left)))
        left -= pieces[-1]
    return pieces


def count_whole_steps(n_beads: int, first: int, n_steps: int) -> list[frozenset[int] | None]:
    counter = StepCounter(first)
    return [counter.advance(n_beads, n_beads) for _ in range(n_steps)]


@given(n_beads=N_BEADS, first=FIRST)
def test_requests_of_whole_steps_are_counted_one_by_one(n_beads: int, first: int) -> None:
    assert count_whole_steps(n_beads, first, 5) == [{first + k} for k in range(5)]


@given(n_beads=N_BEADS)
def test_equal_beads_at_the_start_are_a_whole_step(n_beads: int) -> None:
    counter = StepCounter(0)
    assert counter.advance(1, n_beads) == {0}
    assert [counter.advance(n_beads, n_beads) for _ in range(3)] == [{1}, {2}, {3}]


@given(data=st.data(), n_beads=N_BEADS, first=st.integers(1, 1000))
def test_after_a_restart_every_request_belongs_to_one_step(
    data: st.DataObject, n_beads: int, first: int
) -> None:
    counter = StepCounter(first)
    for k in range(8):
        for n in data.draw(torn(n_beads)):
            assert counter.advance(n, n_beads) == {first + k}


@given(data=st.data(), n_beads=N_BEADS, n_equal=st.integers(0, 2))
def test_the_true_step_is_never_excluded(data: st.DataObject, n_beads: int, n_equal: int) -> None:
    """However i-PI tears the steps, also those of equal beads with which a run may start."""
    counter = StepCounter(0)
    for k in range(8):
        for i, n in enumerate(data.draw(torn(n_beads))):
            equal = k < n_equal and n_beads > 1
            possible = counter.advance(1 if equal else n, n_beads, repeats=equal and i > 0)
            assert possible is not None
            assert k in possible


@given(data=st.data(), n_beads=st.integers(2, 9), n_torn=st.integers(0, 6))
def test_a_whole_step_of_different_beads_ends_every_doubt(
    data: st.DataObject, n_beads: int, n_torn: int
) -> None:
    counter = StepCounter(0)
    counter.advance(n_beads, n_beads)
    for k in range(1, n_torn + 1):
        for n in data.draw(torn(n_beads)):
            assert counter.advance(n, n_beads) == {k}
    assert counter.advance(n_beads, n_beads) == {n_torn + 1}


@given(data=st.data(), n_beads=st.integers(2, 9))
def test_equal_beads_at_the_start_are_one_step_in_any_number_of_pieces(
    data: st.DataObject, n_beads: int
) -> None:
    counter = StepCounter(0)
    for i, _ in enumerate(data.draw(torn(n_beads))):
        assert counter.advance(1, n_beads, repeats=i > 0) == {0}
    assert counter.advance(n_beads, n_beads) == {1}


def test_a_first_step_of_different_beads_that_is_torn_behind_the_first_is_found_out() -> None:
    counter = StepCounter(0)
    found = [counter.advance(n, 4) for n in (1, 3, 4, 4)]
    assert found == [{0}, {0, 1}, {1}, {2}]


def test_an_unknown_first_step_stays_unknown() -> None:
    counter = StepCounter(None)
    assert [counter.advance(4, 4) for _ in range(3)] == [None, None, None]


def test_what_cannot_be_ends_the_count_with_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    counter = StepCounter(0)
    with caplog.at_level(logging.WARNING):
        assert counter.advance(3, 4) == {0}
        assert counter.advance(3, 4) is None  # only one is left of this step
        assert counter.advance(4, 4) is None
    assert len(caplog.messages) == 1
    assert "another client" in caplog.text


def test_structures_that_never_move_end_the_count() -> None:
    counter = StepCounter(0)
    possible = [counter.advance(1, 4, repeats=k > 0) for k in range(6)]
    assert possible[0] == {0}
    assert possible[-1] is None


def test_single_structures_may_rest() -> None:
    counter = StepCounter(3)
    assert [counter.advance(1, 1, repeats=k > 0) for k in range(4)] == [{3}, {4}, {5}, {6}]


def test_doubt_without_end_is_given_up() -> None:
    counter = StepCounter(0)
    assert [counter.advance(1, 4) for _ in range(2000)][-1] is None
