"""What compiled programs are functions of: atoms, cells and pairs, filled up to a fixed size.

A program finds the edges by itself, so that there is little else between the positions of i-PI and
the forces. Of the pairs of a neighbour list, which lives for many steps, it takes
those within the cutoff. Their number varies; what is missing to the size is filled up with an atom
that is too far from its own images to see them. This atom stands last, in the last structure.
"""

from __future__ import annotations

from typing import Final, NamedTuple, Self

import torch
from torch.nn.functional import pad

from mlobs_client.evaluate.compile.store import Size
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


class Filling(NamedTuple):
    """What stays the same as long as a neighbour list, its atoms and the size do.

    Attributes:
        numbers: atomic numbers of the atoms that are there.
        size: that is filled up.
        rest: all of it, but positions and cells only of what is too many.
    """

    numbers: torch.Tensor
    size: Size
    rest: Geometry

    @classmethod
    def of(cls, graph: Graph, attributes: torch.Tensor, size: Size) -> Self:
        """Fill up everything but positions and cells.

        Args:
            graph: at least one structure, one atom and one pair smaller than the size.
            attributes: shape ``(n_atoms, n_species)``, one-hot.
            size: of the program.
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
        """All of it, at the present positions and in the present cells."""
        return self.rest._replace(
            positions=torch.cat([graph.positions, self.rest.positions]),
            cells=torch.cat([graph.cells, self.rest.cells]),
        )


class Taken(NamedTuple):
    """The edges that were taken.

    Attributes:
        ends: shape ``(2, n_edges)``, senders and receivers.
        vectors: shape ``(n_edges, 3)``, bohr.
        summary: how many pairs there are within the cutoff, which may be more than were taken, and
            the square of the smallest distance, as two numbers.
    """

    ends: torch.Tensor
    vectors: torch.Tensor
    summary: torch.Tensor


def take_near(geometry: Geometry, cutoff: float, n_edges: int) -> Taken:
    """Take ``n_edges`` pairs: those within the cutoff (bohr), filled up with the last one."""
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
    return Taken(geometry.pairs[:, kept], vectors[kept], summary)


def through_edges(
    geometry: Geometry, edges: Taken, by_vectors: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Derivatives with respect to positions and strain, in the shapes of positions and cells.

    As in :func:`mlobs_client.evaluate.derivatives.through_edges`, but of a size that is known.

    Args:
        geometry: of the edges.
        edges: that were taken.
        by_vectors: shape ``(n_edges, 3)``, derivative with respect to their vectors.
    """
    senders, receivers = edges.ends
    positions = torch.zeros_like(geometry.positions).index_add(0, receivers, by_vectors)
    positions = positions.index_add(0, senders, -by_vectors)
    products = edges.vectors.unsqueeze(2) * by_vectors.unsqueeze(1)
    strain = torch.zeros_like(geometry.cells)
    return positions, strain.index_add(0, geometry.structure_of[senders], products)
