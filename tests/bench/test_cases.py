"""Which cases are measured, and which of them is recommended."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlobs_client.bench.cases import (
    LARGEST,
    Case,
    Timing,
    batch_sizes,
    best,
    count_programs,
    divisions,
    single_clients,
)

DOUBLE = Case("float64", batch=4, threads=1, clients=1, share=8)
SINGLE = replace(DOUBLE, dtype="float32")
counts = st.integers(1, 70)


@pytest.mark.parametrize(
    ("beads", "sizes"), [(1, [1]), (8, [1, 2, 4, 8]), (7, [1, 2, 4, 7]), (12, [1, 2, 3, 6, 12])]
)
def test_batches_are_all_beads_or_half_as_many_down_to_one(beads: int, sizes: list[int]) -> None:
    assert batch_sizes(beads, beads) == sizes


def test_batches_far_beyond_the_estimate_are_left_out() -> None:
    assert batch_sizes(32, 1) == [size for size in (1, 2, 4, 8, 16, 32) if size <= LARGEST]


def test_one_client_is_measured_in_both_precisions_with_every_batch() -> None:
    cases = single_clients(8, [1, 8])
    assert [(case.dtype, case.batch) for case in cases] == [
        ("float64", 1), ("float64", 8), ("float32", 1), ("float32", 8),
    ]  # fmt: skip
    assert {(case.threads, case.clients, case.share) for case in cases} == {(1, 1, 8)}


@given(counts, counts)
def test_no_case_uses_more_cores_than_there_are(beads: int, cores: int) -> None:
    cases = divisions(replace(DOUBLE, share=beads), cores)
    assert all(1 < case.threads * case.clients <= cores for case in cases)


@given(counts, counts)
def test_all_beads_are_served_and_every_client_has_some(beads: int, cores: int) -> None:
    for case in divisions(replace(DOUBLE, share=beads), cores):
        assert (case.clients - 1) * case.share < beads <= case.clients * case.share
        assert case.batch <= case.share


@given(counts, counts)
def test_no_case_is_measured_twice(beads: int, cores: int) -> None:
    cases = [DOUBLE, *divisions(DOUBLE, cores)]
    assert len(set(cases)) == len(cases)


def test_one_structure_per_step_is_for_one_client_with_several_threads() -> None:
    cases = divisions(replace(DOUBLE, share=1), 8)
    assert {case.clients for case in cases} == {1}
    assert [case.threads for case in cases] == [2, 4, 8]


def test_clients_with_several_threads_fill_the_cores() -> None:
    found = {(case.clients, case.threads) for case in divisions(DOUBLE, 8)}
    assert found == {(2, 1), (4, 1), (8, 1), (1, 2), (4, 2), (1, 4), (2, 4), (1, 8)}


def test_cores_that_are_no_power_of_two_are_all_used() -> None:
    cases = divisions(replace(DOUBLE, share=12), 6)
    assert max(case.clients for case in cases) == 6


def test_compilations_are_those_of_the_dearest_outcome_each_counted_once() -> None:
    singles = single_clients(8, [1, 2, 4, 8])
    # two precisions of four batch sizes; several clients with one thread need no others
    assert count_programs(singles, cores=1) == 2 * 4
    # besides, if 8 is best: two threads for 8, and for 4 in each of two clients; four threads for 8
    assert count_programs(singles, cores=4) == 2 * (4 + 3)


def test_the_fastest_is_recommended() -> None:
    slow, fast = Timing(DOUBLE, 0.2), Timing(SINGLE, 0.1)
    assert best([slow, fast]) is fast


@pytest.mark.parametrize(
    "better",
    [
        DOUBLE,
        replace(SINGLE, clients=1, threads=4),
        replace(SINGLE, clients=2, threads=1, batch=8),
        replace(SINGLE, clients=2, threads=2, batch=2),
    ],
)
def test_ties_favour_float64_then_fewer_clients_fewer_threads_and_smaller_batches(
    better: Case,
) -> None:
    other = replace(SINGLE, clients=2, threads=2)
    tied = [Timing(other, 0.1), Timing(better, 0.102)]
    assert best(tied).case == better


def test_half_a_femtosecond_in_43_2_ms_is_a_nanosecond_per_day() -> None:
    # 86400 s / 43.2 ms = 2e6 steps
    assert Timing(DOUBLE, 43.2e-3).ns_per_day(0.5) == pytest.approx(1.0)


def test_a_case_is_named_by_what_makes_it() -> None:
    case = replace(SINGLE, batch=2, clients=2)
    assert str(case) == "float32, batch 2, 1 thread, 2 clients"
