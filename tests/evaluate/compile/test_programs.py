"""Programs of a larger size than asked for; here the traced graphs play the compiled ones."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from uncompiled import KINDS, reference

from mlobs_client.evaluate.atomic import AtomicNetwork, Inputs
from mlobs_client.evaluate.compile.programs import Contributions, Program, differing
from mlobs_client.evaluate.compile.store import Size
from mlobs_client.evaluate.compile.trace import trace

SIZE = Size(n_atoms=14, n_edges=400)


class Graph:
    """A traced graph with the interface of a compiled one."""

    def __init__(self, graph: torch.fx.GraphModule) -> None:
        self._graph = graph

    def run(self, arguments: list[torch.Tensor]) -> list[torch.Tensor]:
        return list(self._graph(*arguments))


def program(networks: list[AtomicNetwork], stacked: bool) -> Program:
    names = differing(networks)
    own = [[network.state_dict()[name] for name in names] for network in networks]
    if stacked:
        own = [[torch.stack(tensors) for tensors in zip(*own, strict=True)]]
    example = Inputs(
        torch.ones((SIZE.n_edges, 3), dtype=torch.float64),
        torch.ones((SIZE.n_atoms, 2), dtype=torch.float64),
        torch.zeros((2, SIZE.n_edges), dtype=torch.int64),
    )
    graphs = trace(networks[0], dict(zip(names, own[0], strict=True)), example, stacked)
    return Program(*(Graph(graph) for graph in graphs), own, stacked)


@pytest.mark.parametrize("stacked", [False, True], ids=["loop", "stacked"])
@pytest.mark.parametrize("kind", KINDS)
def test_padding_changes_no_number(kind, stacked, committee, inputs) -> None:
    networks = committee(kind, 3)
    found = Contributions(program(networks, stacked), SIZE, inputs())
    weights = torch.from_numpy(np.random.default_rng(0).normal(size=found.values.shape))
    expected = reference(networks, inputs(), weights)
    np.testing.assert_allclose(found.values, expected[0], atol=1e-13)
    np.testing.assert_allclose(found.pull_back(weights), expected[1], atol=1e-13)
    # the way back can be gone again, for another member
    weights[1:] = 0.0
    expected = reference(networks, inputs(), weights)
    np.testing.assert_allclose(found.pull_back(weights), expected[1], atol=1e-13)


def test_a_program_full_of_edges_needs_no_padding(committee, inputs) -> None:
    networks = committee("potential")
    given = inputs()
    repeats = -(-SIZE.n_edges // len(given.vectors))
    full = given._replace(
        vectors=given.vectors.repeat(repeats, 1)[: SIZE.n_edges],
        edges=given.edges.repeat(1, repeats)[:, : SIZE.n_edges],
    )
    found = Contributions(program(networks, True), SIZE, full)
    weights = torch.ones_like(found.values)
    np.testing.assert_allclose(found.values, reference(networks, full, weights)[0], atol=1e-12)


def test_a_single_network_has_all_its_parameters_as_arguments(committee) -> None:
    (network,) = committee("potential", 1)
    parameters = {name for name, _ in network.named_parameters()}
    assert parameters <= set(differing([network]))


def test_members_differ_in_what_was_trained(committee) -> None:
    names = differing(committee("potential", 2))
    assert any("avg_num_neighbors" in name for name in names)
    assert not any("atomic_numbers" in name or "r_max" in name for name in names)
