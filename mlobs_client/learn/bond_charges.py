r"""The first prediction of a dipole, by which labels are put on one branch before training.

Where the learned part of a dipole exceeds half a quantum, the branch nearest to zero is no better
than any other, and a network that starts from it learns noise. A model of few numbers can be
searched through: charges that pass along pairs of atoms,

.. math::

    \mu = \sum_{S < T} \sum_k q_{STk} \sum_{I \in S, J \in T} f_k(r_{IJ}) \, r_{IJ} .

Fits from many random starts, each of which puts the labels on the branch that is nearest to its own
prediction, find the branches that agree with each other. The network later refines them.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Final, NamedTuple

import matscipy.neighbours
import numpy as np
from ase.geometry import complete_cell

from mlobs_client.learn.branches import Quanta
from mlobs_client.structure import Array, Structure
from mlobs_client.units import ANGSTROM

REACHES: Final = (0.4, 0.6, 0.8, 1.0)
"""Of the functions f_k = (1 - (r / reach)^2)^2, in cutoffs."""

KEPT: Final = (200, 20, 20)
"""Starts of each round; the best go on to the next."""

N_ITERATIONS: Final = 10
FARTHEST: Final = 2.0
"""Root mean square of the predictions that fits start from, in edges of the cell, at most."""

AS_GOOD: Final = 2.0
"""Residuals within this factor of the smallest leave the choice to the size of the charges: where
all structures are nearly the same, large charges can explain every branch."""

CLEAR: Final = 0.25
"""Quanta; where no label is farther from zero, zero is the first prediction."""

MOST_STRUCTURES: Final = 300


class FirstPrediction(NamedTuple):
    """Charges of pairs, and how well they explain labels.

    Attributes:
        charges: shape ``(n_features,)``, e.
        before: root mean square of the folded labels, e angstrom.
        after: the same of what these charges leave of them.
    """

    charges: Array
    before: float
    after: float


def pair_features(structure: Structure, species: Sequence[int], cutoff: float) -> Array:
    """The sums over pairs, shape ``(3, n_features)``, angstrom.

    Args:
        structure: any.
        species: atomic numbers of all structures.
        cutoff: angstrom.
    """
    cell = structure.cell * np.array(structure.pbc)[:, None] / ANGSTROM
    senders, receivers, lengths, vectors = matscipy.neighbours.neighbour_list(
        "ijdD",
        positions=structure.positions / ANGSTROM,
        cell=complete_cell(cell),
        pbc=np.array(structure.pbc),
        cutoff=cutoff,
    )
    senders, receivers = structure.numbers[senders], structure.numbers[receivers]
    columns = []
    for first, second in combinations(sorted(species), 2):
        kept = (senders == first) & (receivers == second)
        r, v = lengths[kept], vectors[kept]
        columns += [np.clip(1.0 - (r / (c * cutoff)) ** 2, 0.0, None) ** 2 @ v for c in REACHES]
    return np.array(columns).reshape(-1, 3).T


def fit_bond_charges(
    features: Array, labels: Array, quanta: Sequence[Quanta], seed: int
) -> FirstPrediction:
    """Find charges whose predictions are near to some branch of every label.

    Args:
        features: shape ``(n_structures, 3, n_features)``, angstrom.
        labels: shape ``(n_structures, 3)``, label - e sum N R on any branch, e angstrom.
        quanta: of each structure.
        seed: of the random starts.
    """
    random = np.random.default_rng([seed, 3])
    chosen = random.permutation(len(labels))[:MOST_STRUCTURES]
    features, labels = features[chosen], labels[chosen]
    quanta = [quanta[s] for s in chosen]
    before = float(_rms(_folded(labels[:, None], quanta))[0])
    nothing = FirstPrediction(np.zeros(features.shape[2]), before, before)
    if _is_clear(labels, quanta):
        return nothing
    rows = features.reshape(labels.size, features.shape[2])
    left, scales, right = np.linalg.svd(rows, full_matrices=False)
    kept = scales > 1e-6 * max(scales, default=0.0)
    if not kept.any():
        return nothing
    norm = np.sqrt(len(rows))
    basis = norm * left[:, kept].reshape(*labels.shape, -1)  # predictions of unit mean square
    starts = random.normal(size=(KEPT[0], basis.shape[2]))
    largest = FARTHEST * max(one.edge for one in quanta)
    lengths = random.uniform(0.0, largest, (len(starts), 1))
    starts *= lengths / np.linalg.norm(starts, axis=1, keepdims=True)
    starts[0] = 0.0
    found, after = _search(basis, labels, quanta, starts)
    return FirstPrediction((norm * found / scales[kept]) @ right[kept], before, after)


def _is_clear(labels: Array, quanta: Sequence[Quanta]) -> bool:
    """Whether every label has one branch that is near to zero, and no other."""
    pairs = zip(labels, quanta, strict=True)
    return all((np.abs(q.fractions(q.fold(label))) < CLEAR).all() for label, q in pairs)


def _search(
    basis: Array, labels: Array, quanta: Sequence[Quanta], fits: Array
) -> tuple[Array, float]:
    """Fits in turns with choosing the nearest branches; the best of many starts."""
    for n_kept in KEPT:
        fits = fits[:n_kept]
        for _ in range(N_ITERATIONS):
            residuals = _residuals(basis, labels, quanta, fits)
            fits = fits + np.einsum("sik,sni->nk", basis, residuals) / labels.size
        errors = _rms(_residuals(basis, labels, quanta, fits))
        order = errors.argsort(kind="stable")
        fits, errors = fits[order], errors[order]
    as_good = errors <= AS_GOOD * errors[0]
    smallest = np.linalg.norm(fits[as_good], axis=1).argmin()
    return fits[smallest], float(errors[smallest])


def _residuals(basis: Array, labels: Array, quanta: Sequence[Quanta], fits: Array) -> Array:
    predictions = np.einsum("sik,nk->sni", basis, fits)
    return _folded(labels[:, None] - predictions, quanta)


def _folded(residuals: Array, quanta: Sequence[Quanta]) -> Array:
    return np.array([one.fold(r) for one, r in zip(quanta, residuals, strict=True)])


def _rms(residuals: Array) -> Array:
    """Of every fit, from ``(n_structures, n_fits, 3)``."""
    return np.asarray(np.sqrt(np.mean(residuals**2, axis=(0, 2))))
