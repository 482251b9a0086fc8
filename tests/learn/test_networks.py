"""Networks can learn with all their weights, and are the same in double precision."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mlobs_client.learn.batches import join, make_graph
from mlobs_client.learn.labels import LabelledStructure
from mlobs_client.learn.networks import (
    SIZES,
    Architecture,
    build,
    count_species,
    fit_free_atoms,
    to_float64,
)

KINDS = {
    "potential": "interaction_energy",
    "dipole": "dipole",
    "polarizability": "polarizability",
    "energy-dipole": "dipole",
}


@pytest.fixture(scope="module", params=KINDS)
def architecture(request) -> Architecture:
    return Architecture(request.param, SIZES["small"], (1, 8), 3.0, 4.0)


def test_every_weight_learns_but_those_of_outputs_that_nobody_reads(architecture, water) -> None:
    torch.manual_seed(0)
    network = build(architecture, torch.float32)
    graph = make_graph(
        LabelledStructure(0, water(2, seed=1), {}), {}, architecture.species, architecture.cutoff
    )
    forces = architecture.kind in ("potential", "energy-dipole")
    output = network(join([graph]), compute_force=forces, training=True)
    loss = output[KINDS[architecture.kind]].square().sum()
    if forces:
        loss = loss + output["forces"].square().sum() + output["energy"].square().sum()
    loss.backward()
    idle = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    # the first layer knows no vectors yet that a second product could couple; never the readouts
    assert not any("readouts" in name for name in idle), idle


def test_in_double_precision_it_is_the_same_function(architecture, water) -> None:
    torch.manual_seed(0)
    network = build(architecture, torch.float32)
    exact = to_float64(network, architecture, np.array([-1.5, -7.0]))
    labelled = LabelledStructure(0, water(2, seed=1), {})
    single = make_graph(labelled, {}, architecture.species, architecture.cutoff)
    double = make_graph(labelled, {}, architecture.species, architecture.cutoff, torch.float64)
    name = KINDS[architecture.kind]
    rough = network(join([single]), compute_force=False)
    fine = exact(join([double]), compute_force=False)
    assert fine[name].dtype == torch.float64
    # rounding of float32 over some hundred sums
    torch.testing.assert_close(rough[name].double(), fine[name], rtol=1e-4, atol=1e-4)
    if architecture.kind in ("potential", "energy-dipole"):
        free = float((fine["energy"] - rough["energy"]).detach())
        assert free == pytest.approx(4 * -1.5 + 2 * -7.0, abs=1e-3)


def test_free_atoms_explain_what_needs_no_structure() -> None:
    numbers = [np.array([1, 1, 8]), np.array([8, 8]), np.array([1, 8, 8])]
    counts = count_species(numbers, (1, 8))
    np.testing.assert_array_equal(counts, [[2, 1], [0, 2], [1, 2]])
    free = np.array([-13.6, -432.0])
    np.testing.assert_allclose(fit_free_atoms(counts, counts @ free), free, rtol=1e-12)
