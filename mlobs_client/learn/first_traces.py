"""Start a polarizability from traces that are fitted by least squares.

The trace of a polarizability is by far larger than its fluctuations, which a training with small
steps would find only after it has found the mean. The output of an untrained network is linear in
the weights of its last layers, so those that fit the traces best are known at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from mace.data import AtomicData

from mlobs_client.learn.batches import join
from mlobs_client.learn.networks import last_layers

MOST: Final = 200
"""Largest number of structures that are fitted; there are far fewer weights."""

SMALLEST: Final = 1e-3
"""Relative singular value below which weights stay as they are, for they would become large."""


def fit_traces(network: torch.nn.Module, graphs: Sequence[AtomicData], device: str) -> None:
    """Change the weights of the last layers so that traces of polarizabilities are right.

    Args:
        network: an untrained network for polarizabilities.
        graphs: graphs with targets, angstrom^3; at most ``MOST`` are used, at equal distances in
            the list.
        device: device of the network.
    """
    weights = [layer.weight for layer in last_layers(network)]
    chosen = graphs[:: -(-len(graphs) // MOST)]
    sizes = np.array([graph.num_nodes for graph in chosen])
    rows, errors = [], []
    for graph in chosen:
        batch = join([graph], device)
        trace = network(batch)["polarizability"].diagonal(dim1=1, dim2=2).sum()
        slopes = torch.autograd.grad(trace, weights)
        rows.append(torch.cat([slope.flatten() for slope in slopes]).double().cpu().numpy())
        target = batch["target_polarizability"].diagonal(dim1=1, dim2=2).sum()
        errors.append(float(target - trace.detach()))
    matrix, right = np.array(rows) / sizes[:, None], np.array(errors) / sizes
    change = np.linalg.lstsq(matrix, right, rcond=SMALLEST)[0]
    parts = np.split(change, np.cumsum([weight.numel() for weight in weights])[:-1])
    with torch.no_grad():
        for weight, part in zip(weights, parts, strict=True):
            weight += torch.tensor(part, dtype=weight.dtype, device=weight.device).view_as(weight)
