"""Neighbour lists that are kept: found again, and dropped once they are out of date.

That they are complete is tested by the graphs made of them, in test_graph.py.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mlobs_client.evaluate.neighbours import Batch, NeighbourList, NeighbourLists
from mlobs_client.structure import Structure


def random_structure(rng: np.random.Generator) -> Structure:
    cell = 9.0 * (np.eye(3) + 0.2 * rng.normal(size=(3, 3)))
    return Structure(np.full(7, 8), 9.0 * rng.normal(size=(7, 3)), cell)


def walk(beads: list[Structure], rng: np.random.Generator, size: float) -> list[Structure]:
    return [
        replace(bead, positions=bead.positions + size * rng.normal(size=bead.positions.shape))
        for bead in beads
    ]


def test_a_long_trajectory_leaves_no_heap_of_old_lists() -> None:
    rng = np.random.default_rng(0)
    beads = [random_structure(rng)]
    lists = NeighbourLists(6.0, 6.5, capacity=128)
    for _ in range(500):
        beads = walk(beads, rng, 0.02)
        lists(Batch.of(beads))
    assert lists.n_built > 10
    assert len(lists._of_one) <= 3


def test_beads_that_come_one_by_one_are_found_within_a_few_looks(monkeypatch) -> None:
    rng = np.random.default_rng(1)
    beads = [random_structure(rng) for _ in range(8)]
    lists = NeighbourLists(6.0, 6.5, capacity=128)
    for _ in range(100):
        beads = walk(beads, rng, 0.02)
        for bead in beads:
            lists(Batch.of([bead]))
    looks = []
    look = NeighbourList.is_complete_for
    monkeypatch.setattr(NeighbourList, "is_complete_for", lambda *a: looks.append(1) or look(*a))
    n_built = lists.n_built
    for _ in range(4):
        for bead in beads:  # at rest
            lists(Batch.of([bead]))
    assert lists.n_built == n_built
    assert len(looks) <= 4 * 8 * 3  # an old one or two for each bead


def test_a_batch_is_looked_up_as_a_whole_and_renews_the_lists_of_those_that_moved() -> None:
    rng = np.random.default_rng(2)
    beads = [random_structure(rng) for _ in range(5)]
    lists = NeighbourLists(6.0, 7.0, capacity=128)
    first = lists(Batch.of(beads))
    assert lists.n_built == 5
    assert lists(Batch.of(walk(beads, rng, 0.01))) is first
    moved = [*walk(beads[:1], rng, 2.0), *beads[1:]]
    assert lists(Batch.of(moved)) is not first
    assert lists.n_built == 6


@pytest.mark.parametrize("n_together", [1, 2, 9])
def test_more_beads_than_lists_make_room_for_themselves(n_together) -> None:
    rng = np.random.default_rng(4)
    beads = [random_structure(rng) for _ in range(36)]
    batches = [Batch.of(beads[k : k + n_together]) for k in range(0, 36, n_together)]
    lists = NeighbourLists(6.0, 6.5, capacity=4)
    for _ in range(12):
        first = [lists(batch) for batch in batches]
    n_built = lists.n_built
    assert [lists(batch) for batch in batches] == first
    assert lists.n_built == n_built


def test_structures_that_never_come_back_take_no_more_room_than_was_given() -> None:
    rng = np.random.default_rng(3)
    lists = NeighbourLists(6.0, 6.5, capacity=4)
    for _ in range(40):
        lists(Batch.of([random_structure(rng)]))
    assert lists.n_built == 40
    assert len(lists._of_one) == 4
