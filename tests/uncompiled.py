"""What compiled networks are compared with, and what stands for them where compiling is long."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from mace.tools.torch_tools import default_dtype

from mlobs_client.evaluate.compile import worker
from mlobs_client.evaluate.compile.geometry import Padding
from mlobs_client.evaluate.compile.programs import Program, Sums, differing
from mlobs_client.evaluate.compile.store import ProgramSize, Request
from mlobs_client.evaluate.compile.trace import trace
from mlobs_client.evaluate.derivatives import Recorded
from mlobs_client.evaluate.graph import Graph
from mlobs_client.evaluate.networks.atomic import AtomicNetwork
from mlobs_client.evaluate.networks.plain import PlainNetworks

KINDS = {
    "potential": "energy",
    "unscaled potential": "energy",
    "dipole": "dipole",
    "potential and dipole": "energy_and_dipole",
    "dielectric": "polarizability",
}
"""Which quantity each kind of untrained network gives."""


def reference(
    networks: Sequence[AtomicNetwork], graph: Graph, weights: torch.Tensor
) -> list[np.ndarray]:
    """Sums over atoms, and derivatives of their weighted sum, by torch alone."""
    with torch.enable_grad():
        recorded = Recorded(PlainNetworks(networks)(graph), graph)
    found = [recorded.values, *recorded.pull_back(weights)]
    return [tensor.detach().numpy() for tensor in found]


class TracedGraph:
    """A traced graph with the interface of a compiled one."""

    def __init__(self, graph: torch.fx.GraphModule, dtype: torch.dtype) -> None:
        self._graph = graph
        self._dtype = dtype

    def run(self, arguments: list[torch.Tensor]) -> list[torch.Tensor]:
        with default_dtype(self._dtype):  # as when it would have been compiled
            return list(self._graph(*arguments))


def traced_program(
    networks: Sequence[AtomicNetwork],
    size: ProgramSize,
    stacked: bool,
    sample: AtomicNetwork | None = None,
) -> Program:
    """A program whose graphs were traced, and not compiled.

    Args:
        networks: the members.
        size: of the program.
        stacked: whether it evaluates them together.
        sample: which network is traced, if it is not the first member.
    """
    sample = sample or networks[0]
    names = differing(networks if sample is networks[0] else [sample, *networks])
    own = [[network.state_dict()[name] for name in names] for network in networks]
    if stacked:
        own = [[torch.stack(tensors) for tensors in zip(*own, strict=True)]]
    example = worker._example(Request(networks, size, 1))
    tensors = dict(zip(names, own[0], strict=True))
    graphs = trace(sample, tensors, example, size.n_edges, stacked)
    dtype = next(sample.parameters()).dtype
    return Program(*(TracedGraph(graph, dtype) for graph in graphs), own, stacked)


def sums(
    program: Program, networks: Sequence[AtomicNetwork], size: ProgramSize, graph: Graph
) -> Sums:
    """What the program says of a graph."""
    attributes = PlainNetworks(networks).attributes(graph.numbers)
    return Sums(program, Padding.of(graph, attributes, size), graph)
