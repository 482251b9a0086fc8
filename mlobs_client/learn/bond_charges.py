r"""The first prediction of a dipole, by which labels are put on one branch before training.

Where the learned part of a dipole exceeds half a quantum, the branch nearest to zero is no better
than any other, and a network that starts from it learns noise. A model of few numbers can be
searched through: charges that pass along pairs of atoms,

.. math::

    \mu = \sum_{S < T} \sum_k q_{STk} \sum_{I \in S, J \in T} f_k(r_{IJ}) \, r_{IJ} .

The branches that agree with each other are those of labels y = A q + integers, in quanta. Whether
they are the right ones is seen from structures that were left out: if a wrong choice explains the
others, these are anywhere. The network later refines them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from mlobs_client.learn.branches import Quanta
from mlobs_client.learn.integers import RANK, fold_integers, refine, search_integers
from mlobs_client.learn.vector_features import Pairs, radial_functions
from mlobs_client.structure import Array, Integers, Structure

REACHES: Final = (0.4, 0.6, 0.8, 1.0)
"""Of the functions f_k = (1 - (r / reach)^2)^2, in cutoffs."""

SCALES: Final = (1.0, 3.0, 9.0)
"""Root mean squares of the dipoles that are looked for, quanta."""

KEPT: Final = (1000, 10000)
"""Choices of the branches that are followed at once; more where fewer found nothing."""

N_REFINED: Final = 50
"""Of each search, by least squares."""

AS_GOOD: Final = 1.01
"""Residuals within this factor of the smallest leave the choice to the size of the predictions."""

CLEAR: Final = 0.25
"""Quanta; where no label is farther from zero, zero is the first prediction."""

RANDOM: Final = 1.0 / np.sqrt(12.0)
"""Root mean square that labels on random branches leave, quanta."""

TELLING: Final = 0.5 * RANDOM
"""At most; of normally distributed residuals, 5e-4 are then beyond half a quantum."""

UNSURE: Final = 0.2
"""Error of the prediction of one label from all others, quanta: every 80th is on a wrong branch."""

N_PARTS: Final = 5
"""Of the structures; each is predicted from the others."""

MOST_STRUCTURES: Final = 300


class FirstPrediction(NamedTuple):
    """Charges of pairs, and how well they explain labels.

    Attributes:
        charges: shape ``(n_features,)``, e.
        before: root mean square of the folded labels, e angstrom.
        after: the same of what these charges leave of them.
        unseen: root mean square of what charges leave of labels that they were not fitted to,
            quanta; where already the others leave more than :data:`TELLING`, of those.
        unsure: places of labels whose branch no other label tells: the charges follow each of
            these alone, or do not know it.
    """

    charges: Array
    before: float
    after: float
    unseen: float
    unsure: tuple[int, ...] = ()

    @property
    def tells(self) -> bool:
        """Whether it tells branches from each other."""
        return bool(self.unseen <= TELLING)


def pair_features(structure: Structure, species: Sequence[int], cutoff: float) -> Array:
    """The sums over pairs, shape ``(3, n_features)``, angstrom.

    Args:
        structure: any.
        species: atomic numbers of all structures.
        cutoff: angstrom.
    """
    pairs = Pairs.of(structure, cutoff)
    values, _ = radial_functions(pairs.lengths, cutoff * np.array(REACHES))
    columns = [values[kept].T @ pairs.vectors[kept] for kept in _kinds(structure, pairs, species)]
    return np.array(columns).reshape(-1, 3).T


def pair_slopes(structure: Structure, species: Sequence[int], cutoff: float) -> Array:
    """Derivatives ``[I, i, j, feature]`` of the sums over pairs with respect to R_Ij.

    Args:
        structure: any.
        species: atomic numbers of all structures.
        cutoff: angstrom.
    """
    pairs = Pairs.of(structure, cutoff)
    radial = radial_functions(pairs.lengths, cutoff * np.array(REACHES))
    values, slopes = (one[:, None, None] for one in radial)
    outer = pairs.vectors[:, :, None] * pairs.vectors[:, None]
    changes = values * np.eye(3)[:, :, None] + slopes * outer[:, :, :, None]
    kinds = list(_kinds(structure, pairs, species))
    found = np.zeros((structure.n_atoms, 3, 3, len(kinds), len(REACHES)))
    for k, kept in enumerate(kinds):
        np.add.at(found[:, :, :, k], pairs.receivers[kept], changes[kept])
        np.add.at(found[:, :, :, k], pairs.senders[kept], -changes[kept])
    return found.reshape(structure.n_atoms, 3, 3, -1)


def _kinds(
    structure: Structure, pairs: Pairs, species: Sequence[int]
) -> Iterator[npt.NDArray[np.bool_]]:
    """Which pairs are of each two species, in one order."""
    senders, receivers = structure.numbers[pairs.senders], structure.numbers[pairs.receivers]
    for first, second in combinations(sorted(species), 2):
        yield (senders == first) & (receivers == second)


def charges_of_born_charges(slopes: Sequence[Array], born_charges: Sequence[Array]) -> Array:
    """Charges of pairs whose Born charges are nearest to labels: these have no branches.

    Args:
        slopes: of each structure, see :func:`pair_slopes`.
        born_charges: of each, less oxidation numbers times the unit matrix, e, shape
            ``(n_atoms, 3, 3)``.
    """
    rows = np.concatenate([one.reshape(-1, one.shape[-1]) for one in slopes])
    labels = np.concatenate([one.ravel() for one in born_charges])
    return np.asarray(np.linalg.lstsq(rows, labels, rcond=RANK)[0])


def fit_bond_charges(
    features: Array,
    labels: Array,
    quanta: Sequence[Quanta],
    seed: int,
    start: Array | None = None,
) -> FirstPrediction:
    """Find charges whose predictions are near to some branch of every label.

    Args:
        features: shape ``(n_structures, 3, n_features)``, angstrom.
        labels: shape ``(n_structures, 3)``, label - e sum N R on any branch, e angstrom.
        quanta: of each structure.
        seed: of which structures are taken where there are many, and of their parts.
        start: charges that are known from elsewhere, shape ``(n_features,)``.
    """
    random = np.random.default_rng([seed, 3])
    chosen = random.permutation(len(labels))[:MOST_STRUCTURES]
    others = np.setdiff1d(np.arange(len(labels)), chosen)
    of_others = _Equations.of(features[others], labels[others], [quanta[s] for s in others], None)
    features, labels = features[chosen], labels[chosen]
    quanta = [quanta[s] for s in chosen]
    n_features = features.shape[2]
    equations = _Equations.of(features, labels, quanta, start)
    before = _rms_folded(labels, quanta)
    left = equations.left(np.zeros(n_features))
    if np.abs(left).max(initial=0.0) < CLEAR or not equations.rows.any():
        return FirstPrediction(np.zeros(n_features), before, before, _rms(left))
    charges = equations.solve()
    after = _rms_folded(labels - features @ charges, quanta)
    of_chosen, of_rest = equations.unsure(charges, of_others.rows)
    unsure = {int(chosen[s]) for s in equations.structures[of_chosen]}
    unsure |= {int(others[s]) for s in of_others.structures[of_rest]}
    return FirstPrediction(
        charges, before, after, _judge(equations, charges), tuple(sorted(unsure))
    )


@dataclass(frozen=True)
class _Equations:
    """Of the components along lattice vectors: labels = rows @ charges, up to integers.

    Attributes:
        structures: that each belongs to, shape ``(n_labels,)``.
        rows: shape ``(n_labels, n_features)``, quanta/e.
        labels: shape ``(n_labels,)``, quanta.
        start: charges that are known from elsewhere, if any.
    """

    structures: Integers
    rows: Array
    labels: Array
    start: Array | None

    @classmethod
    def of(
        cls, features: Array, labels: Array, quanta: Sequence[Quanta], start: Array | None
    ) -> _Equations:
        """Those that have quanta."""
        along = np.array([one.along for one in quanta], dtype=bool).reshape(-1, 3)
        rows, right = np.empty((*along.shape, features.shape[2])), np.empty(along.shape)
        for s, one in enumerate(quanta):
            rows[s] = one.reduced_fractions(features[s].T).T
            right[s] = one.reduced_fractions(labels[s])
        return cls(np.nonzero(along)[0], rows[along], right[along], start)

    def of_structures(self, kept: npt.NDArray[np.bool_]) -> _Equations:
        """A part."""
        chosen = kept[self.structures]
        structures, rows = self.structures[chosen], self.rows[chosen]
        return _Equations(structures, rows, self.labels[chosen], self.start)

    def left(self, charges: Array) -> Array:
        """What charges leave of the labels, quanta."""
        return fold_integers(self.labels - self.rows @ charges)

    def solve(self) -> Array:
        """Charges that are known and explain labels, or the best ones of several searches."""
        if not self.rows.any():
            return np.zeros(self.rows.shape[1])
        n_free = max(len(self.rows) - self.rows.shape[1], 0)
        good = TELLING * np.sqrt(n_free / len(self.rows))  # wrong branches are fitted, too
        if self.start is not None:
            near, errors = refine(self.rows, self.labels, self.start[None])
            if errors[0] <= good:
                return np.asarray(near[0])
        found = np.zeros((1, self.rows.shape[1]))
        for n_kept in KEPT:
            starts = [search_integers(self.rows, self.labels, scale, n_kept) for scale in SCALES]
            found = np.vstack([found, *(start[:N_REFINED] for start in starts)])
            found, errors = refine(self.rows, self.labels, found)
            if errors.min() <= good:
                break
        as_good = errors <= AS_GOOD * errors.min()
        sizes = np.linalg.norm(found[as_good] @ self.rows.T, axis=1)
        return np.asarray(found[as_good][sizes.argmin()])

    def unsure(
        self, charges: Array, others: Array
    ) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """Which labels are predicted with a larger error than :data:`UNSURE`.

        Args:
            charges: that were found.
            others: rows of more labels, shape ``(n_others, n_features)``.

        Returns:
            Of these labels, each from all others of them, and of the others, from these.
        """
        _, sizes, directions = np.linalg.svd(self.rows, full_matrices=False)
        known = sizes > RANK * sizes[0]
        directions = directions[known]
        # of the fit at a label, what is due to it
        own = np.sum((self.rows @ directions.T / sizes[known]) ** 2, axis=1)
        n_free = max(len(own) - own.sum(), 1.0)
        variance = np.sum(self.left(charges) ** 2) / n_free
        along = others @ directions.T
        spread = 1.0 + np.sum((along / sizes[known]) ** 2, axis=1)
        unknown = np.linalg.norm(others - along @ directions, axis=1) > RANK * sizes[0]
        return (
            np.asarray(variance > UNSURE**2 * (1.0 - own)),
            np.asarray(unknown | (variance * spread > UNSURE**2)),
        )


def _judge(equations: _Equations, charges: Array) -> float:
    """See :attr:`FirstPrediction.unseen`."""
    seen = _rms(equations.left(charges))
    if seen > TELLING:
        return seen
    n_structures = equations.structures.max() + 1
    parts, unseen = np.arange(n_structures) % N_PARTS, []
    for part in range(min(N_PARTS, n_structures)):
        others = equations.of_structures(parts != part)
        charges = others.solve()
        seen = _rms(others.left(charges))
        if seen > TELLING:
            return seen
        unseen.append(equations.of_structures(parts == part).left(charges))
    return _rms(np.concatenate(unseen))


def _rms_folded(labels: Array, quanta: Sequence[Quanta]) -> float:
    pairs = zip(quanta, labels, strict=True)
    return float(np.sqrt(np.mean([one.fold(label) ** 2 for one, label in pairs])))


def _rms(values: Array) -> float:
    return float(np.sqrt(np.mean(values**2))) if values.size else 0.0
