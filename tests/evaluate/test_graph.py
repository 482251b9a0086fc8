"""Graphs against pairs counted one by one."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from mlobs_client.errors import EvaluationError
from mlobs_client.evaluate.graph import Graph, GraphBuilder
from mlobs_client.structure import Structure

PBC = list(itertools.product((False, True), repeat=3))


def count_pairs(structure: Structure, cutoff: float) -> np.ndarray:
    """Rows (sender, receiver, vector) of all pairs, by looking at every image."""
    inverse = np.linalg.inv(structure.cell)
    spread = np.ptp(structure.positions @ inverse, axis=0)
    reach = np.ceil(spread + cutoff * np.linalg.norm(inverse, axis=0)).astype(int)
    ranges = [
        range(-n, n + 1) if periodic else range(1)
        for n, periodic in zip(reach, structure.pbc, strict=True)
    ]
    rows = []
    for image in itertools.product(*ranges):
        vectors = structure.positions[None] - structure.positions[:, None] + image @ structure.cell
        lengths = np.linalg.norm(vectors, axis=-1)
        for i, j in np.argwhere(lengths < cutoff):
            if i != j or any(image):
                rows.append([i, j, *vectors[i, j]])
    return in_order(np.array(rows).reshape(-1, 5))


def in_order(rows: np.ndarray) -> np.ndarray:
    return rows[np.lexsort(rows.round(6).T)]


def rows_of(graph: Graph) -> np.ndarray:
    edges = graph.edges.numpy().T
    return in_order(np.concatenate([edges, graph.vectors.detach().numpy()], axis=1))


def random_structure(rng: np.random.Generator, length: float, pbc=(True, True, True)) -> Structure:
    cell = length * (np.eye(3) + 0.2 * rng.normal(size=(3, 3)))
    positions = rng.normal(size=(7, 3)) * length
    return Structure(np.full(7, 8), positions, cell, pbc)


@pytest.mark.parametrize("length", [3.0, 8.0, 20.0])
@pytest.mark.parametrize("pbc", PBC)
def test_a_graph_has_exactly_the_pairs_within_the_cutoff(pbc, length) -> None:
    structure = random_structure(np.random.default_rng(3), length, pbc)
    graph = GraphBuilder(6.0)([structure])
    expected = count_pairs(structure, 6.0)
    assert graph.edges.shape[1] == len(expected)
    np.testing.assert_allclose(rows_of(graph), expected, atol=1e-10)


def test_reused_lists_miss_no_pair_on_a_hot_walk_in_a_changing_cell() -> None:
    rng = np.random.default_rng(1)
    structure = random_structure(rng, 9.0)
    builder = GraphBuilder(6.0, skin=1.0)
    n_edges = set()
    for _ in range(120):
        strain = np.eye(3) + 0.002 * rng.normal(size=(3, 3))
        kick = 0.03 * rng.normal(size=structure.positions.shape)
        structure = replace(
            structure, positions=structure.positions @ strain + kick, cell=structure.cell @ strain
        )
        graph = builder([structure])
        np.testing.assert_allclose(rows_of(graph), count_pairs(structure, 6.0), atol=1e-10)
        n_edges.add(graph.edges.shape[1])
    assert len(n_edges) > 5  # pairs came and went
    assert 2 < builder.n_built < 60


@pytest.mark.parametrize("pbc", PBC)
def test_a_list_that_is_called_complete_is_complete(pbc) -> None:
    rng = np.random.default_rng(5)
    reused = 0
    for _ in range(60):
        structure = random_structure(rng, 7.0, pbc)
        builder = GraphBuilder(6.0, skin=1.5)
        builder([structure])
        strain = np.eye(3) + rng.uniform(0, 0.1) * rng.normal(size=(3, 3))
        kick = rng.uniform(0, 0.5) * rng.normal(size=(7, 3)) + 50.0
        changed = replace(
            structure, positions=structure.positions @ strain + kick, cell=structure.cell @ strain
        )
        graph = builder([changed])
        reused += builder.n_built == 1
        np.testing.assert_allclose(rows_of(graph), count_pairs(changed, 6.0), atol=1e-9)
    assert 3 < reused < 57  # the test saw both


def test_a_common_displacement_needs_no_new_list() -> None:
    structure = random_structure(np.random.default_rng(0), 9.0)
    builder = GraphBuilder(6.0, skin=0.1)
    for step in range(5):
        builder([replace(structure, positions=structure.positions + 10.0 * step)])
    assert builder.n_built == 1


def test_a_strain_moves_no_atom_however_far_it_is_from_the_origin() -> None:
    structure = random_structure(np.random.default_rng(0), 9.0)
    structure = replace(structure, positions=structure.positions + 30 * structure.cell[1])
    builder = GraphBuilder(6.0, skin=1.5)
    builder([structure])
    strain = np.eye(3) + np.array([[0.0, 0.05, 0.0], [0.0, 0.02, -0.03], [0.01, 0.0, -0.02]])
    builder(
        [replace(structure, positions=structure.positions @ strain, cell=structure.cell @ strain)]
    )
    assert builder.n_built == 1


def test_beads_find_their_lists_in_any_order_and_any_grouping() -> None:
    rng = np.random.default_rng(2)
    beads = [random_structure(rng, 9.0) for _ in range(6)]
    builder = GraphBuilder(6.0)
    builder(beads)
    builder([beads[i] for i in rng.permutation(6)])
    for i in rng.permutation(6):
        builder([beads[i]])
    assert builder.n_built == 6


def test_more_beads_than_lists_are_still_correct() -> None:
    rng = np.random.default_rng(2)
    beads = [random_structure(rng, 9.0) for _ in range(6)]
    builder = GraphBuilder(6.0, capacity=2)
    for bead in beads + beads:
        graph = builder([bead])
        np.testing.assert_allclose(rows_of(graph), count_pairs(bead, 6.0), atol=1e-10)


def test_positions_may_be_overwritten_by_the_caller() -> None:
    structure = random_structure(np.random.default_rng(0), 9.0)
    builder = GraphBuilder(6.0)
    builder([structure])
    structure.positions[:] = np.random.default_rng(1).normal(size=(7, 3)) * 9.0
    graph = builder([structure])
    np.testing.assert_allclose(rows_of(graph), count_pairs(structure, 6.0), atol=1e-10)


def test_structures_of_different_sizes_are_joined_one_after_the_other() -> None:
    rng = np.random.default_rng(4)
    one = random_structure(rng, 8.0)
    two = Structure(np.array([1, 8]), rng.normal(size=(2, 3)), one.cell, (False, False, False))
    graph = GraphBuilder(6.0)([one, two])
    assert graph.starts == (0, 7, 9)
    assert graph.structure_of.tolist() == [0] * 7 + [1] * 2
    assert graph.numbers.tolist() == [8] * 7 + [1, 8]
    second = graph.edges[0] >= 7
    assert set(graph.edges[:, second].flatten().tolist()) == {7, 8}
    assert len(count_pairs(one, 6.0)) == int((~second).sum())


def test_a_smaller_cutoff_leaves_the_edges_of_a_graph_of_its_own() -> None:
    structures = [random_structure(np.random.default_rng(seed), 8.0) for seed in (0, 1)]
    wide = GraphBuilder(7.0)(structures)
    narrow = GraphBuilder(4.0)(structures)
    np.testing.assert_allclose(rows_of(wide.within(4.0)), rows_of(narrow), atol=1e-12)


@pytest.mark.parametrize("cell", [np.zeros((3, 3)), np.eye(3) * 2.0])
def test_isolated_atoms_have_no_edges_whatever_the_cell(cell) -> None:
    positions = np.array([[0.0, 0.0, 0.0], [1e6, 0.0, 0.0]])
    structure = Structure(np.array([1, 8]), positions, cell, (False, False, False))
    graph = GraphBuilder(6.0)([structure])
    assert graph.edges.shape == (2, 0)
    assert graph.vectors.shape == (0, 3)


def test_atoms_at_the_same_place_are_refused_with_their_numbers() -> None:
    structure = random_structure(np.random.default_rng(0), 30.0)
    structure.positions[4] = structure.positions[2] + structure.cell[1]
    with pytest.raises(EvaluationError, match=r"atoms (2 and 4|4 and 2)"):
        _ = GraphBuilder(6.0)([structure]).edges


def test_a_periodic_direction_without_a_lattice_vector_is_refused() -> None:
    cell = np.diag([8.0, 0.0, 8.0])
    structure = Structure(np.array([1]), np.zeros((1, 3)), cell, (True, True, False))
    with pytest.raises(EvaluationError, match="periodicity"):
        GraphBuilder(6.0)([structure])
