"""Programs of a larger size than asked for; here the traced graphs play the compiled ones."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from uncompiled import KINDS, reference, sums, traced_program

from mlobs_client.evaluate.compile.programs import differing
from mlobs_client.evaluate.compile.store import ProgramSize

SIZE = ProgramSize(n_structures=4, n_atoms=14, n_pairs=900, n_edges=400)
SMALL = {"correlation": 1, "num_interactions": 1}
"""The smaller a network, the sooner it is traced; one kind is traced as it is."""


@pytest.mark.parametrize(
    ("kind", "stacked"),
    [*((kind, False) for kind in KINDS), ("dipole", True), ("unscaled potential", True)],
)
def test_padding_changes_no_number(kind, stacked, committee, graph) -> None:
    networks = committee(kind, 2, **({} if kind == "potential and dipole" else SMALL))
    program = traced_program(networks, SIZE, stacked)
    found = sums(program, networks, SIZE, graph())
    weights = torch.from_numpy(np.random.default_rng(0).normal(size=found.values.shape))
    # the way back can be gone again, for another member
    for kept in (slice(0), slice(1, None)):
        weights[:, kept] = 0.0
        expected = reference(networks, graph(), weights)
        for one, other in zip([found.values, *found.pull_back(weights)], expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)


def test_the_number_of_edges_and_the_closest_atoms_are_said(committee, graph) -> None:
    networks = committee("potential", **SMALL)
    given = graph()
    near = given.within(networks[0].cutoff)
    size = ProgramSize(
        3, len(given.positions) + 1, len(given.neighbours.images) + 1, len(near.vectors)
    )
    found = sums(traced_program(networks, size, True), networks, size, given)
    assert found.n_edges == len(near.vectors) < len(given.vectors)
    assert found.closest == pytest.approx(float(given.vectors.norm(dim=1).min()), rel=1e-12)
    weights = torch.ones_like(found.values)
    np.testing.assert_allclose(found.values, reference(networks, given, weights)[0], rtol=1e-13)


def test_more_edges_than_there_is_room_for_are_counted(committee, graph) -> None:
    networks = committee("potential", **SMALL)
    size = ProgramSize(3, 10, 900, 64)
    found = sums(traced_program(networks, size, True), networks, size, graph())
    assert found.n_edges == len(graph().within(networks[0].cutoff).vectors) > 64


def test_a_single_network_has_all_its_parameters_as_arguments(committee) -> None:
    (network,) = committee("potential", 1)
    parameters = {name for name, _ in network.named_parameters()}
    assert parameters <= set(differing([network]))


def test_members_differ_in_what_was_trained(committee) -> None:
    names = differing(committee("potential", 2))
    assert any("avg_num_neighbors" in name for name in names)
    assert not any("atomic_numbers" in name or "r_max" in name for name in names)
