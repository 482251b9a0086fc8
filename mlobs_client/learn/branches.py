"""Put dipoles, which are known only modulo quanta, on the branch nearest to a prediction.

The quanta of the dipole of a periodic structure are e times its lattice vectors. So only the
smallest representative of a residual, label - e sum N_I R_I - prediction, is meaningful, where the
N_I are the oxidation numbers of the atoms, and the R_I their positions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final

import numpy as np
import numpy.typing as npt
from ase.geometry import complete_cell, minkowski_reduce

from mlobs_client.errors import EvaluationError
from mlobs_client.structure import Array, Integers, Structure
from mlobs_client.units import ANGSTROM

AMBIGUOUS: Final = 0.35
"""Residual above which a neighbouring branch explains a label nearly as well, quanta."""

OUTLYING: Final = 8.0
"""Length above which a residual is an outlier, in units of the median length."""

N_BINS: Final = 20
"""Number of bins of the histogram of residuals."""


class Quanta:
    """The quanta of the dipole of one structure.

    Args:
        cell: shape ``(3, 3)``, lattice vectors are rows, usually in angstrom; dipoles are in e
            times the same unit.
        pbc: periodicity along each lattice vector; directions that are not periodic have no quanta.

    Raises:
        EvaluationError: the periodic lattice vectors are linearly dependent.
    """

    def __init__(self, cell: Array, pbc: Sequence[bool]) -> None:
        self._periodic = np.array(pbc, dtype=bool)
        lattice = cell * self._periodic[:, None]
        if np.linalg.matrix_rank(lattice) < self._periodic.sum():
            raise EvaluationError(
                f"the cell {cell.tolist()} has no lattice vectors for the periodicity "
                f"{tuple(pbc)}; correct the cell or pbc of the structure"
            )
        # directions without periodicity get orthogonal vectors, so that nothing is projected
        self._cell = complete_cell(lattice)
        self._reduced, self._operation = minkowski_reduce(self._cell, self._periodic)
        self._inverse = np.linalg.inv(self._reduced)
        # in a reduced cell, the nearest lattice vector is the rounded one or a neighbour of it
        steps = product(*((0, -1, 1) if periodic else (0,) for periodic in self._periodic))
        self._steps = np.array(list(steps), dtype=np.int64)

    @classmethod
    def of(cls, structure: Structure) -> Quanta:
        """Return the quanta of a structure, e angstrom."""
        return cls(structure.cell / ANGSTROM, structure.pbc)

    @property
    def along(self) -> npt.NDArray[np.bool_]:
        """Mask of the lattice vectors along which there are quanta, shape ``(3,)``."""
        return self._periodic

    def nearest(self, vectors: npt.ArrayLike) -> Integers:
        """Return the integer coordinates of the lattice vectors nearest to the given vectors.

        Args:
            vectors: shape ``(..., 3)``, in the unit of the quanta.

        Returns:
            Shape ``(..., 3)``, one integer for each lattice vector.
        """
        vectors = np.asarray(vectors, dtype=np.float64)
        rounded = np.round(vectors @ self._inverse) * self._periodic
        rests = vectors - rounded @ self._reduced
        around = rests[..., None, :] - self._steps @ self._reduced
        lengths = np.linalg.norm(around, axis=-1)
        lengths[..., 1:] += (
            1e-9 * np.abs(self._reduced).max()
        )  # of two equal ones, the first counts
        best = rounded.astype(np.int64) + self._steps[lengths.argmin(axis=-1)]
        return np.asarray(best @ self._operation, dtype=np.int64)

    def shifts(self, vectors: npt.ArrayLike) -> Array:
        """Return the lattice vectors nearest to the given vectors.

        Args:
            vectors: shape ``(..., 3)``, in the unit of the quanta.

        Returns:
            Shape ``(..., 3)``, same unit.
        """
        return np.asarray(self.nearest(vectors) @ self._cell)

    def fold(self, vectors: npt.ArrayLike) -> Array:
        """Return the smallest representatives of vectors modulo quanta.

        Args:
            vectors: shape ``(..., 3)``, in the unit of the quanta.

        Returns:
            Shape ``(..., 3)``, same unit.
        """
        vectors = np.asarray(vectors, dtype=np.float64)
        return np.asarray(vectors - self.shifts(vectors))

    def fractions(self, vectors: npt.ArrayLike) -> Array:
        """Return vectors in quanta along each lattice vector; zero where there are no quanta.

        Args:
            vectors: shape ``(..., 3)``, in the unit of the quanta.

        Returns:
            Shape ``(..., 3)``, quanta.
        """
        fractions = np.asarray(vectors, dtype=np.float64) @ np.linalg.inv(self._cell)
        return np.asarray(fractions * self._periodic)

    def reduced_fractions(self, vectors: npt.ArrayLike) -> Array:
        """Return vectors in quanta along the shortest vectors that span the same lattice.

        Args:
            vectors: shape ``(..., 3)``, in the unit of the quanta.

        Returns:
            Shape ``(..., 3)``, quanta.
        """
        fractions = np.asarray(vectors, dtype=np.float64) @ self._inverse
        return np.asarray(fractions * self._periodic)


@dataclass(frozen=True)
class Unexplained:
    """A label that no branch, or more than one branch, explains.

    Attributes:
        index: index of the structure in its file, from 0.
        residual: residual along each lattice vector, shape ``(3,)``, quanta.
        reason: reason in words.
    """

    index: int
    residual: tuple[float, float, float]
    reason: str


@dataclass(frozen=True)
class BranchReport:
    """A comparison of labels and predictions, modulo quanta.

    Attributes:
        n_periodic: number of structures whose dipole has quanta.
        moves: number of labels that were moved by each combination of quanta, except zero.
        edges: edges of the bins of the histogram, shape ``(n_bins + 1,)``, quanta.
        histogram: number of residuals along each lattice vector, shape ``(3, n_bins)``.
        unexplained: labels to inspect; they are not left out.
    """

    n_periodic: int
    moves: Mapping[tuple[int, int, int], int]
    edges: Array
    histogram: Integers
    unexplained: tuple[Unexplained, ...]

    @property
    def n_moved(self) -> int:
        return sum(self.moves.values())

    def as_json(self) -> dict[str, object]:
        """Return all results for JSON."""
        return {
            "n_periodic": self.n_periodic,
            "n_moved": self.n_moved,
            "moves": [{"quanta": list(q), "labels": n} for q, n in self.moves.items()],
            "histogram": {"edges": self.edges.tolist(), "counts": self.histogram.tolist()},
            "unexplained": [
                {"structure": one.index, "residual": list(one.residual), "reason": one.reason}
                for one in self.unexplained
            ],
        }


def report_branches(
    indices: Sequence[int], quanta: Sequence[Quanta], residuals: Array
) -> BranchReport:
    """Compare labels with predictions by their residuals.

    Args:
        indices: indices of the structures in their file.
        quanta: quanta of each structure.
        residuals: label - e sum N_I R_I - prediction, with labels as given, shape
            ``(n_structures, 3)``, in the unit of the quanta.
    """
    moves: Counter[tuple[int, int, int]] = Counter()
    fractions, lengths = np.zeros((len(residuals), 3)), np.zeros(len(residuals))
    for s, (one, residual) in enumerate(zip(quanta, residuals, strict=True)):
        i, j, k = one.nearest(residual).tolist()
        moves[i, j, k] += 1
        fractions[s] = one.fractions(one.fold(residual))
        lengths[s] = np.linalg.norm(one.fold(residual))
    del moves[0, 0, 0]
    periodic = np.array([one.along for one in quanta], dtype=bool).reshape(-1, 3)
    edges = np.linspace(-0.5, 0.5, N_BINS + 1)
    inside = np.clip(fractions, -0.5, 0.5)
    counts = [np.histogram(inside[periodic[:, k], k], edges)[0] for k in range(3)]
    return BranchReport(
        n_periodic=int(periodic.any(axis=1).sum()),
        moves=dict(moves.most_common()),
        edges=edges,
        histogram=np.array(counts),
        unexplained=tuple(_find_unexplained(indices, fractions, lengths)),
    )


def _find_unexplained(
    indices: Sequence[int], fractions: Array, lengths: Array
) -> list[Unexplained]:
    limit = OUTLYING * float(np.median(lengths)) if len(lengths) else 0.0
    unexplained = []
    for index, fraction, length in zip(indices, fractions, lengths, strict=True):
        x, y, z = np.round(fraction, 4).tolist()
        largest = float(np.abs(fraction).max())
        if largest > AMBIGUOUS:
            reason = f"{largest:.2f} quanta away: a neighbouring branch explains it nearly as well"
            unexplained.append(Unexplained(int(index), (x, y, z), reason))
        elif length > limit:
            reason = f"{length / limit * OUTLYING:.0f} times the median residual away"
            unexplained.append(Unexplained(int(index), (x, y, z), reason))
    return unexplained
