"""Structures as one graph of neighbours.

Exact at every step: the pairs within the cutoff, no more and no less, with vectors from the
present positions.
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
"""Bohr; nearer, the direction of an edge is rounding noise."""


MOST_COMPOSITIONS: Final = 64
"""Batches of other atoms that are remembered: those of one step, and not those of a data set."""


class Edges(NamedTuple):
    """Pairs within a cutoff, those of each structure together; tensors on one device.

    Attributes:
        ends: shape ``(2, n_edges)``, atoms (sender, receiver); every pair in both directions.
        vectors: shape ``(n_edges, 3)``, bohr, float64, from the sender to that image of the
            receiver that is its neighbour.
        starts: the edge at which each structure begins, and the end.
    """

    ends: torch.Tensor
    vectors: torch.Tensor
    starts: tuple[int, ...]

    def within(self, cutoff: float) -> Edges:
        """Those of a smaller cutoff (bohr); differentiable."""
        kept = (self.vectors.detach().square().sum(1) < cutoff**2).nonzero().squeeze(1)
        starts = torch.tensor(self.starts, device=kept.device)
        new_starts = tuple(torch.searchsorted(kept, starts).tolist())
        return Edges(self.ends[:, kept], self.vectors[kept], new_starts)


@dataclass(frozen=True)
class Graph:
    """All structures of one evaluation as one graph; tensors on one device.

    ``vectors`` and ``positions`` are what models are functions of, and what derivatives are taken
    with respect to: neighbours enter through ``vectors``, absolute (unwrapped) positions only
    where a charge is multiplied with them. Compiled programs find the edges by themselves, among
    the pairs of the neighbour list; so edges are made when they are asked for.

    Attributes:
        numbers: shape ``(n_atoms,)``, atomic numbers, the structures one after the other.
        positions: shape ``(n_atoms, 3)``, bohr, float64.
        cells: shape ``(n_structures, 3, 3)``, bohr, float64.
        structure_of: shape ``(n_atoms,)``, the structure that an atom belongs to.
        starts: the atom at which each structure begins, and the end.
        neighbours: a list that is complete for the cutoff.
        cutoff: bohr.
        find_edges: makes the edges.
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
        """See :class:`Edges`."""
        return self._edges.ends

    @property
    def vectors(self) -> torch.Tensor:
        """See :class:`Edges`."""
        return self._edges.vectors

    @property
    def edge_starts(self) -> tuple[int, ...]:
        """The edge at which each structure begins, and the end."""
        return self._edges.starts

    def within(self, cutoff: float) -> Graph:
        """The same atoms with the edges of a smaller cutoff (bohr); differentiable."""
        if cutoff == self.cutoff:
            return self
        find = partial(self._edges.within, cutoff)
        return replace(self, cutoff=cutoff, find_edges=find)

    @property
    def n_structures(self) -> int:
        return len(self.starts) - 1

    def sum_over_atoms(self, values: torch.Tensor) -> torch.Tensor:
        """Sum ``(n_atoms, *shape)`` over the atoms of each structure."""
        if self.n_structures == 1:
            return values.sum(0, keepdim=True)
        total = values.new_zeros((self.n_structures, *values.shape[1:]))
        return total.index_add(0, self.structure_of, values)


class GraphBuilder:
    """Makes graphs, and keeps the neighbour lists of the structures that it has seen.

    Args:
        cutoff: bohr.
        skin: bohr; a larger one makes lists live longer, and every step dearer.
        capacity: see :class:`mlobs_client.evaluate.neighbours.NeighbourLists`.
        device: where the tensors of the graphs live.
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
        """Join the structures, of any sizes and in their order, into one graph.

        Raises:
            EvaluationError: a cell has no neighbour list.
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
        """How many neighbour lists have been made so far."""
        return self._neighbours.n_built

    def count_edges(self, structure: Structure) -> int:
        """How many edges a structure has in a graph."""
        return len(self([structure]).vectors)

    def _tensor(self, values: Array | Integers) -> torch.Tensor:
        return torch.from_numpy(values).to(self._device)

    def _compose(self, structures: Sequence[Structure]) -> _Composition:
        """Atomic numbers, and the structure of each atom; the same tensors as long as possible."""
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
        """The pairs within the cutoff.

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
        kept = np.flatnonzero(squares < self._cutoff**2)
        return Edges(
            self._tensor(neighbours.pairs.take(kept, axis=1)),
            self._tensor(vectors.take(kept, axis=0)),
            tuple(np.searchsorted(kept, neighbours.starts).tolist()),
        )


class _Composition(NamedTuple):
    """What a graph has from the species and sizes of its structures alone."""

    numbers: torch.Tensor
    structure_of: torch.Tensor
