"""Neighbour lists that live for many steps.

A list that holds all pairs closer than ``cutoff + skin`` stays complete for ``cutoff`` until the
atoms have moved too far; only then it is made anew.
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
    """What neighbour lists depend on, of several structures.

    Attributes:
        positions: shape ``(n_atoms, 3)``, bohr, the structures one after the other.
        cells: shape ``(n_structures, 3, 3)``, bohr.
        pbc: of each structure.
        starts: the atom at which each structure begins, and the end.
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
        """The structures one by one."""
        for s, (start, end) in enumerate(pairwise(self.starts)):
            positions = self.positions[start:end]
            yield Batch(positions, self.cells[s : s + 1], self.pbc[s : s + 1], (0, end - start))


@dataclass(frozen=True, eq=False)
class NeighbourList:
    """All pairs of each structure of a batch that are closer than ``reach`` (bohr).

    Attributes:
        reference: the batch that it was made for.
        pairs: shape ``(2, n_pairs)``, sender and receiver.
        images: shape ``(n_pairs, 3)``, lattice vectors to add to the receiver, whole numbers.
        shifts: shape ``(n_pairs, 3)``, bohr, the same in the cells of the reference.
        inverses: shape ``(n_structures, 3, 3)``, 1/bohr, of these cells; nothing across directions
            that are not periodic.
        starts: the pair at which each structure begins, and the end.
        reach: bohr.
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
        """Search the pairs of a single structure."""
        (cell,), (pbc,) = batch.cells, batch.pbc
        periodic = np.array(pbc)
        lattice = cell * periodic[:, None]
        if np.linalg.matrix_rank(lattice) < periodic.sum():
            raise EvaluationError(
                f"the cell {cell.tolist()} bohr has no lattice vectors for the "
                f"periodicity {pbc}; correct the cell or pbc of the structure"
            )
        # Of lattice vectors that are not periodic, the search needs a direction, no length.
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
        # A copy: whoever reads positions from a socket may use the same memory for the next ones.
        reference = batch._replace(positions=batch.positions.copy(), cells=batch.cells.copy())
        images = images.astype(np.float64)
        inverses = np.linalg.pinv(lattice)[None]
        return cls(reference, pairs, images, images @ cell, inverses, (0, len(images)), reach)

    @classmethod
    def joined(cls, lists: Sequence[NeighbourList]) -> NeighbourList:
        """One list for structures that have one each."""
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
        """Shape ``(n_pairs, 3)``, from senders to images of receivers, at present positions."""
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
        r"""Whether no pair within ``cutoff`` can be missing.

        The periodic lattice vectors h follow from those of the reference, h0, by a homogeneous
        deformation, h = h0 F; what the atoms do beyond it is R = R0 F + u. A pair vector is then
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
    """The lists of all structures that were seen lately.

    A client is not told which bead it gets, and beads may come one by one, together, or in
    another order. So a list belongs to no bead: any list that is provably complete for a
    structure serves it. Structures that came together are looked up together, as one list.

    Attributes:
        n_built: how many lists have been made so far.

    Args:
        cutoff: bohr, for which lists must be complete.
        reach: bohr, for which they are made.
        capacity: how many lists are kept at first; more, if there are more beads.
    """

    def __init__(self, cutoff: float, reach: float, capacity: int) -> None:
        self.n_built = 0
        self._cutoff = cutoff
        self._reach = reach
        self._of_one = _Kept(capacity)
        self._of_several = _Kept(capacity=8)

    def __call__(self, batch: Batch) -> NeighbourList:
        """A list that is complete for all structures of the batch.

        Raises:
            EvaluationError: a cell has no neighbour list.
        """
        if len(batch.cells) == 1:
            return self._of_one.find(batch, self._cutoff) or self._build(batch)
        found = self._of_several.find(batch, self._cutoff)
        if found is None:
            found = NeighbourList.joined([self(one) for one in batch.split()])
            self._of_several.add(found)
        return found

    def _build(self, batch: Batch) -> NeighbourList:
        neighbours = NeighbourList.of(batch, self._reach)
        self.n_built += 1
        self._of_one.add(neighbours)
        return neighbours


class _Kept:
    """Lists in the order in which they serve, as long as the beads keep theirs.

    They are tried beginning after the one that served last, which finds the right one at once. A
    list that was looked at in vain three times more often than there are lists is out of date.

    More beads than lists would rebuild every list at every step. So one of those that had to go is
    kept as a witness: if it is asked for again, there is place for too few.

    Args:
        capacity: so many are kept, and twice as many whenever these turn out to be too few.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._lists: deque[_Entry] = deque()  # the one that served last stands last
        self._witness: _Entry | None = None

    def __len__(self) -> int:
        return len(self._lists)

    def find(self, batch: Batch, cutoff: float) -> NeighbourList | None:
        """A list that is complete for all structures of the batch."""
        for place, entry in enumerate(self._lists):
            if entry.serves(batch, cutoff):
                self._lists.rotate(-place - 1)
                self._drop_old()
                return entry.neighbours
        witness = self._witness
        if witness is None or not witness.serves(batch, cutoff):
            return None
        self._witness = None
        self._capacity *= 2
        self._lists.append(witness)
        return witness.neighbours

    def add(self, neighbours: NeighbourList) -> None:
        """Keep one more, as the one that served last."""
        if len(self._lists) >= self._capacity:
            oldest = max(self._lists, key=lambda entry: entry.n_vain)
            self._lists.remove(oldest)
            if self._witness is None or self._witness.n_vain > 16 * self._capacity:
                self._witness = replace(oldest, n_vain=0)
        self._lists.append(_Entry(neighbours))

    def _drop_old(self) -> None:
        most = 3 * len(self._lists)
        if any(entry.n_vain > most for entry in self._lists):
            self._lists = deque(entry for entry in self._lists if entry.n_vain <= most)


@dataclass(eq=False)
class _Entry:
    neighbours: NeighbourList
    n_vain: int = 0

    def serves(self, batch: Batch, cutoff: float) -> bool:
        """Whether the list is complete for the batch; counts how often it was not."""
        complete = self.neighbours.is_complete_for(batch, cutoff)
        self.n_vain = 0 if complete else self.n_vain + 1
        return complete
