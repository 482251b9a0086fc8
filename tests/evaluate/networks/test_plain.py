"""Networks as they are, summed over the atoms of each structure."""

from __future__ import annotations

import numpy as np
import torch

from mlobs_client.evaluate.graph import GraphBuilder
from mlobs_client.evaluate.networks.atomic import AtomicNetwork
from mlobs_client.evaluate.networks.plain import PlainNetworks


def test_structures_that_are_evaluated_together_have_the_sums_of_each_alone(network, water) -> None:
    networks = PlainNetworks([AtomicNetwork(network("dipole", seed), "dipole") for seed in (0, 1)])
    build = GraphBuilder(networks.cutoff + 0.5)
    structures = [water(2, seed=1), water(1, seed=2, length=5.0)]
    with torch.no_grad():
        together = networks(build(structures))
        alone = torch.cat([networks(build([structure])) for structure in structures])
    assert together.shape == (2, 2, 3)
    np.testing.assert_allclose(together, alone, atol=1e-13)


def test_learned_charges_add_up_to_zero_so_that_a_shift_changes_no_dipole(network, water) -> None:
    networks = PlainNetworks([AtomicNetwork(network("dielectric"), "dipole")])
    build = GraphBuilder(networks.cutoff)
    structure = water(2, pbc=(False, False, False))
    graph, shifted = build([structure]), build([structure])
    shifted.positions.add_(7.0)
    with torch.no_grad():
        np.testing.assert_allclose(networks(graph), networks(shifted), atol=1e-12)


def test_attributes_are_made_once_for_the_same_atoms(network, water) -> None:
    networks = PlainNetworks([AtomicNetwork(network("potential"), "energy")])
    graph = GraphBuilder(networks.cutoff)([water(2)])
    attributes = networks.attributes(graph.numbers)
    assert networks.attributes(graph.numbers) is attributes
    assert attributes.argmax(1).tolist() == [1, 0, 0, 1, 0, 0]
    assert attributes.sum(1).tolist() == [1.0] * 6


def test_only_what_will_be_differentiated_is_recorded(network, water) -> None:
    networks = PlainNetworks([AtomicNetwork(network("potential"), "energy")])
    graph = GraphBuilder(networks.cutoff)([water(2)])
    with torch.no_grad():
        assert not networks(graph).requires_grad
    assert networks(graph).requires_grad
    assert not graph.positions.requires_grad
