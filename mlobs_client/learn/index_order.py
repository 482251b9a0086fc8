r"""Which index of Born charges is that of the dipole?

Exchanged, the two indices of d mu_i / d R_Ij leave its symmetric part and turn the sign of the
antisymmetric one. What a dipole does to one part it does to the other: a model whose derivatives
are fitted to dipoles and to symmetric parts predicts antisymmetric parts of the right sign.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import scipy.linalg

from mlobs_client.learn.vector_features import count_features, vector_features
from mlobs_client.structure import Array, Integers, Structure

DECIDES: Final = 0.2
"""Correlation of antisymmetric parts; right models of water and of oxides reach 0.5 to 0.99."""

EXPLAINED: Final = 0.8
"""Of the squares of symmetric parts of atoms that were not fitted, at least."""

VISIBLE: Final = 0.3
"""Size of antisymmetric parts, in what the model leaves of symmetric ones: with smaller ones, right
labels of wurtzite correlate by -0.5, with larger ones those of 15 random ionic crystals by 0.66 or
more."""

MOST_ATOMS: Final = 600
"""Structures are taken until there are so many."""

RIDGE: Final = 1e-4
"""Relative to the square of each feature."""


@dataclass(frozen=True)
class IndexOrder:
    """What antisymmetric parts say.

    Attributes:
        correlation: of those of labels with those of the model; NaN where there is no model.
        reason: why it cannot be told; empty if it can.
    """

    correlation: float
    reason: str = ""

    @property
    def is_wrong(self) -> bool:
        """Whether the first index is that of the coordinate."""
        return not self.reason and self.correlation < 0.0

    def as_json(self) -> dict[str, Any]:
        """For a report."""
        known = np.isfinite(self.correlation)
        return {"correlation": self.correlation if known else None, "cannot_tell": self.reason}


def find_index_order(
    structures: Sequence[Structure],
    born_charges: Sequence[Array],
    dipoles: Array | None = None,
) -> IndexOrder:
    """Judge Born charges by a model that is fitted to what does not depend on their order.

    Args:
        structures: in random order; the first ones are taken.
        born_charges: of each, shape ``(n_atoms, 3, 3)``, supposed to be [I,i,j] =
            d dipole_i / d R_Ij, less integers times the unit matrix, e.
        dipoles: of each, less the same integers times positions, on one branch, e angstrom, shape
            ``(n_structures, 3)``.
    """
    n_taken = int(np.searchsorted(np.cumsum([one.n_atoms for one in structures]), MOST_ATOMS)) + 1
    taken, labels = structures[:n_taken], np.concatenate(born_charges[:n_taken])
    species = sorted({int(z) for one in taken for z in one.numbers})
    fitted = _every_second(np.concatenate([one.numbers for one in taken]))
    n_equations = 6 * int(fitted.sum()) + (0 if dipoles is None else 3 * len(taken))
    n_features = count_features(len(species))
    if n_equations < n_features:
        few = f"{n_equations} numbers are too few to fit {n_features} for {len(species)} species"
        return IndexOrder(np.nan, few)
    values, slopes = zip(*(vector_features(one, species) for one in taken), strict=True)
    even, odd = _parts(np.moveaxis(np.concatenate(slopes), 1, -1))  # [I, i, j, feature]
    symmetric, antisymmetric = _parts(labels)
    rows, right = [even[fitted].reshape(-1, n_features)], [symmetric[fitted].ravel()]
    if dipoles is not None:
        vectors, known = np.swapaxes(values, 1, 2), dipoles[:n_taken]
        rows.append((vectors - vectors.mean(axis=0)).reshape(-1, n_features))
        right.append((known - known.mean(axis=0)).ravel())
    charges = _fit(rows, right)
    left = symmetric[~fitted] - even[~fitted] @ charges
    correlation = _correlate(antisymmetric, odd @ charges)
    return IndexOrder(
        correlation, _doubt(correlation, *map(_rms, (antisymmetric, symmetric, left)))
    )


def _doubt(correlation: float, antisymmetric: float, symmetric: float, left: float) -> str:
    """Why this says nothing, from root mean squares of labels and of what the model leaves."""
    if left**2 > (1.0 - EXPLAINED) * symmetric**2:
        return f"a model leaves {left:.2g} of {symmetric:.2g} e of their symmetric parts"
    if antisymmetric < VISIBLE * left:
        return (
            f"their antisymmetric parts, {antisymmetric:.2g} e, are small against the {left:.2g} e "
            "that a model leaves of symmetric ones"
        )
    if abs(correlation) < DECIDES:
        return f"their antisymmetric parts correlate by {correlation:.2f} with those of a model"
    return ""


def _rms(values: Array) -> float:
    return float(np.sqrt(np.mean(values**2)))


def _correlate(first: Array, second: Array) -> float:
    """Zero where one of them is."""
    sizes = float(np.linalg.norm(first) * np.linalg.norm(second))
    return float(np.sum(first * second)) / sizes if sizes else 0.0


def _every_second(numbers: Integers) -> npt.NDArray[np.bool_]:
    """Of each species, the first, third, ... atom."""
    chosen = np.zeros(len(numbers), dtype=bool)
    for z in np.unique(numbers):
        chosen[np.flatnonzero(numbers == z)[::2]] = True
    return chosen


def _parts(tensors: Array) -> tuple[Array, Array]:
    """Symmetric and antisymmetric, in the indices 1 and 2."""
    turned = tensors.swapaxes(1, 2)
    return 0.5 * (tensors + turned), 0.5 * (tensors - turned)


def _fit(rows: Sequence[Array], labels: Sequence[Array]) -> Array:
    """Least squares in which every kind of label counts alike."""
    sizes = [np.linalg.norm(one) or 1.0 for one in labels]
    matrix = np.concatenate([one / size for one, size in zip(rows, sizes, strict=True)])
    right = np.concatenate([one / size for one, size in zip(labels, sizes, strict=True)])
    lengths = np.linalg.norm(matrix, axis=0)
    matrix /= np.where(lengths > 0.0, lengths, 1.0)
    normal = matrix.T @ matrix + RIDGE * np.eye(matrix.shape[1])
    found = scipy.linalg.solve(normal, matrix.T @ right, assume_a="pos")
    return np.asarray(found / np.where(lengths > 0.0, lengths, 1.0))
