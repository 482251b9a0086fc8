"""Neighbour lists that serve for many steps.

A list of all pairs closer than ``cutoff + skin`` stays complete for ``cutoff`` until the atoms have
moved too far; only then is it rebuilt.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from typing import NamedTuple

import matscipy.neighbours
import numpy as np
from ase.geometry import complete_cell

from mlobs_client.errors import EvaluationError
from mlobs_client.structure import Array, Integers, Structure


class Batch(NamedTuple):
    """Positions, cells and periodicity of several structures.

    Attributes:
        positions: shape ``(n_atoms, 3)``, bohr, of all structures, one after the other.
        cells: shape ``(n_structures, 3, 3)``, bohr, lattice vectors are rows.
        pbc: periodicity of each structure along its lattice vectors.
        starts: the first atom of each structure, and the number of atoms.
    """

    positions: Array
    cells: Array
    pbc: tuple[tuple[bool, bool, bool], ...]
    starts: tuple[int, ...]

    @classmethod
    def of(cls, structures: Sequence[Structure]) -> Batch:
        return cls(
            np.concatenate([structure.positions for structure in structures]),
            np.array([structure.cell for structure in structures]),
            tuple(structure.pbc for structure in structures),
            tuple(accumulate((structure.n_atoms for structure in structures), initial=0)),
        )

    def split(self) -> Iterator[Batch]:
        """Yield the structures one by one."""
        for s, (start, end) in enumerate(pairwise(self.starts)):
            positions = self.positions[start:end]
            yield Batch(positions, self.cells[s : s + 1], self.pbc[s : s + 1], (0, end - start))


@dataclass(frozen=True, eq=False)
class NeighbourList:
    """All pairs of each structure of a batch that are closer than ``reach`` (bohr).

    Attributes:
        reference: the batch for which it was built.
        pairs: indices of sender and receiver, shape ``(2, n_pairs)``.
        images: shape ``(n_pairs, 3)``, lattice vectors to add to the receiver, whole numbers.
        shifts: shape ``(n_pairs, 3)``, bohr, the same in the cells of the reference.
        inverses: shape ``(n_structures, 3, 3)``, 1/bohr, pseudo-inverses of the periodic lattice
            vectors of these cells.
        starts: the first pair of each structure, and the number of pairs.
        reach: largest distance of a pair, bohr.
    """

    reference: Batch
    pairs: Integers
    images: Array
    shifts: Array
    inverses: Array
    starts: tuple[int, ...]
    reach: float

    @classmethod
    def of(cls, batch: Batch, reach: float) -> NeighbourList:
        """Find the pairs of a batch of one structure.

        Raises:
            EvaluationError: the cell does not fit the periodicity, or no neighbours can be found.
        """
        (cell,), (pbc,) = batch.cells, batch.pbc
        periodic = np.array(pbc)
        lattice = cell * periodic[:, None]
        if np.linalg.matrix_rank(lattice) < periodic.sum():
            raise EvaluationError(
                f"the cell {cell.tolist()} bohr has no lattice vectors for the "
                f"periodicity {pbc}; correct the cell or pbc of the structure"
            )
        # of lattice vectors that are not periodic, the search needs only the directions
        try:
            senders, receivers, images = matscipy.neighbours.neighbour_list(
                "ijS",
                positions=batch.positions,
                cell=complete_cell(lattice),
                pbc=periodic,
                cutoff=reach,
            )
        except (MemoryError, RuntimeError, SystemError) as error:
            reason = error.__cause__ or error
            raise EvaluationError(
                f"no neighbours can be found in the cell {cell.tolist()} bohr with atoms up to "
                f"{np.abs(batch.positions).max():.3g} bohr from the origin ({reason}); the "
                "simulation has most likely blown up: look at its last frames and its time step"
            ) from error
        pairs = np.stack([senders, receivers]).astype(np.int64)
        # a copy, because a reader of a socket may reuse the memory for the next positions
        reference = batch._replace(positions=batch.positions.copy(), cells=batch.cells.copy())
        images = images.astype(np.float64)
        inverses = np.linalg.pinv(lattice)[None]
        return cls(reference, pairs, images, images @ cell, inverses, (0, len(images)), reach)

    @classmethod
    def joined(cls, lists: Sequence[NeighbourList]) -> NeighbourList:
        """Join the lists of single structures into one."""
        references = [one.reference for one in lists]
        sizes = [len(reference.positions) for reference in references]
        starts = tuple(accumulate(sizes, initial=0))
        batch = Batch(
            np.concatenate([reference.positions for reference in references]),
            np.concatenate([reference.cells for reference in references]),
            tuple(pbc for reference in references for pbc in reference.pbc),
            starts,
        )
        pairs = [one.pairs + start for one, start in zip(lists, starts, strict=False)]
        return cls(
            batch,
            np.concatenate(pairs, axis=1),
            np.concatenate([one.images for one in lists]),
            np.concatenate([one.shifts for one in lists]),
            np.concatenate([one.inverses for one in lists]),
            tuple(accumulate((len(one.images) for one in lists), initial=0)),
            lists[0].reach,
        )

    def vectors(self, batch: Batch) -> Array:
        """Return vectors from senders to images of receivers, shape ``(n_pairs, 3)``, bohr."""
        senders, receivers = self.pairs
        vectors: Array = batch.positions.take(receivers, axis=0)
        vectors -= batch.positions.take(senders, axis=0)
        if (batch.cells == self.reference.cells).all():
            vectors += self.shifts
            return vectors
        if (batch.cells == batch.cells[0]).all():
            vectors += self.images @ batch.cells[0]
            return vectors
        for cell, (start, end) in zip(batch.cells, pairwise(self.starts), strict=True):
            vectors[start:end] += self.images[start:end] @ cell
        return vectors

    def is_complete_for(self, batch: Batch, cutoff: float) -> bool:
        r"""Return True if no pair within ``cutoff`` can be missing.

        The periodic lattice vectors h follow from those of the reference, h0, by a homogeneous
        deformation, h = h0 F; atoms move by u in addition, R = R0 F + u. A pair vector is then
        d = d0 F + u_J - u_I, so that |d0| <= (|d| + 2 max|u|) / sigma_min(F). All pairs with
        |d0| <= reach are known; hence none within the cutoff is missing as long as
        cutoff + 2 max|u| <= sigma_min(F) reach, and sigma_min(F) >= 1 - |F - 1|. Displacing all
        atoms alike changes no pair.
        """
        reference = self.reference
        if batch.starts != reference.starts or batch.pbc != reference.pbc:
            return False
        moved = batch.positions - reference.positions
        n_structures = len(batch.cells)
        shortest = 1.0
        if (batch.cells != reference.cells).any():
            changes = self.inverses @ (batch.cells - reference.cells)  # F - 1
            for change, (start, end) in zip(changes, pairwise(batch.starts), strict=True):
                moved[start:end] -= reference.positions[start:end] @ change
            shortest -= math.sqrt(np.einsum("sij,sij->s", changes, changes).max())
        if n_structures == 1:
            moved -= moved.sum(axis=0) / len(moved)
        else:
            sizes = np.diff(batch.starts)
            sums = np.add.reduceat(moved, batch.starts[:-1])
            moved -= np.repeat(sums / sizes[:, None], sizes, axis=0)
        largest = math.sqrt(np.einsum("Ii,Ii->I", moved, moved).max())
        return cutoff + 2 * largest <= shortest * self.reach


class NeighbourLists:
    """Neighbour lists of recent structures.

    i-PI does not tell a client which bead it sends, and beads may come one by one, together, or
    in another order. So a list belongs to no bead: any list that is provably complete for a
    structure serves it. Structures that come together are looked up together, as one list.

    Attributes:
        n_built: number of lists that have been built so far.

    Args:
        cutoff: distance for which lists must be complete, bohr.
        reach: distance for which lists are built, bohr.
        capacity: number of lists to keep at first; it grows if there are more beads.
    """

    def __init__(self, cutoff: float, reach: float, capacity: int) -> None:
        self.n_built = 0
        self._cutoff = cutoff
        self._reach = reach
        self._of_one = _LruLists(capacity)
        self._of_several = _LruLists(capacity=8)

    def __call__(self, batch: Batch) -> NeighbourList:
        """Return a list that is complete for all structures of the batch.

        Raises:
            EvaluationError: no neighbours can be found in a cell.
        """
        if len(batch.cells) == 1:
            return self._of_one.find(batch, self._cutoff) or self._build(batch)
        joined = self._of_several.find(batch, self._cutoff)
        if joined is None:
            joined = NeighbourList.joined([self(single) for single in batch.split()])
            self._of_several.add(joined)
        return joined

    def _build(self, batch: Batch) -> NeighbourList:
        neighbours = NeighbourList.of(batch, self._reach)
        self.n_built += 1
        self._of_one.add(neighbours)
        return neighbours


class _LruLists:
    """The least recently used lists are evicted; the capacity grows if this was too early.

    The search starts after the list that served last, so that beads in a fixed order find theirs at
    once. A list that has failed three times more often than there are lists is out of date.

    With more beads than lists, every list would be rebuilt at every step. So an evicted list is
    kept apart: if it is needed again, the capacity is too small.

    Args:
        capacity: number of lists to keep at first; it doubles when it turns out to be too small.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._lists: deque[_Entry] = deque()  # the list that served last is the last one
        self._last_evicted: _Entry | None = None

    def __len__(self) -> int:
        return len(self._lists)

    def find(self, batch: Batch, cutoff: float) -> NeighbourList | None:
        """Return a list that is complete for all structures of the batch, or None."""
        for place, entry in enumerate(self._lists):
            if entry.serves(batch, cutoff):
                self._lists.rotate(-place - 1)
                self._drop_old()
                return entry.neighbours
        evicted = self._last_evicted
        if evicted is None or not evicted.serves(batch, cutoff):
            return None
        self._last_evicted = None
        self._capacity *= 2
        self._lists.append(evicted)
        return evicted.neighbours

    def add(self, neighbours: NeighbourList) -> None:
        """Keep one more list, as the one that served last."""
        if len(self._lists) >= self._capacity:
            oldest = max(self._lists, key=lambda entry: entry.n_failed)
            self._lists.remove(oldest)
            if self._last_evicted is None or self._last_evicted.n_failed > 16 * self._capacity:
                self._last_evicted = replace(oldest, n_failed=0)
        self._lists.append(_Entry(neighbours))

    def _drop_old(self) -> None:
        most = 3 * len(self._lists)
        if any(entry.n_failed > most for entry in self._lists):
            self._lists = deque(entry for entry in self._lists if entry.n_failed <= most)


@dataclass(eq=False)
class _Entry:
    neighbours: NeighbourList
    n_failed: int = 0

    def serves(self, batch: Batch, cutoff: float) -> bool:
        """Return True if the list is complete for the batch, and count successive failures."""
        complete = self.neighbours.is_complete_for(batch, cutoff)
        self.n_failed = 0 if complete else self.n_failed + 1
        return complete
