r"""Compute vectors of atomic environments, and their derivatives with respect to positions.

With :math:`f_a(r) = (1 - (r/d_a)^2)^2` for each species of J and each reach d,

.. math::

    s_I^a = \sum_J f_a(r_{IJ})\, r_{IJ}, \qquad
    Q_I^b = \sum_J f_b(r_{IJ})\, r_{IJ} r_{IJ}^T,

the sums over atoms I of one species of :math:`s_I^a` and of :math:`Q_I^b s_I^a` are vectors like a
dipole. The derivatives of the first are symmetric; those of the second are not, as for charge
transfer that depends on the environment, and for mutually induced dipoles.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import matscipy.neighbours
import numpy as np
import numpy.typing as npt
from ase.geometry import complete_cell
from scipy.sparse import csr_array

from mlobs_client.structure import Array, Integers, Structure
from mlobs_client.units import ANGSTROM

REACHES: Final = (1.2, 2.0, 3.0, 4.0)
"""Reaches d, angstrom."""


@dataclass(frozen=True)
class Pairs:
    """Neighbours J of atoms I.

    Attributes:
        senders: indices I, shape ``(n_pairs,)``.
        receivers: indices J, shape ``(n_pairs,)``.
        lengths: distances, angstrom, shape ``(n_pairs,)``.
        vectors: vectors from I to J, angstrom, shape ``(n_pairs, 3)``.
    """

    senders: Integers
    receivers: Integers
    lengths: Array
    vectors: Array

    @classmethod
    def of(cls, structure: Structure, cutoff: float) -> Pairs:
        """Return all pairs within the cutoff (angstrom), in both orders."""
        cell = structure.cell * np.array(structure.pbc)[:, None] / ANGSTROM
        neighbours = matscipy.neighbours.neighbour_list(
            "ijdD",
            positions=structure.positions / ANGSTROM,
            cell=complete_cell(cell),
            pbc=np.array(structure.pbc),
            cutoff=cutoff,
        )
        return cls(*neighbours)


def radial_functions(lengths: Array, reaches: Array) -> tuple[Array, Array]:
    """Return f = (1 - (r/d)^2)^2 and f'/r, shape ``(n_pairs, n_reaches)``; zero beyond d."""
    inside = np.clip(1.0 - (lengths[:, None] / reaches) ** 2, 0.0, None)
    return inside**2, -4.0 * inside / reaches**2


def vector_features(structure: Structure, species: Sequence[int]) -> tuple[Array, Array]:
    """Return the vectors v of a structure and their derivatives.

    Args:
        structure: the structure.
        species: atomic numbers of all structures.

    Returns:
        v, shape ``(n_features, 3)``, and ``[I, k, i, j]`` = d v_ki / d R_Ij, in powers of
        angstrom.
    """
    pairs = Pairs.of(structure, max(REACHES))
    bonds = _Bonds.of(structure, pairs, species)
    values, slopes = [], []
    for z in species:
        for value, slope in bonds.around(structure.numbers == z):
            values.append(value)
            slopes.append(slope)
    return np.concatenate(values), np.concatenate(slopes, axis=1)


def count_features(n_species: int) -> int:
    """Return the number of vectors for this number of species."""
    n_sums = n_species * len(REACHES)
    return n_species * n_sums * (1 + n_sums)


@dataclass(frozen=True)
class _Bonds:
    """Contributions of pairs to sums over J, and these sums.

    Attributes:
        pairs: pairs I, J.
        moves: matrix with +1 for J and -1 for I, shape ``(n_atoms, n_pairs)``.
        values: f of the pairs, shape ``(n_pairs, n_sums)``.
        slopes: f'/r of the pairs, shape ``(n_pairs, n_sums)``.
        vectors: s of the atoms, shape ``(n_atoms, n_sums, 3)``.
        tensors: Q of the atoms, shape ``(n_atoms, n_sums, 3, 3)``.
    """

    pairs: Pairs
    moves: csr_array
    values: Array
    slopes: Array
    vectors: Array
    tensors: Array

    @classmethod
    def of(cls, structure: Structure, pairs: Pairs, species: Sequence[int]) -> _Bonds:
        n_pairs, shape = len(pairs.lengths), (structure.n_atoms, len(pairs.lengths))
        ones, order = np.ones(n_pairs), np.arange(n_pairs)
        own = csr_array((ones, (pairs.senders, order)), shape=shape)
        other = csr_array((ones, (pairs.receivers, order)), shape=shape)
        is_species = structure.numbers[pairs.receivers][:, None] == np.array(species)
        values, slopes = (
            (is_species[:, :, None] * one[:, None]).reshape(n_pairs, -1)
            for one in radial_functions(pairs.lengths, np.array(REACHES))
        )
        vectors = values[:, :, None] * pairs.vectors[:, None]
        tensors = vectors[:, :, :, None] * pairs.vectors[:, None, None]
        return cls(
            pairs, other - own, values, slopes, _apply(own, vectors), _apply(own, tensors)
        )  # fmt: skip

    def around(self, chosen: npt.NDArray[np.bool_]) -> Iterator[tuple[Array, Array]]:
        """Yield vectors summed over the chosen atoms, with their derivatives, in groups."""
        kept = np.flatnonzero(chosen[self.pairs.senders])
        moves, vectors = self.moves[:, kept], self.pairs.vectors[kept]
        outer = vectors[:, :, None] * vectors[:, None]
        unit = np.eye(3)
        values, slopes = (one[kept, :, None, None] for one in (self.values, self.slopes))
        changes = values * unit + slopes * outer[:, None]  # of the sums with R_J, [pair, a, i, j]
        yield self.vectors[chosen].sum(axis=0), _apply(moves, changes)
        at_sender = self.vectors[self.pairs.senders[kept]]
        along = np.einsum("pak,pk->pa", at_sender, vectors)[:, :, None, None]
        crossed = vectors[:, None, :, None] * at_sender[:, :, None]
        for b in range(values.shape[1]):
            tensors = self.tensors[:, b]
            product = np.einsum("Iik,Iak->ai", tensors[chosen], self.vectors[chosen])
            grown = np.einsum("pik,pakj->paij", tensors[self.pairs.senders[kept]], changes)
            grown += values[:, b, None] * (along * unit + crossed)
            grown += slopes[:, b, None] * along * outer[:, None]
            yield product, _apply(moves, grown)


def _apply(matrix: csr_array, of_pairs: Array) -> Array:
    """Return sums over pairs, shape ``(n_atoms, ...)``."""
    flat = of_pairs.reshape(len(of_pairs), -1)
    return np.asarray(matrix @ flat).reshape(matrix.shape[0], *of_pairs.shape[1:])
