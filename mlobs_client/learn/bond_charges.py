r"""Predict dipoles with a simple model, to put labels on one branch before training.

If the learned part of a dipole exceeds half a quantum, the branch nearest to zero is no better
than any other, and a network that starts from it learns noise. A model with few parameters can be
searched exhaustively: charges that are transferred along pairs of atoms,

.. math::

    \mu = \sum_{S < T} \sum_k q_{STk} \sum_{I \in S, J \in T} f_k(r_{IJ}) \, r_{IJ} .

Labels on consistent branches are y = A q + integers, in quanta. Structures that were left out show
whether the branches are right: after a wrong choice, predictions for them are random. The network
later refines the branches.
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
"""Reaches of the functions f_k = (1 - (r / reach)^2)^2, in units of the cutoff."""

SCALES: Final = (1.0, 3.0, 9.0)
"""Expected root mean square of the dipoles in each search, quanta."""

KEPT: Final = (1000, 10000)
"""Numbers of choices of branches that are followed at once; the second is used if the first
fails."""

N_REFINED: Final = 50
"""Number of choices of each search that are refined by least squares."""

AS_GOOD: Final = 1.01
"""Charges whose residuals are within this factor of the smallest are as good; of these, those with
the smallest predictions are chosen."""

CLEAR: Final = 0.25
"""If no label is farther from zero than this, in quanta, zero is the first prediction."""

RANDOM: Final = 1.0 / np.sqrt(12.0)
"""Root mean square residual of labels on random branches, quanta."""

TELLING: Final = 0.5 * RANDOM
"""Largest acceptable residual, quanta: if residuals are normally distributed, a fraction of 5e-4 of
them exceeds half a quantum."""

UNSURE: Final = 0.2
"""Error of predicting a label from all others, quanta, at which one branch in 80 is wrong."""

N_PARTS: Final = 5
"""Number of parts of the structures, each of which is predicted from the others."""

MOST_STRUCTURES: Final = 300


class FirstPrediction(NamedTuple):
    """Charges of pairs, and the residuals of labels.

    Attributes:
        charges: shape ``(n_features,)``, e.
        before: root mean square of the folded labels, e angstrom.
        after: root mean square of their folded residuals, e angstrom.
        unseen: root mean square residual of labels that the charges were not fitted to, quanta; of
            the fitted labels if theirs exceeds :data:`TELLING`.
        unsure: indices of labels whose branch the other labels do not determine.
    """

    charges: Array
    before: float
    after: float
    unseen: float
    unsure: tuple[int, ...] = ()

    @property
    def is_decisive(self) -> bool:
        """True if the prediction distinguishes branches."""
        return bool(self.unseen <= TELLING)


def pair_features(structure: Structure, species: Sequence[int], cutoff: float) -> Array:
    """Return the sums over pairs of atoms that are multiplied by charges in the dipole.

    Args:
        structure: the structure.
        species: atomic numbers of all structures.
        cutoff: cutoff, angstrom.

    Returns:
        Shape ``(3, n_features)``, angstrom.
    """
    pairs = Pairs.of(structure, cutoff)
    values, _ = radial_functions(pairs.lengths, cutoff * np.array(REACHES))
    columns = [values[mask].T @ pairs.vectors[mask] for mask in _kinds(structure, pairs, species)]
    return np.array(columns).reshape(-1, 3).T


def pair_slopes(structure: Structure, species: Sequence[int], cutoff: float) -> Array:
    """Return derivatives ``[I, i, j, feature]`` of :func:`pair_features` with respect to R_Ij.

    Args:
        structure: the structure.
        species: atomic numbers of all structures.
        cutoff: cutoff, angstrom.

    Returns:
        Shape ``(n_atoms, 3, 3, n_features)``, without a unit.
    """
    pairs = Pairs.of(structure, cutoff)
    radial = radial_functions(pairs.lengths, cutoff * np.array(REACHES))
    values, slopes = (part[:, None, None] for part in radial)
    outer = pairs.vectors[:, :, None] * pairs.vectors[:, None]
    changes = values * np.eye(3)[:, :, None] + slopes * outer[:, :, :, None]
    kinds = list(_kinds(structure, pairs, species))
    sums = np.zeros((structure.n_atoms, 3, 3, len(kinds), len(REACHES)))
    for k, mask in enumerate(kinds):
        np.add.at(sums[:, :, :, k], pairs.receivers[mask], changes[mask])
        np.add.at(sums[:, :, :, k], pairs.senders[mask], -changes[mask])
    return sums.reshape(structure.n_atoms, 3, 3, -1)


def _kinds(
    structure: Structure, pairs: Pairs, species: Sequence[int]
) -> Iterator[npt.NDArray[np.bool_]]:
    """Yield a mask of the pairs of every two species, in a fixed order."""
    senders, receivers = structure.numbers[pairs.senders], structure.numbers[pairs.receivers]
    for first, second in combinations(sorted(species), 2):
        yield (senders == first) & (receivers == second)


def charges_of_born_charges(slopes: Sequence[Array], born_charges: Sequence[Array]) -> Array:
    """Fit charges of pairs to Born charges, which have no branches.

    Args:
        slopes: derivatives for each structure, see :func:`pair_slopes`.
        born_charges: Born charges of each structure, minus oxidation numbers times the unit
            matrix, e, shape ``(n_atoms, 3, 3)``.
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
    """Find charges whose predictions are close to some branch of every label.

    Args:
        features: shape ``(n_structures, 3, n_features)``, angstrom.
        labels: shape ``(n_structures, 3)``, label - e sum N_I R_I on any branch, e angstrom.
        quanta: quanta of each structure.
        seed: seed for choosing structures if there are many, and for dividing them into parts.
        start: charges from Born charges, e, shape ``(n_features,)``; None if there are none.
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
    residuals = equations.left(np.zeros(n_features))
    if np.abs(residuals).max(initial=0.0) < CLEAR or not equations.rows.any():
        return FirstPrediction(np.zeros(n_features), before, before, _rms(residuals))
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
    """Equations of components along lattice vectors: labels = rows @ charges, up to integers.

    Attributes:
        structures: index of the structure of each label, shape ``(n_labels,)``.
        rows: shape ``(n_labels, n_features)``, quanta/e.
        labels: shape ``(n_labels,)``, quanta.
        start: charges from Born charges, if any.
    """

    structures: Integers
    rows: Array
    labels: Array
    start: Array | None

    @classmethod
    def of(
        cls, features: Array, labels: Array, quanta: Sequence[Quanta], start: Array | None
    ) -> _Equations:
        """Return the equations of all components that have quanta."""
        along = np.array([one.along for one in quanta], dtype=bool).reshape(-1, 3)
        rows, right = np.empty((*along.shape, features.shape[2])), np.empty(along.shape)
        for s, one in enumerate(quanta):
            rows[s] = one.reduced_fractions(features[s].T).T
            right[s] = one.reduced_fractions(labels[s])
        return cls(np.nonzero(along)[0], rows[along], right[along], start)

    def of_structures(self, kept: npt.NDArray[np.bool_]) -> _Equations:
        """Return the equations of these structures."""
        chosen = kept[self.structures]
        structures, rows = self.structures[chosen], self.rows[chosen]
        return _Equations(structures, rows, self.labels[chosen], self.start)

    def left(self, charges: Array) -> Array:
        """Return the residuals of the labels, quanta."""
        return fold_integers(self.labels - self.rows @ charges)

    def solve(self) -> Array:
        """Return charges from Born charges if they explain the labels, else those of a search."""
        if not self.rows.any():
            return np.zeros(self.rows.shape[1])
        n_free = max(len(self.rows) - self.rows.shape[1], 0)
        good = TELLING * np.sqrt(n_free / len(self.rows))  # wrong branches are fitted, too
        if self.start is not None:
            near, errors = refine(self.rows, self.labels, self.start[None])
            if errors[0] <= good:
                return np.asarray(near[0])
        candidates = np.zeros((1, self.rows.shape[1]))
        for n_kept in KEPT:
            starts = [search_integers(self.rows, self.labels, scale, n_kept) for scale in SCALES]
            candidates = np.vstack([candidates, *(start[:N_REFINED] for start in starts)])
            candidates, errors = refine(self.rows, self.labels, candidates)
            if errors.min() <= good:
                break
        as_good = errors <= AS_GOOD * errors.min()
        sizes = np.linalg.norm(candidates[as_good] @ self.rows.T, axis=1)
        return np.asarray(candidates[as_good][sizes.argmin()])

    def unsure(
        self, charges: Array, others: Array
    ) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """Find labels whose prediction has a larger error than :data:`UNSURE`.

        Args:
            charges: the solution.
            others: rows of further labels, shape ``(n_others, n_features)``.

        Returns:
            Mask of these labels, each predicted from all others, and mask of the further labels,
            predicted from these.
        """
        _, sizes, directions = np.linalg.svd(self.rows, full_matrices=False)
        known = sizes > RANK * sizes[0]
        directions = directions[known]
        # the leverage of each label in the fit
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
    """Return the residual of labels that were left out, see :attr:`FirstPrediction.unseen`."""
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
