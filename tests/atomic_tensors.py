"""An observable that the package does not know: its row, its models, and a network that learns it.

Each atom has a tensor, the sum over its neighbours at v of ``s (1 - v^2/c^2)^4 v_i (Q v)_k``, with
a matrix Q that makes it not symmetric.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from mlobs_client.evaluate.committee import Committee, CommitteeEvaluator
from mlobs_client.evaluate.derivatives import Recorded
from mlobs_client.evaluate.graph import Graph
from mlobs_client.learn.networks import Architecture, Kind
from mlobs_client.quantities import Quantity
from mlobs_client.structure import Array, Structure
from mlobs_client.units import ANGSTROM

NAME = "atomic_tensors"
ROW = Quantity(
    NAME, "bohr^3", "[I,i,k], of each atom", NAME, "atom", (3, 3),
    table=NAME, label="tensors", members="committee_atomic_tensors",
)  # fmt: skip
CUTOFF = 3.0  # angstrom
Q = ((1.0, 0.5, 0.0), (0.0, 1.0, -0.3), (0.2, 0.0, 1.0))
ALPHA = 1.7


def exact(structure: Structure, strength: float) -> Array:
    """Pair by pair, without periodic images; bohr^3 for a strength in bohr."""
    tensors = np.zeros((structure.n_atoms, 3, 3))
    for i, here in enumerate(structure.positions):
        for j, there in enumerate(structure.positions):
            v = there - here
            weight = 1.0 - v @ v / (CUTOFF * ANGSTROM) ** 2
            if i != j and weight > 0.0:
                tensors[i] += strength * weight**4 * np.outer(v, np.array(Q) @ v)
    return tensors


def tensors_of_pairs(vectors: torch.Tensor, cutoff: float) -> torch.Tensor:
    weights = (1.0 - vectors.square().sum(1) / cutoff**2) ** 4
    turned = vectors @ torch.tensor(Q, dtype=vectors.dtype).T
    return weights[:, None, None] * vectors[:, :, None] * turned[:, None, :]


@dataclass
class Model:
    """One member, with its strength in bohr."""

    strength: float
    cutoff: float = CUTOFF * ANGSTROM
    species: tuple[int, ...] = (1, 8)
    device: str = "cpu"
    n_members: int = 1

    def __call__(self, graph: Graph) -> Recorded:
        graph.vectors.requires_grad_(torch.is_grad_enabled())
        pairs = self.strength * tensors_of_pairs(graph.vectors, self.cutoff)
        total = graph.positions.new_zeros((len(graph.positions), 3, 3))
        return Recorded(total.index_add(0, graph.edges[0], pairs).unsqueeze(1), graph)


def make(strengths: Sequence[float]) -> CommitteeEvaluator:
    models = tuple(map(Model, strengths))
    return CommitteeEvaluator({NAME: Committee(models, {NAME: ALPHA})})


class Network(torch.nn.Module):
    """The same in angstrom, with a strength that is learned."""

    def __init__(self) -> None:
        super().__init__()
        self.readouts = torch.nn.ModuleList([torch.nn.Module()])
        self.readouts[0].linear = torch.nn.Linear(1, 1, bias=False)

    @property
    def strength(self) -> float:
        return float(self.readouts[0].linear.weight.detach()) * ANGSTROM

    def forward(self, batch: Mapping[str, torch.Tensor], **_: Any) -> dict[str, torch.Tensor]:
        senders, receivers = batch["edge_index"]
        positions = batch["positions"]
        pairs = tensors_of_pairs(
            positions[receivers] - positions[senders] + batch["shifts"], CUTOFF
        )
        total = positions.new_zeros((len(positions), 3, 3)).index_add(0, senders, pairs)
        return {NAME: self.readouts[0].linear(total.unsqueeze(-1)).squeeze(-1)}


def untrained(made_of: Architecture, energies: Array | None) -> Network:
    return Network()


def trained(networks: Mapping[str, Network]) -> CommitteeEvaluator:
    return make([network.strength for network in networks.values()])


KIND = Kind((NAME,), untrained, trained, rate=0.1, steps=60)
