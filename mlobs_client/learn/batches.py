"""Convert labelled structures to batches of MACE graphs, in single precision."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
import torch

from mlobs_client.evaluate.model_files import quiet_third_parties
from mlobs_client.learn.labels import LabelledStructure
from mlobs_client.structure import Array, to_atoms

with quiet_third_parties():
    from mace import data
    from mace.tools import AtomicNumberTable
    from mace.tools.torch_geometric import Batch
    from mace.tools.torch_tools import default_dtype

PRECISION: Final = torch.float32

Tensors = dict[str, torch.Tensor]


def make_graph(
    labelled: LabelledStructure,
    targets: dict[str, Array],
    species: Sequence[int],
    cutoff: float,
    dtype: torch.dtype = PRECISION,
    theory: int = 0,
) -> data.AtomicData:
    """Return neighbours, one-hot species and targets of one structure.

    Args:
        labelled: the structure.
        targets: arrays that a batch has under the names ``target_NAME``, joined along their first
            axis; their weights are ``weight_NAME``.
        species: atomic numbers of the network.
        cutoff: cutoff, angstrom.
        dtype: precision of all numbers.
        theory: number of its level of theory.
    """
    structure = labelled.structure
    atoms = to_atoms(structure.numbers, structure.positions, structure.cell, structure.pbc)
    atoms.wrap()  # far from the origin, single precision would lose digits
    with default_dtype(dtype):
        graph = data.AtomicData.from_config(
            data.config_from_atoms(atoms), z_table=AtomicNumberTable(list(species)), cutoff=cutoff
        )
    graph.place, graph.theory = torch.tensor(labelled.index), torch.tensor(theory)
    for name, value in targets.items():
        weight = labelled.weights.get(name, 1.0)
        setattr(graph, f"weight_{name}", torch.tensor([weight], dtype=dtype))
        setattr(graph, f"target_{name}", torch.tensor(value, dtype=dtype))
    return graph


def join(graphs: Iterable[data.AtomicData], device: str = "cpu") -> Tensors:
    """Join graphs into the input of a network; ``place`` holds the indices of the structures."""
    batch = Batch.from_data_list(list(graphs)).to_dict()
    return {name: value.to(device) for name, value in batch.items() if torch.is_tensor(value)}


def mean_neighbours(graphs: Sequence[data.AtomicData]) -> float:
    """Return the mean number of edges per atom."""
    return float(np.mean([graph.edge_index.shape[1] / graph.num_nodes for graph in graphs]))


def atoms_per_graph(batch: Tensors) -> torch.Tensor:
    """Return the number of atoms of each graph, shape ``(n_graphs,)``."""
    return torch.diff(batch["ptr"])
