r"""Vectors of the surroundings of atoms, and how they change when atoms move.

With :math:`f_a(r) = (1 - (r/d_a)^2)^2` for each species of J and each reach d,

.. math::

    s_I^a = \sum_J f_a(r_{IJ})\, r_{IJ}, \qquad
    Q_I^b = \sum_J f_b(r_{IJ})\, r_{IJ} r_{IJ}^T,

the sums over atoms I of one species of :math:`s_I^a` and of :math:`Q_I^b s_I^a` are vectors as a
dipole is. The first change by symmetric matrices; the second do not, as charges do that flow with
the surroundings, and dipoles that induce each other.
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
"""Angstrom."""


@dataclass(frozen=True)
class Pairs:
    """Neighbours J of atoms I.

    Attributes:
        senders: I, shape ``(n_pairs,)``.
        receivers: J, likewise.
        lengths: angstrom, likewise.
        vectors: from I to J, angstrom, shape ``(n_pairs, 3)``.
    """

    senders: Integers
    receivers: Integers
    lengths: Array
    vectors: Array

    @classmethod
    def of(cls, structure: Structure, cutoff: float) -> Pairs:
        """All that are nearer than ``cutoff``, angstrom, in both orders."""
        cell = structure.cell * np.array(structure.pbc)[:, None] / ANGSTROM
        found = matscipy.neighbours.neighbour_list(
            "ijdD",
            positions=structure.positions / ANGSTROM,
            cell=complete_cell(cell),
            pbc=np.array(structure.pbc),
            cutoff=cutoff,
        )
        return cls(*found)


def radial_functions(lengths: Array, reaches: Array) -> tuple[Array, Array]:
    """f = (1 - (r/d)^2)^2 and f'/r, shape ``(n_pairs, n_reaches)``; zero beyond a reach."""
    inside = np.clip(1.0 - (lengths[:, None] / reaches) ** 2, 0.0, None)
    return inside**2, -4.0 * inside / reaches**2


def vector_features(structure: Structure, species: Sequence[int]) -> tuple[Array, Array]:
    """The vectors v of a structure and their derivatives.

    Args:
        structure: any.
        species: atomic numbers that features are made for.

    Returns:
        v, shape ``(n_features, 3)``, and ``[I, k, i, j]`` = d v_ki / d R_Ij. Units of angstrom.
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
    """Vectors of so many species."""
    n_sums = n_species * len(REACHES)
    return n_species * n_sums * (1 + n_sums)


@dataclass(frozen=True)
class _Bonds:
    """What pairs add to sums over J, and these sums.

    Attributes:
        pairs: I to J.
        moves: shape ``(n_atoms, n_pairs)``: +1 for J and -1 for I.
        values: f of the pairs, shape ``(n_pairs, n_sums)``.
        slopes: f'/r.
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
        """Vectors that are summed over some atoms, with derivatives; several at once."""
        kept = np.flatnonzero(chosen[self.pairs.senders])
        moves, vectors = self.moves[:, kept], self.pairs.vectors[kept]
        outer = vectors[:, :, None] * vectors[:, None]
        unit = np.eye(3)
        values, slopes = (one[kept, :, None, None] for one in (self.values, self.slopes))
        changes = values * unit + slopes * outer[:, None]  # of s with R_J, [pair, a, i, j]
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
    """Sums over pairs, shape ``(n_atoms, ...)``."""
    flat = of_pairs.reshape(len(of_pairs), -1)
    return np.asarray(matrix @ flat).reshape(matrix.shape[0], *of_pairs.shape[1:])
