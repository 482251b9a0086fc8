"""Edges that programs find are those of the graph, and filling up changes nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mlobs_client.evaluate import derivatives
from mlobs_client.evaluate.compile.geometry import Geometry, Padding, select_edges, through_edges
from mlobs_client.evaluate.compile.store import ProgramSize
from mlobs_client.evaluate.graph import Graph
from mlobs_client.units import ANGSTROM

CUTOFF = 3.5 * ANGSTROM
SIZE = ProgramSize(n_structures=4, n_atoms=12, n_pairs=700, n_edges=300)


def filled(graph: Graph, size: ProgramSize = SIZE) -> Geometry:
    attributes = torch.nn.functional.one_hot((graph.numbers == 8).long(), 2).double()
    return Padding.of(graph, attributes, size)(graph)


@pytest.mark.parametrize("seed", range(5))
def test_edges_are_those_of_the_graph_and_the_others_are_too_far_to_be_seen(graph, seed) -> None:
    expected = graph(seed).within(CUTOFF)
    n = len(expected.vectors)
    edges = select_edges(filled(graph(seed)), CUTOFF, SIZE.n_edges)
    np.testing.assert_array_equal(edges.ends[:, :n], expected.edges)
    np.testing.assert_allclose(edges.vectors[:n], expected.vectors, atol=1e-13)
    assert edges.ends[:, n:].unique().tolist() == [SIZE.n_atoms - 1]
    assert float(edges.vectors[n:].norm(dim=1).min()) > 1e3
    shortest = float(expected.vectors.square().sum(1).min())
    assert edges.summary.tolist() == pytest.approx([n, shortest], rel=1e-13)


def test_too_many_edges_are_counted_and_none_is_taken_twice(graph) -> None:
    expected = graph().within(CUTOFF)
    edges = select_edges(filled(graph()), CUTOFF, 50)
    assert edges.summary[0] == len(expected.vectors) > 50
    np.testing.assert_array_equal(edges.ends, expected.edges[:, :50])


def test_derivatives_through_edges_are_those_of_the_graph(graph) -> None:
    given = graph().within(CUTOFF)
    n = len(given.vectors)
    geometry = filled(graph())
    by_vectors = torch.from_numpy(np.random.default_rng(0).normal(size=(SIZE.n_edges, 3)))
    found = through_edges(geometry, select_edges(geometry, CUTOFF, SIZE.n_edges), by_vectors)
    expected = derivatives.through_edges(given, by_vectors[:n])
    np.testing.assert_allclose(found[0][: len(given.positions)], expected.positions, atol=1e-13)
    np.testing.assert_allclose(found[1][: given.n_structures], expected.strain, atol=1e-12)


def test_positions_and_cells_are_the_present_ones(graph) -> None:
    first = graph()
    padding = Padding.of(first, torch.ones((len(first.positions), 2)), SIZE)
    first.positions.add_(0.5)
    first.cells.mul_(1.01)
    geometry = padding(first)
    np.testing.assert_array_equal(geometry.positions[: len(first.positions)], first.positions)
    np.testing.assert_array_equal(geometry.cells[: first.n_structures], first.cells)
