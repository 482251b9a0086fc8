"""What compiled networks are compared with, and what stands for them where compiling is long."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from mlobs_client.evaluate.atomic import AtomicNetwork, Inputs
from mlobs_client.evaluate.compile.programs import Program, differing
from mlobs_client.evaluate.compile.store import Size
from mlobs_client.evaluate.compile.trace import trace

KINDS = {
    "potential": "energy",
    "unscaled potential": "energy",
    "dipole": "dipole",
    "potential and dipole": "energy_and_dipole",
    "dielectric": "polarizability",
}
"""Which quantity each kind of untrained network gives."""


def reference(
    networks: list[AtomicNetwork], inputs: Inputs, weights: torch.Tensor
) -> tuple[np.ndarray, np.ndarray]:
    """Contributions and the derivative of their weighted sum, by torch alone."""
    vectors = inputs.vectors.clone().requires_grad_()
    values = torch.stack([network(*inputs._replace(vectors=vectors)) for network in networks])
    (derivative,) = torch.autograd.grad([values], [vectors], [weights])
    return values.detach().numpy(), derivative.numpy()


class TracedGraph:
    """A traced graph with the interface of a compiled one."""

    def __init__(self, graph: torch.fx.GraphModule) -> None:
        self._graph = graph

    def run(self, arguments: list[torch.Tensor]) -> list[torch.Tensor]:
        return list(self._graph(*arguments))


def traced_program(networks: Sequence[AtomicNetwork], size: Size, stacked: bool) -> Program:
    """A program whose graphs were traced, and not compiled."""
    names = differing(networks)
    own = [[network.state_dict()[name] for name in names] for network in networks]
    if stacked:
        own = [[torch.stack(tensors) for tensors in zip(*own, strict=True)]]
    example = Inputs(
        torch.ones((size.n_edges, 3), dtype=torch.float64),
        torch.ones((size.n_atoms, 2), dtype=torch.float64),
        torch.zeros((2, size.n_edges), dtype=torch.int64),
    )
    graphs = trace(networks[0], dict(zip(names, own[0], strict=True)), example, stacked)
    return Program(*(TracedGraph(graph) for graph in graphs), own, stacked)
