"""The demo keeps its promise of 8 minutes, whatever time its steps take."""

from __future__ import annotations

import pytest

from mlobs_client.studies.demo_plan import (
    CLASSICAL_SPECTRA,
    FIRST_LIMIT,
    LIMIT,
    OF_KINDS,
    PARTS,
    QUANTUM_SPECTRA,
    RUNS,
    USED,
    Cost,
    Kind,
    Plan,
    plan,
    scaled,
)

STEPS = {
    Kind(4, "float32", is_in_field=False): 0.12,
    Kind(4, "float32", is_in_field=True): 0.2,
    Kind(1, "float64", is_in_field=False): 0.08,
    Kind(1, "float64", is_in_field=True): 0.12,
}
"""Seconds per step of each kind of run on two quiet cores."""


def planned(slowness: float) -> Plan:
    costs = {kind: Cost(8.0 * slowness, step * slowness) for kind, step in STEPS.items()}
    return plan(costs, spent=20.0 * slowness)


def by_name(found: Plan) -> dict[str, int]:
    return {run.name: n_steps for run, n_steps in found.n_steps.items()}


def test_one_run_of_each_kind_is_measured() -> None:
    assert {run.kind for run in OF_KINDS} == {run.kind for run in RUNS} == set(STEPS)
    assert len(OF_KINDS) == len(STEPS)


def test_fast_cores_make_all_runs_of_whole_length() -> None:
    found = planned(1.0)
    assert found.n_steps == scaled(1.0)
    assert found.parts == PARTS
    assert found.left_out == ()
    spent, start, drawing = 20.0, 8.0, 8.0
    first = start + 400 * 0.12
    nve = start + 2040 * 0.08
    trpmd_field = start + 160 * 0.2
    nve_field = start + 160 * 0.12
    # meanwhile, the other core has trpmd, one trpmd_field and one nve_field, which end earlier
    last = spent + first + nve + 2 * trpmd_field + nve_field
    assert found.seconds == pytest.approx(last + drawing)
    assert found.first == pytest.approx(spent + first + drawing / 2)


def test_cores_half_as_fast_shorten_all_runs_and_leave_nothing_out() -> None:
    found = planned(2.0)
    assert by_name(found) == {
        "trpmd": 1080,
        "nve-field-0.1": 100,
        "nve": 1080,
        **dict.fromkeys(("trpmd-field-0.05", "trpmd-field-0.1", "trpmd-field-0.15"), 64),
        **dict.fromkeys(("nve-field-0.05", "nve-field-0.15"), 64),
    }
    assert found.left_out == ()
    assert found.seconds == pytest.approx(404.16)
    assert found.first == pytest.approx(40.0 + 16.0 + 100 * 0.24 + 8.0)


def test_cores_a_quarter_as_fast_leave_out_the_spectra_which_need_the_longest_runs() -> None:
    found = planned(4.0)
    assert found.left_out == (CLASSICAL_SPECTRA, QUANTUM_SPECTRA)
    assert by_name(found) == {
        "trpmd": 60,
        "nve-field-0.1": 80,
        "nve": 84,
        **dict.fromkeys(("trpmd-field-0.05", "trpmd-field-0.1", "trpmd-field-0.15"), 60),
        **dict.fromkeys(("nve-field-0.05", "nve-field-0.15"), 60),
    }
    assert found.seconds == pytest.approx(403.2)
    assert found.first == pytest.approx(80.0 + 32.0 + 80 * 0.48 + 16.0)


@pytest.mark.parametrize("slowness", [0.1, 1.0, 1.5, 2.0, 3.0, 4.0])
def test_the_promise_holds_with_a_reserve_and_no_part_is_shorter_than_its_least(
    slowness: float,
) -> None:
    found = planned(slowness)
    assert found.seconds <= USED * LIMIT == 408.0
    assert found.first <= FIRST_LIMIT
    assert {*found.parts, *found.left_out} == {*PARTS}
    for part in found.parts:
        assert part.has_enough(found.n_steps)
        assert all(found.n_steps[run] <= scaled(1.0)[run] for run in part.runs)


def test_the_conserved_energy_is_never_left_out_and_the_promise_says_how_long_it_takes() -> None:
    found = planned(20.0)
    assert by_name(found) == {"nve-field-0.1": 80, "nve": 80}
    assert found.parts == PARTS[:1]
    assert found.seconds == pytest.approx(400.0 + 160.0 + 80 * 2.4 + 160.0)


def test_with_one_run_at_a_time_the_runs_are_shorter() -> None:
    costs = {kind: Cost(8.0, step) for kind, step in STEPS.items()}
    one, two = plan(costs, 20.0, at_once=1), plan(costs, 20.0, at_once=2)
    assert one.seconds <= USED * LIMIT
    assert sum(one.n_steps.values()) < sum(two.n_steps.values())
