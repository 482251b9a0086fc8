"""What is due at a step."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mlobs_client.client.schedule import Schedule

STRIDES = st.dictionaries(st.sampled_from("abcd"), st.integers(1, 12))
STEPS = st.frozensets(st.integers(0, 500), min_size=1, max_size=4)


def test_an_observable_is_due_at_step_zero_and_at_multiples_of_its_stride() -> None:
    schedule = Schedule({"dipole": 1, "polarizability": 10, "born_charges": 50})
    assert schedule.due({0}) == {"dipole", "polarizability", "born_charges"}
    assert schedule.due({7}) == {"dipole"}
    assert schedule.due({20}) == {"dipole", "polarizability"}


@given(strides=STRIDES)
def test_everything_is_due_at_a_step_that_is_not_known(strides: dict[str, int]) -> None:
    assert Schedule(strides).due(None) == set(strides)


@given(strides=STRIDES, steps=STEPS)
def test_what_is_due_at_one_of_the_possible_steps_is_due(
    strides: dict[str, int], steps: frozenset[int]
) -> None:
    schedule = Schedule(strides)
    assert schedule.due(steps) == frozenset().union(*(schedule.due({step}) for step in steps))


def test_strides_of_one_do_not_depend_on_the_step() -> None:
    assert not Schedule({"dipole": 1}).depends_on_step
    assert Schedule({"dipole": 1, "polarizability": 2}).depends_on_step
