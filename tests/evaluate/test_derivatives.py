"""Derivatives of analytic functions on a graph, against central differences."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from mlobs_client.evaluate.derivatives import Recorded, contract, jacobian
from mlobs_client.evaluate.graph import Graph, GraphBuilder
from mlobs_client.structure import Structure

CUTOFF = 6.0


def scalar(graph: Graph) -> torch.Tensor:
    """A pair energy that vanishes smoothly at the cutoff, and charges at absolute positions."""
    squares = graph.vectors.square().sum(1)
    skewed = (1 + 0.1 * graph.vectors[:, 0]) * (1 - squares / CUTOFF**2) ** 4
    senders = graph.edges[0]
    pairs = graph.positions.new_zeros(len(graph.positions)).index_add(0, senders, skewed)
    charges = graph.numbers - 5.0
    fields = torch.tensor([0.3, -0.2, 0.5], dtype=torch.float64)
    return graph.sum_over_atoms(pairs + charges * (graph.positions @ fields))


def vector(graph: Graph) -> torch.Tensor:
    weights = (1 - graph.vectors.square().sum(1) / CUTOFF**2) ** 4 * graph.numbers[graph.edges[0]]
    dipoles = graph.vectors * weights[:, None]
    total = graph.positions.new_zeros(graph.n_structures, 3)
    return total.index_add(0, graph.structure_of[graph.edges[0]], dipoles)


def symmetric_tensor(graph: Graph) -> torch.Tensor:
    weights = (1 - graph.vectors.square().sum(1) / CUTOFF**2) ** 4
    products = torch.einsum("e,ei,ek->eik", weights, graph.vectors, graph.vectors)
    total = graph.positions.new_zeros(graph.n_structures, 3, 3)
    return total.index_add(0, graph.structure_of[graph.edges[0]], products)


def tensor(graph: Graph) -> torch.Tensor:
    skewed = torch.tensor([[1.0, 0.5, 0.0], [0.0, 1.0, -0.3], [0.2, 0.0, 1.0]], dtype=torch.float64)
    return symmetric_tensor(graph) @ skewed


def make_graph(structures: list[Structure]) -> Graph:
    graph = GraphBuilder(CUTOFF)(structures)
    graph.vectors.requires_grad_()
    graph.positions.requires_grad_()
    return graph


def numerical(function, structure: Structure) -> tuple[np.ndarray, np.ndarray]:
    """Central differences for positions [..., I, j] and strain [..., i, j]."""
    step = 1e-4

    def displaced(atom: int, axis: int, sign: int) -> Structure:
        positions = structure.positions.copy()
        positions[atom, axis] += sign * step
        return replace(structure, positions=positions)

    def strained(i: int, j: int, sign: int) -> Structure:
        strain = np.eye(3)
        strain[i, j] += sign * step
        return replace(
            structure, positions=structure.positions @ strain, cell=structure.cell @ strain
        )

    def differences(make, n: int) -> np.ndarray:
        batch = [make(a, b, sign) for sign in (1, -1) for a in range(n) for b in range(3)]
        plus, minus = np.split(function(make_graph(batch)).detach().numpy(), 2)
        slopes = (plus - minus) / (2 * step)
        return np.moveaxis(slopes.reshape(n, 3, *slopes.shape[1:]), (0, 1), (-2, -1))

    return differences(displaced, structure.n_atoms), differences(strained, 3)


@pytest.fixture
def structures(water) -> list[Structure]:
    """A box, a cell smaller than the cutoff, a molecule and a slab."""
    return [
        water(2, seed=1),
        water(1, seed=2, length=4.0),
        water(1, seed=3, pbc=(False, False, False)),
        water(2, seed=4, pbc=(True, False, True)),
    ]


def test_derivatives_of_a_scalar_are_those_of_central_differences(structures) -> None:
    graph = make_graph(structures)
    energy = scalar(graph)
    found = Recorded(energy, graph).pull_back(torch.ones_like(energy))
    parts = np.split(found.positions.numpy(), graph.starts[1:-1])
    for structure, positions, strain in zip(structures, parts, found.strain.numpy(), strict=True):
        by_positions, by_strain = numerical(scalar, structure)
        # error of the differences: step**2 = 1e-8, rounding: 1e-15/step = 1e-11, times O(10)
        np.testing.assert_allclose(positions, by_positions, atol=1e-6)
        np.testing.assert_allclose(strain, by_strain, atol=1e-6)


@pytest.mark.parametrize(
    ("function", "is_symmetric"), [(vector, False), (symmetric_tensor, True), (tensor, False)]
)
def test_jacobians_are_those_of_central_differences(function, is_symmetric, structures) -> None:
    graph = make_graph(structures)
    found = jacobian(Recorded(function(graph), graph), graph, is_symmetric=is_symmetric)
    start = 0
    for s, structure in enumerate(structures):
        by_positions, by_strain = numerical(function, structure)
        atoms = slice(start, start := start + structure.n_atoms)
        positions = found.positions[:, atoms].numpy().reshape(by_positions.shape)
        strain = found.strain[:, s].numpy().reshape(by_strain.shape)
        np.testing.assert_allclose(positions, by_positions, atol=1e-6)
        np.testing.assert_allclose(strain, by_strain, atol=1e-6)


def test_contracting_a_jacobian_is_pulling_back(structures) -> None:
    graph = make_graph(structures)
    output = symmetric_tensor(graph)
    weights = torch.from_numpy(np.random.default_rng(0).normal(size=output.shape))
    recorded = Recorded(output, graph)
    direct = recorded.pull_back(weights)
    contracted = contract(jacobian(recorded, graph), weights, graph)
    torch.testing.assert_close(contracted.positions, direct.positions)
    torch.testing.assert_close(contracted.strain, direct.strain)


def test_atoms_without_neighbours_have_zero_derivatives(water) -> None:
    molecule = water(1, pbc=(False, False, False))
    atom = replace(molecule, numbers=molecule.numbers[:1], positions=molecule.positions[:1])
    graph = make_graph([atom])
    found = jacobian(Recorded(vector(graph), graph), graph)
    assert found.positions.shape == (3, 1, 3)
    assert not found.positions.any()
    assert not found.strain.any()
