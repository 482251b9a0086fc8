"""Structures as one graph of neighbours, with neighbour lists that live for many steps.

A list that holds all pairs closer than ``cutoff + skin`` stays complete for ``cutoff`` until the
atoms have moved too far; only then it is made anew. What leaves this module is exact at every
step: the pairs within the cutoff, no more and no less, with vectors from the present positions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Final, NamedTuple

import matscipy.neighbours
import numpy as np
import torch
from ase.geometry import complete_cell

from mlobs_client.errors import EvaluationError
from mlobs_client.structure import Array, Integers, Structure
from mlobs_client.units import ANGSTROM

_SAME_PLACE: Final = 1e-6  # bohr; nearer, the direction of an edge is rounding noise


@dataclass(frozen=True)
class Graph:
    """All structures of one evaluation as one graph; tensors on one device.

    ``vectors`` and ``positions`` are what models are functions of, and what derivatives are taken
    with respect to: neighbours enter through ``vectors``, absolute (unwrapped) positions only
    where a charge is multiplied with them.

    Attributes:
        numbers: shape ``(n_atoms,)``, atomic numbers, the structures one after the other.
        positions: shape ``(n_atoms, 3)``, bohr, float64.
        edges: shape ``(2, n_edges)``, atoms (sender, receiver); every pair in both directions.
        vectors: shape ``(n_edges, 3)``, bohr, float64, from the sender to that image of the
            receiver that is its neighbour.
        structure_of: shape ``(n_atoms,)``, the structure that an atom belongs to.
        starts: the atom at which each structure begins, and the end.
        edge_starts: the edge at which each structure begins, and the end.
        cutoff: bohr.
    """

    numbers: torch.Tensor
    positions: torch.Tensor
    edges: torch.Tensor
    vectors: torch.Tensor
    structure_of: torch.Tensor
    starts: tuple[int, ...]
    edge_starts: tuple[int, ...]
    cutoff: float

    @property
    def n_structures(self) -> int:
        return len(self.starts) - 1

    def within(self, cutoff: float) -> Graph:
        """The same atoms with the edges of a smaller cutoff (bohr); differentiable."""
        if cutoff == self.cutoff:
            return self
        kept = (self.vectors.detach().square().sum(1) < cutoff**2).nonzero().squeeze(1)
        starts = torch.tensor(self.edge_starts, device=kept.device)
        return replace(
            self,
            edges=self.edges[:, kept],
            vectors=self.vectors[kept],
            edge_starts=tuple(torch.searchsorted(kept, starts).tolist()),
            cutoff=cutoff,
        )

    def sum_over_atoms(self, values: torch.Tensor) -> torch.Tensor:
        """Sum ``(n_atoms, *shape)`` over the atoms of each structure."""
        total = values.new_zeros((self.n_structures, *values.shape[1:]))
        return total.index_add(0, self.structure_of, values)


class GraphBuilder:
    """Makes graphs, and keeps the neighbour lists of the structures that it has seen.

    A client is not told which bead it gets, and beads may come one by one, together, or in
    another order. So a list belongs to no bead: any list that is provably complete for a
    structure serves it. Lists are tried in the order of their making, beginning after the one
    that served last, which finds the right one at once as long as the beads keep their order.

    Attributes:
        n_built: how many neighbour lists have been made so far.

    Args:
        cutoff: bohr.
        skin: bohr; a larger one makes lists live longer, and every step dearer.
        capacity: how many lists are kept at most; the oldest goes first.
        device: where the tensors of the graphs live.
    """

    def __init__(
        self,
        cutoff: float,
        skin: float = 0.5 * ANGSTROM,
        *,
        capacity: int = 64,
        device: str = "cpu",
    ) -> None:
        self.n_built = 0
        self._cutoff = cutoff
        self._reach = cutoff + skin
        self._capacity = capacity
        self._device = device
        self._lists: list[_NeighbourList] = []
        self._next = 0

    def __call__(self, structures: Sequence[Structure]) -> Graph:
        """Join the structures, of any sizes and in their order, into one graph.

        Raises:
            EvaluationError: two atoms are at the same place, or a cell has no neighbour list.
        """
        # More beads than lists would rebuild every list at every step.
        self._capacity = max(self._capacity, 2 * len(structures))
        group = [self._edges(structure) for structure in structures]
        sizes = [edges.structure.n_atoms for edges in group]
        starts = tuple(accumulate(sizes, initial=0))
        pairs = [edges.pairs + start for edges, start in zip(group, starts, strict=False)]
        return Graph(
            numbers=self._tensor(np.concatenate([edges.structure.numbers for edges in group])),
            positions=self._tensor(np.concatenate([edges.structure.positions for edges in group])),
            edges=self._tensor(np.concatenate(pairs, axis=1)),
            vectors=self._tensor(np.concatenate([edges.vectors for edges in group])),
            structure_of=self._tensor(np.repeat(np.arange(len(sizes)), sizes)),
            starts=starts,
            edge_starts=tuple(accumulate((len(edges.vectors) for edges in group), initial=0)),
            cutoff=self._cutoff,
        )

    def count_edges(self, structure: Structure) -> int:
        """How many edges a structure has in a graph."""
        return len(self._edges(structure).vectors)

    def _tensor(self, values: Array | Integers) -> torch.Tensor:
        return torch.from_numpy(values).to(self._device)

    def _edges(self, structure: Structure) -> _Edges:
        neighbours = self._find(structure) or self._build(structure)
        vectors = neighbours.vectors(structure)
        squares = np.einsum("ei,ei->e", vectors, vectors)
        if len(squares) and squares.min() < _SAME_PLACE**2:
            i, j = neighbours.pairs[:, squares.argmin()]
            raise EvaluationError(f"atoms {i} and {j} (counted from 0) are at the same place")
        kept = np.flatnonzero(squares < self._cutoff**2)
        return _Edges(structure, neighbours.pairs.take(kept, axis=1), vectors.take(kept, axis=0))

    def _find(self, structure: Structure) -> _NeighbourList | None:
        n_lists = len(self._lists)
        for step in range(n_lists):
            place = (self._next + step) % n_lists
            if self._lists[place].is_complete_for(structure, self._cutoff):
                self._next = place + 1
                return self._lists[place]
        return None

    def _build(self, structure: Structure) -> _NeighbourList:
        neighbours = _NeighbourList(structure, self._reach)
        self.n_built += 1
        self._lists = [*self._lists, neighbours][-self._capacity :]
        self._next = 0
        return neighbours


class _Edges(NamedTuple):
    """Pairs of one structure within the cutoff, shape ``(2, n)``, and their vectors ``(n, 3)``."""

    structure: Structure
    pairs: Integers
    vectors: Array


class _NeighbourList:
    """All pairs of one structure that are closer than ``reach`` (bohr).

    Attributes:
        pairs: shape ``(2, n_pairs)``, sender and receiver.
        images: shape ``(n_pairs, 3)``, lattice vectors to add to the receiver, whole numbers.
    """

    def __init__(self, structure: Structure, reach: float) -> None:
        # A copy: whoever reads positions from a socket may use the same memory for the next ones.
        self._structure = replace(
            structure, positions=structure.positions.copy(), cell=structure.cell.copy()
        )
        self._reach = reach
        periodic = np.array(structure.pbc)
        lattice = structure.cell * periodic[:, None]
        if np.linalg.matrix_rank(lattice) < periodic.sum():
            raise EvaluationError(
                f"the cell {structure.cell.tolist()} bohr has no lattice vectors for the "
                f"periodicity {structure.pbc}; correct the cell or pbc of the structure"
            )
        # Of lattice vectors that are not periodic, the search needs a direction, no length.
        senders, receivers, images = matscipy.neighbours.neighbour_list(
            "ijS",
            positions=structure.positions,
            cell=complete_cell(lattice),
            pbc=periodic,
            cutoff=reach,
        )
        self.pairs = np.stack([senders, receivers]).astype(np.int64)
        self.images = images.astype(np.float64)

    def vectors(self, structure: Structure) -> Array:
        """Shape ``(n_pairs, 3)``, from senders to images of receivers, at present positions."""
        senders, receivers = self.pairs
        vectors: Array = structure.positions.take(receivers, axis=0)
        vectors -= structure.positions.take(senders, axis=0)
        vectors += self.images @ structure.cell
        return vectors

    def is_complete_for(self, structure: Structure, cutoff: float) -> bool:
        r"""Whether no pair within ``cutoff`` can be missing.

        The periodic lattice vectors h follow from those of the reference, h0, by a homogeneous
        deformation, h = h0 F; what the atoms do beyond it is R = R0 F + u. A pair vector is then
        d = d0 F + u_J - u_I, so that |d0| <= (|d| + 2 max|u|) / sigma_min(F). All pairs with
        |d0| <= reach are known; hence none within the cutoff is missing as long as
        cutoff + 2 max|u| <= sigma_min(F) reach. Displacing all atoms alike changes no pair.
        """
        reference = self._structure
        if structure.n_atoms != reference.n_atoms or structure.pbc != reference.pbc:
            return False
        moved = structure.positions - reference.positions
        reach = self._reach
        if not np.array_equal(structure.cell, reference.cell):
            change = self._deformation_minus_one(structure)
            moved -= reference.positions @ change
            reach *= float(np.linalg.norm(np.eye(3) + change, -2))
        moved -= moved.mean(axis=0)
        largest = np.sqrt(np.einsum("Ii,Ii->I", moved, moved).max())
        return bool(cutoff + 2 * largest <= reach)

    def _deformation_minus_one(self, structure: Structure) -> Array:
        """F - 1; zero across the directions that are not periodic."""
        periodic = np.array(structure.pbc)
        before, now = self._structure.cell[periodic], structure.cell[periodic]
        change: Array = np.linalg.pinv(before) @ (now - before)
        return change
