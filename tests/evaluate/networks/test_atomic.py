"""Contributions of atoms know nothing of structures, and networks of one build are recognised."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mlobs_client.evaluate.networks.atomic import AtomicNetwork, Inputs, architecture_of


def some_inputs(n_atoms: int, n_edges: int, seed: int = 0) -> Inputs:
    random = torch.Generator().manual_seed(seed)
    species = torch.randint(2, (n_atoms,), generator=random)
    return Inputs(
        torch.randn((n_edges, 3), generator=random, dtype=torch.float64),
        torch.nn.functional.one_hot(species, 2).double(),
        torch.randint(n_atoms, (2, n_edges), generator=random),
    )


@pytest.mark.parametrize(
    ("kind", "quantity", "shape"),
    [
        ("potential", "energy", ()),
        ("dipole", "dipole", (3,)),
        ("potential and dipole", "energy_and_dipole", (4,)),
        ("dielectric", "dipole", (4,)),
        ("dielectric", "polarizability", (3, 3)),
    ],
)
def test_atoms_without_edges_between_them_do_not_feel_each_other(
    network, kind, quantity, shape
) -> None:
    atomic = AtomicNetwork(network(kind), quantity)
    first, second = some_inputs(4, 10), some_inputs(3, 8, seed=1)
    both = Inputs(
        torch.cat([first.vectors, second.vectors]),
        torch.cat([first.attributes, second.attributes]),
        torch.cat([first.edges, second.edges + 4], dim=1),
    )
    together = atomic(*both).detach().numpy()
    assert together.shape == (7, *shape)
    for inputs, part in ((first, together[:4]), (second, together[4:])):
        alone = atomic(*inputs).detach().numpy()
        if atomic.has_charges:  # these are known up to a constant
            alone[:, 3] -= alone[:, 3].mean()
            part[:, 3] -= part[:, 3].mean()
        np.testing.assert_allclose(part, alone, atol=1e-13)


def test_members_trained_on_other_data_are_of_one_build_and_other_sizes_are_not(network) -> None:
    one, other = network("potential", 0), network("potential", 1)
    other.interactions[0].avg_num_neighbors = 7.5
    assert architecture_of(one) != architecture_of(other)  # a number in MACE
    assert architecture_of(AtomicNetwork(one, "energy")) == architecture_of(
        AtomicNetwork(other, "energy")
    )
    larger = AtomicNetwork(network("potential", num_bessel=5), "energy")
    assert architecture_of(larger) != architecture_of(AtomicNetwork(network("potential"), "energy"))


def test_all_of_a_network_lives_on_its_device(network) -> None:
    atomic = AtomicNetwork(network("potential").to("meta"), "energy")
    assert {tensor.device.type for tensor in atomic.state_dict().values()} == {"meta"}
