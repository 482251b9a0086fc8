r"""Determine which index of Born charges is that of the dipole.

Exchanging the indices of d mu_i / d R_Ij keeps the symmetric part and changes the sign of the
antisymmetric one. A model whose derivatives are fitted to dipoles and to symmetric parts predicts
antisymmetric parts with the right sign.
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
"""Smallest correlation of antisymmetric parts that determines the order; models of water and of
oxides reach 0.5 to 0.99."""

EXPLAINED: Final = 0.8
"""Smallest explained fraction of the squared symmetric parts of atoms that were not fitted."""

VISIBLE: Final = 0.3
"""Smallest size of antisymmetric parts, in units of the residual of symmetric ones: below it, the
correlation of correct labels is -0.5 for wurtzite; above it, 0.66 or more for 15 random ionic
crystals."""

MOST_ATOMS: Final = 600
"""Number of atoms after which no more structures are used."""

RIDGE: Final = 1e-4
"""Regularization, relative to the square of each feature."""


@dataclass(frozen=True)
class IndexOrder:
    """The order of the indices of Born charges, as their antisymmetric parts show it.

    Attributes:
        correlation: correlation between labels and model; NaN without a model.
        reason: reason why the order is undetermined; empty if it is determined.
    """

    correlation: float
    reason: str = ""

    @property
    def is_wrong(self) -> bool:
        """True if the first index is that of the coordinate."""
        return not self.reason and self.correlation < 0.0

    def as_json(self) -> dict[str, Any]:
        """Return the entries of a report."""
        known = np.isfinite(self.correlation)
        return {"correlation": self.correlation if known else None, "cannot_tell": self.reason}


def find_index_order(
    structures: Sequence[Structure],
    born_charges: Sequence[Array],
    dipoles: Array | None = None,
) -> IndexOrder:
    """Compare Born charges with a model that is fitted to data that do not depend on the order.

    Args:
        structures: structures in random order; the first ones are used.
        born_charges: Born charges of each, shape ``(n_atoms, 3, 3)``, expected to be [I,i,j] =
            d dipole_i / d R_Ij, minus integers times the unit matrix, e.
        dipoles: dipoles of each, minus the same integers times positions, on one branch,
            e angstrom, shape ``(n_structures, 3)``.
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
    """Return the reason why the order is undetermined, from root mean squares and residuals."""
    if left**2 > (1.0 - EXPLAINED) * symmetric**2:
        return f"a model does not explain {left:.2g} of {symmetric:.2g} e of their symmetric parts"
    if antisymmetric < VISIBLE * left:
        return (
            f"their antisymmetric parts, {antisymmetric:.2g} e, are small compared with the "
            f"{left:.2g} e of symmetric ones that a model does not explain"
        )
    if abs(correlation) < DECIDES:
        return f"the correlation of their antisymmetric parts with a model's is {correlation:.2f}"
    return ""


def _rms(values: Array) -> float:
    return float(np.sqrt(np.mean(values**2)))


def _correlate(first: Array, second: Array) -> float:
    """Return the correlation; zero if one of the arrays is zero."""
    sizes = float(np.linalg.norm(first) * np.linalg.norm(second))
    return float(np.sum(first * second)) / sizes if sizes else 0.0


def _every_second(numbers: Integers) -> npt.NDArray[np.bool_]:
    """Return a mask of the first, third, ... atom of each species."""
    chosen = np.zeros(len(numbers), dtype=bool)
    for z in np.unique(numbers):
        chosen[np.flatnonzero(numbers == z)[::2]] = True
    return chosen


def _parts(tensors: Array) -> tuple[Array, Array]:
    """Return the symmetric and the antisymmetric part in axes 1 and 2."""
    turned = tensors.swapaxes(1, 2)
    return 0.5 * (tensors + turned), 0.5 * (tensors - turned)


def _fit(rows: Sequence[Array], labels: Sequence[Array]) -> Array:
    """Solve a least-squares problem in which every kind of label has the same weight."""
    sizes = [np.linalg.norm(one) or 1.0 for one in labels]
    matrix = np.concatenate([one / size for one, size in zip(rows, sizes, strict=True)])
    right = np.concatenate([one / size for one, size in zip(labels, sizes, strict=True)])
    lengths = np.linalg.norm(matrix, axis=0)
    matrix /= np.where(lengths > 0.0, lengths, 1.0)
    normal = matrix.T @ matrix + RIDGE * np.eye(matrix.shape[1])
    solution = scipy.linalg.solve(normal, matrix.T @ right, assume_a="pos")
    return np.asarray(solution / np.where(lengths > 0.0, lengths, 1.0))
