"""Join structures into one graph of neighbours.

A graph is exact at every step: it has all pairs within the cutoff and no others, with vectors from
the present positions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Final, NamedTuple

import numpy as np
import torch

from mlobs_client.errors import EvaluationError
from mlobs_client.evaluate.neighbours import Batch, NeighbourList, NeighbourLists
from mlobs_client.structure import Array, Integers, Structure
from mlobs_client.units import ANGSTROM

SAME_PLACE: Final = 1e-6
"""Distance below which the direction of an edge is rounding noise, bohr."""


MOST_COMPOSITIONS: Final = 64
"""Number of batches with different species to remember: enough for one step, not for a data set."""


class Edges(NamedTuple):
    """Pairs within a cutoff, sorted by structure; tensors on one device.

    Attributes:
        ends: indices of sender and receiver, shape ``(2, n_edges)``; each pair in both directions.
        vectors: shape ``(n_edges, 3)``, bohr, float64, from the sender to the image of the
            receiver that is its neighbour.
        starts: the first edge of each structure, and the number of edges.
    """

    ends: torch.Tensor
    vectors: torch.Tensor
    starts: tuple[int, ...]

    def within(self, cutoff: float) -> Edges:
        """Return the edges within a smaller cutoff (bohr); gradients pass through their vectors."""
        inside = (self.vectors.detach().square().sum(1) < cutoff**2).nonzero().squeeze(1)
        starts = torch.tensor(self.starts, device=inside.device)
        new_starts = tuple(torch.searchsorted(inside, starts).tolist())
        return Edges(self.ends[:, inside], self.vectors[inside], new_starts)


@dataclass(frozen=True)
class Graph:
    """All structures of one evaluation as one graph; tensors on one device.

    Models are functions of ``vectors`` and ``positions``, and derivatives are taken with respect
    to these: neighbours enter through ``vectors``, absolute (unwrapped) positions only where a
    charge is multiplied by them. Compiled programs find the edges themselves, among the pairs of
    the neighbour list; so edges are computed only on request.

    Attributes:
        numbers: shape ``(n_atoms,)``, atomic numbers of all structures, one after the other.
        positions: shape ``(n_atoms, 3)``, bohr, float64.
        cells: shape ``(n_structures, 3, 3)``, bohr, float64.
        structure_of: shape ``(n_atoms,)``, index of the structure of each atom.
        starts: the first atom of each structure, and the number of atoms.
        neighbours: a neighbour list that is complete for the cutoff.
        cutoff: the cutoff, bohr.
        find_edges: function that computes the edges.
    """

    numbers: torch.Tensor
    positions: torch.Tensor
    cells: torch.Tensor
    structure_of: torch.Tensor
    starts: tuple[int, ...]
    neighbours: NeighbourList
    cutoff: float
    find_edges: Callable[[], Edges]

    @cached_property
    def _edges(self) -> Edges:
        return self.find_edges()

    @property
    def edges(self) -> torch.Tensor:
        """Sender and receiver of each edge, shape ``(2, n_edges)``."""
        return self._edges.ends

    @property
    def vectors(self) -> torch.Tensor:
        """Vectors of the edges, shape ``(n_edges, 3)``, bohr."""
        return self._edges.vectors

    @property
    def edge_starts(self) -> tuple[int, ...]:
        """The first edge of each structure, and the number of edges."""
        return self._edges.starts

    def within(self, cutoff: float) -> Graph:
        """Return the same atoms with the edges within a smaller cutoff (bohr).

        Gradients pass through to the vectors of this graph.
        """
        if cutoff == self.cutoff:
            return self
        find = partial(self._edges.within, cutoff)
        return replace(self, cutoff=cutoff, find_edges=find)

    @property
    def n_structures(self) -> int:
        return len(self.starts) - 1

    def sum_over_atoms(self, values: torch.Tensor) -> torch.Tensor:
        """Sum values of shape ``(n_atoms, *shape)`` over the atoms of each structure."""
        if self.n_structures == 1:
            return values.sum(0, keepdim=True)
        total = values.new_zeros((self.n_structures, *values.shape[1:]))
        return total.index_add(0, self.structure_of, values)


class GraphBuilder:
    """Build graphs, and keep the neighbour lists of recent structures.

    Args:
        cutoff: cutoff of the edges, bohr.
        skin: skin of the neighbour lists, bohr; with a larger one, lists live longer, but every
            step costs more.
        capacity: number of lists to keep, see
            :class:`mlobs_client.evaluate.neighbours.NeighbourLists`.
        device: device of the tensors.
    """

    def __init__(
        self,
        cutoff: float,
        skin: float = 0.5 * ANGSTROM,
        *,
        capacity: int = 128,
        device: str = "cpu",
    ) -> None:
        self._cutoff = cutoff
        self._neighbours = NeighbourLists(cutoff, cutoff + skin, capacity)
        self._device = device
        self._compositions: dict[tuple[bytes, ...], _Composition] = {}

    def __call__(self, structures: Sequence[Structure]) -> Graph:
        """Join structures of any sizes into one graph, in their order.

        Raises:
            EvaluationError: no neighbours can be found in a cell.
        """
        batch = Batch.of(structures)
        neighbours = self._neighbours(batch)
        numbers, structure_of = self._compose(structures)
        return Graph(
            numbers=numbers,
            positions=self._tensor(batch.positions),
            cells=self._tensor(batch.cells),
            structure_of=structure_of,
            starts=batch.starts,
            neighbours=neighbours,
            cutoff=self._cutoff,
            find_edges=partial(self._find_edges, batch, neighbours),
        )

    @property
    def n_built(self) -> int:
        """Number of neighbour lists that have been built so far."""
        return self._neighbours.n_built

    def count_edges(self, structure: Structure) -> int:
        """Return the number of edges of a structure."""
        return len(self([structure]).vectors)

    def _tensor(self, values: Array | Integers) -> torch.Tensor:
        return torch.from_numpy(values).to(self._device)

    def _compose(self, structures: Sequence[Structure]) -> _Composition:
        """Return atomic numbers and the structure of each atom, as the same tensors if possible."""
        key = tuple(structure.numbers.tobytes() for structure in structures)
        if key not in self._compositions:
            if len(self._compositions) >= MOST_COMPOSITIONS:
                self._compositions.clear()
            sizes = [structure.n_atoms for structure in structures]
            numbers = np.concatenate([structure.numbers for structure in structures])
            owners = np.repeat(np.arange(len(sizes)), sizes)
            self._compositions[key] = _Composition(self._tensor(numbers), self._tensor(owners))
        return self._compositions[key]

    def _find_edges(self, batch: Batch, neighbours: NeighbourList) -> Edges:
        """Return the pairs within the cutoff.

        Raises:
            EvaluationError: two atoms are at the same place.
        """
        vectors = neighbours.vectors(batch)
        squares = np.einsum("ei,ei->e", vectors, vectors)
        if len(squares) and squares.min() < SAME_PLACE**2:
            i, j = neighbours.pairs[:, squares.argmin()]
            start = max(start for start in batch.starts if start <= i)
            raise EvaluationError(
                f"atoms {i - start} and {j - start} (counted from 0) are at the same place"
            )
        inside = np.flatnonzero(squares < self._cutoff**2)
        return Edges(
            self._tensor(neighbours.pairs.take(inside, axis=1)),
            self._tensor(vectors.take(inside, axis=0)),
            tuple(np.searchsorted(inside, neighbours.starts).tolist()),
        )


class _Composition(NamedTuple):
    """The tensors of a graph that depend only on the species and sizes of its structures."""

    numbers: torch.Tensor
    structure_of: torch.Tensor
