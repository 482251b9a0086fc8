"""A polarizability starts from the right traces, and its other parts stay as they are."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mlobs_client.learn.batches import join
from mlobs_client.learn.first_traces import fit_traces
from mlobs_client.learn.member import _graphs
from mlobs_client.learn.networks import Architecture, NetworkSize, build
from mlobs_client.learn.training import read_data_set


@pytest.mark.parametrize("layers", [1, 2])
def test_traces_are_those_of_the_labels_as_far_as_the_last_layers_can(
    settings, frames, layers: int
) -> None:
    wanted = settings("polarizability")
    data_set = read_data_set(wanted, frames)
    graphs = _graphs(wanted, data_set, data_set.rest)
    torch.manual_seed(1)
    size = NetworkSize(8, layers, 2, (8,))
    network = build(Architecture("polarizability", size, (1, 8), 3.0, 5.0), torch.float32)
    before = network(join(graphs))["polarizability"].detach().numpy()
    fit_traces(network, graphs, "cpu")
    after = network(join(graphs))["polarizability"].detach().numpy()
    labels = join(graphs)["target_polarizability"].numpy()
    traces = np.trace(labels, axis1=1, axis2=2)
    left = np.trace(after - labels, axis1=1, axis2=2)
    assert np.sqrt(np.mean(left**2)) < 0.05 * np.sqrt(np.mean(traces**2))
    change = after - before
    isotropic = np.trace(change, axis1=1, axis2=2)[:, None, None] / 3 * np.eye(3)
    np.testing.assert_allclose(change, isotropic, atol=1e-5 * np.abs(labels).max())
