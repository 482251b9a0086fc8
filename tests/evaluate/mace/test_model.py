"""A model gives the same values, forces and virials through programs and through its networks."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
import torch
from uncompiled import KINDS, sums, traced_program

from mlobs_client.evaluate.compile.background import Background
from mlobs_client.evaluate.compile.networks import CompilationState
from mlobs_client.evaluate.compile.store import ProgramSize
from mlobs_client.evaluate.graph import GraphBuilder
from mlobs_client.evaluate.mace import evaluator as mace
from mlobs_client.evaluate.mace.model import CompiledModel
from mlobs_client.evaluate.networks.atomic import AtomicNetwork
from mlobs_client.evaluate.networks.plain import PlainModel

SIZE = ProgramSize(n_structures=3, n_atoms=14, n_pairs=900, n_edges=600)


@pytest.mark.parametrize(
    ("kind", "unit"), [("dipole", 0.7), ("potential and dipole", [0.7, 0.6, 0.5, 0.4])]
)
def test_programs_give_values_forces_and_virials_of_the_networks(
    network, water, kind, unit, monkeypatch
) -> None:
    members = [AtomicNetwork(network(kind, seed), KINDS[kind]) for seed in range(2)]
    program = traced_program(members, SIZE, stacked=False)
    model, plain = CompiledModel(members, unit, Background(math.inf)), PlainModel(members, unit)
    # the list reaches further than the networks: its last edges are not theirs
    build = GraphBuilder(model.cutoff + 0.5)
    structures = [water(2, seed=1), water(1, seed=2, length=5.0)]
    expected = plain(build(structures))
    monkeypatch.setattr(model, "_compiled", partial(sums, program, members, SIZE))
    found = model(build(structures))
    assert not isinstance(found, type(expected))
    np.testing.assert_allclose(found.values, expected.values.detach(), atol=1e-13)
    random = np.random.default_rng(0)
    weights = torch.from_numpy(random.normal(size=expected.values.shape))
    for one, other in zip(found.pull_back(weights), expected.pull_back(weights), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-13)


def test_networks_with_learned_charges_are_not_compiled(network, water) -> None:
    setting = mace.Setting(background=Background(0.0))
    evaluator = mace.MaceEvaluator(
        dipole=mace.dipole({"it": network("dielectric")}, setting=setting)
    )
    evaluator([water(1, seed=3, pbc=(False, False, False))], frozenset({"dipole"}))
    assert evaluator.compilation == {CompilationState.NONE}
