"""A model gives the same values, forces and virials through programs and through its networks."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from uncompiled import KINDS, sums, traced_program

from mlobs_client.evaluate.compile.store import Size
from mlobs_client.evaluate.graph import GraphBuilder
from mlobs_client.evaluate.mace.model import MaceModel
from mlobs_client.evaluate.networks.atomic import AtomicNetwork

SIZE = Size(n_structures=3, n_atoms=14, n_pairs=900, n_edges=600)


@pytest.mark.parametrize(
    ("kind", "unit"), [("dipole", 0.7), ("potential and dipole", [0.7, 0.6, 0.5, 0.4])]
)
def test_programs_give_values_forces_and_virials_of_the_networks(
    network, water, kind, unit, monkeypatch
) -> None:
    members = [AtomicNetwork(network(kind, seed), KINDS[kind]) for seed in range(2)]
    program = traced_program(members, SIZE, stacked=False)
    model = MaceModel(members, unit, background=None)
    # the list reaches further than the networks: its last edges are not theirs
    build = GraphBuilder(model.cutoff + 0.5)
    structures = [water(2, seed=1), water(1, seed=2, length=5.0)]
    expected = model(build(structures))
    monkeypatch.setattr(model, "_compiled", partial(sums, program, members, SIZE))
    found = model(build(structures))
    assert not isinstance(found, type(expected))
    np.testing.assert_allclose(found.values, expected.values.detach(), atol=1e-13)
    random = np.random.default_rng(0)
    weights = torch.from_numpy(random.normal(size=expected.values.shape))
    for one, other in zip(found.pull_back(weights), expected.pull_back(weights), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-13)


def test_networks_with_learned_charges_are_not_compiled(network, water) -> None:
    from mlobs_client.evaluate.compile.background import Background
    from mlobs_client.evaluate.compile.networks import State

    charged = MaceModel([AtomicNetwork(network("dielectric"), "dipole")], 1.0, Background(0.0))
    charged(GraphBuilder(charged.cutoff)([water(1, seed=3, pbc=(False, False, False))]))
    assert charged.compilation is State.NONE
