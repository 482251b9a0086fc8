"""Graphs of labelled structures: neighbours across walls, targets joined in order."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from mlobs_client.learn.batches import atoms_per_graph, join, make_graph, mean_neighbours
from mlobs_client.learn.labels import LabelledStructure

SPECIES = (1, 8)


def edge_lengths(graph) -> np.ndarray:
    start, end = graph.edge_index
    vectors = graph.positions[end] - graph.positions[start] + graph.shifts
    return np.sort(vectors.norm(dim=1).numpy())


def test_atoms_far_from_the_origin_have_the_same_edges(water) -> None:
    structure = water(2, seed=1)
    far = structure.positions + 300 * structure.cell[0]
    far[2] += 500 * structure.cell[1]
    moved = replace(structure, positions=far)
    near, away = (
        make_graph(LabelledStructure(0, one, {}), {}, SPECIES, 3.0) for one in (structure, moved)
    )
    # of float32 within the cell; positions of 3000 angstrom would leave 2e-4
    np.testing.assert_allclose(edge_lengths(near), edge_lengths(away), atol=5e-6)
    assert mean_neighbours([near, away]) == near.edge_index.shape[1] / 6


def test_a_batch_has_its_targets_in_order(water) -> None:
    graphs = [
        make_graph(
            LabelledStructure(index, water(n, seed=index), {}),
            {"dipole": np.full((1, 3), index), "forces": np.full((3 * n, 3), index)},
            SPECIES,
            3.0,
        )
        for index, n in ((4, 1), (7, 3))
    ]
    batch = join(graphs)
    assert batch["place"].tolist() == [4, 7]
    assert batch["target_dipole"].tolist() == [[4.0] * 3, [7.0] * 3]
    assert batch["target_forces"].shape == (12, 3)
    assert batch["target_forces"].dtype == torch.float32
    assert atoms_per_graph(batch).tolist() == [3, 9]
