"""Committees of untrained networks, and inputs for them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from uncompiled import KINDS

from mlobs_client.evaluate.atomic import AtomicNetwork, Inputs
from mlobs_client.evaluate.graph import GraphBuilder
from mlobs_client.units import ANGSTROM


@pytest.fixture
def committee(network) -> Callable[..., list[AtomicNetwork]]:
    """Networks of one build that saw different data."""

    def get(kind: str, n: int = 2, **settings: object) -> list[AtomicNetwork]:
        members = []
        for seed in range(n):
            one = network(kind, seed, **settings)
            for interaction in one.interactions:
                interaction.avg_num_neighbors = 4.0 + 0.1 * seed
            members.append(AtomicNetwork(one, KINDS[kind]))
        return members

    return get


@pytest.fixture
def inputs(water) -> Callable[..., Inputs]:
    """Two structures as atoms and edges, in the units of MACE."""

    def get(seed: int = 0, dtype: torch.dtype = torch.float64) -> Inputs:
        structures = [water(2, seed=seed), water(1, seed=seed + 100, length=5.0)]
        graph = GraphBuilder(3.5 * ANGSTROM)(structures)
        attributes = torch.stack([graph.numbers == 1, graph.numbers == 8], dim=1)
        vectors = (graph.vectors / ANGSTROM).to(dtype)
        return Inputs(vectors, attributes.to(dtype), graph.edges)

    return get
