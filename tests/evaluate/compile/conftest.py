"""Committees of untrained networks, and structures for them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from uncompiled import KINDS

from mlobs_client.evaluate.graph import Graph, GraphBuilder
from mlobs_client.evaluate.networks.atomic import AtomicNetwork
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
def graph(water) -> Callable[..., Graph]:
    """Two structures, with a list that reaches further than the networks."""
    build = GraphBuilder(4.0 * ANGSTROM)

    def get(seed: int = 0) -> Graph:
        return build([water(2, seed=seed), water(1, seed=seed + 100, length=5.0)])

    return get
