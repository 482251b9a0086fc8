"""Prepare the arguments of compiled programs: atoms, cells and pairs, padded to a fixed size.

A program finds the edges by itself, so that little else happens between the positions from i-PI and
the forces. From the pairs of a neighbour list, which lives for many steps, it selects those within
the cutoff. Their number varies; all arrays are padded with edges from an atom to its own images
beyond the cutoff. This atom is the last one, in the last structure.
"""

from __future__ import annotations

from typing import Final, NamedTuple, Self

import torch
from torch.nn.functional import pad

from mlobs_client.evaluate.compile.store import ProgramSize
from mlobs_client.evaluate.graph import Graph
from mlobs_client.units import ANGSTROM

_FAR: Final = 1e3 * ANGSTROM  # bohr: an edge that no network sees


class Geometry(NamedTuple):
    """Structures, in Hartree atomic units; tensors on one device.

    Attributes:
        positions: shape ``(n_atoms, 3)``, float64.
        cells: shape ``(n_structures, 3, 3)``, float64.
        attributes: shape ``(n_atoms, n_species)``, one-hot.
        structure_of: shape ``(n_atoms,)``, the structure that an atom belongs to.
        pairs: shape ``(2, n_pairs)``, senders and receivers.
        images: shape ``(n_pairs, 3)``, lattice vectors to add to the receiver.
    """

    positions: torch.Tensor
    cells: torch.Tensor
    attributes: torch.Tensor
    structure_of: torch.Tensor
    pairs: torch.Tensor
    images: torch.Tensor


class Padding(NamedTuple):
    """Padding that is reused as long as a neighbour list, its atoms and the size stay the same.

    Attributes:
        numbers: atomic numbers of the real atoms.
        size: padded size.
        rest: padded arrays; its positions and cells are only those of the padding.
    """

    numbers: torch.Tensor
    size: ProgramSize
    rest: Geometry

    @classmethod
    def of(cls, graph: Graph, attributes: torch.Tensor, size: ProgramSize) -> Self:
        """Pad everything except positions and cells.

        Args:
            graph: graph that is smaller than the size by at least one structure, atom and pair.
            attributes: shape ``(n_atoms, n_species)``, one-hot.
            size: size of the program.
        """
        device = graph.positions.device
        pairs = torch.from_numpy(graph.neighbours.pairs).to(device)
        images = torch.from_numpy(graph.neighbours.images).to(device)
        atoms, n_pairs = size.n_atoms - len(attributes), size.n_pairs - len(images)
        structures = size.n_structures - graph.n_structures
        far = _FAR * torch.eye(3, dtype=torch.float64, device=device)
        rest = Geometry(
            graph.positions.new_zeros((atoms, 3)),
            far.repeat(structures, 1, 1),
            pad(attributes, (0, 0, 0, atoms), value=1.0),
            pad(graph.structure_of, (0, atoms), value=size.n_structures - 1),
            pad(pairs, (0, n_pairs), value=size.n_atoms - 1),
            pad(images, (0, 0, 0, n_pairs), value=1.0),
        )
        return cls(graph.numbers, size, rest)

    def __call__(self, graph: Graph) -> Geometry:
        """Return the padded geometry at the positions and in the cells of the graph."""
        return self.rest._replace(
            positions=torch.cat([graph.positions, self.rest.positions]),
            cells=torch.cat([graph.cells, self.rest.cells]),
        )


class SelectedEdges(NamedTuple):
    """Edges that were selected from pairs.

    Attributes:
        ends: shape ``(2, n_edges)``, senders and receivers.
        vectors: shape ``(n_edges, 3)``, bohr.
        summary: number of pairs within the cutoff, which may exceed the number of edges, and
            square of the smallest distance, bohr^2, shape ``(2,)``.
    """

    ends: torch.Tensor
    vectors: torch.Tensor
    summary: torch.Tensor


def select_edges(geometry: Geometry, cutoff: float, n_edges: int) -> SelectedEdges:
    """Select ``n_edges`` pairs: those within the cutoff (bohr), padded with the last pair."""
    senders, receivers = geometry.pairs
    cells = geometry.cells[geometry.structure_of[senders]]
    vectors = geometry.positions[receivers] - geometry.positions[senders]
    vectors = vectors + (geometry.images.unsqueeze(2) * cells).sum(1)
    squares = vectors.square().sum(1)
    near = squares < cutoff**2
    # every near pair is written to its place in the order of pairs, all others to one too many
    place = torch.where(near, near.cumsum(0) - 1, n_edges).clamp(max=n_edges)
    n_pairs = len(squares)
    every = torch.arange(n_pairs, device=place.device)
    kept = torch.full((n_edges + 1,), n_pairs - 1, device=place.device).scatter(0, place, every)
    kept = kept[:n_edges]
    summary = torch.stack([near.sum().to(squares), squares.min()])
    return SelectedEdges(geometry.pairs[:, kept], vectors[kept], summary)


def through_edges(
    geometry: Geometry, edges: SelectedEdges, by_vectors: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return derivatives with respect to positions and strain, shaped like positions and cells.

    This is :func:`mlobs_client.evaluate.derivatives.through_edges` for a fixed size.

    Args:
        geometry: geometry of the edges.
        edges: selected edges.
        by_vectors: derivative with respect to their vectors, shape ``(n_edges, 3)``.
    """
    senders, receivers = edges.ends
    positions = torch.zeros_like(geometry.positions).index_add(0, receivers, by_vectors)
    positions = positions.index_add(0, senders, -by_vectors)
    products = edges.vectors.unsqueeze(2) * by_vectors.unsqueeze(1)
    strain = torch.zeros_like(geometry.cells)
    return positions, strain.index_add(0, geometry.structure_of[senders], products)
