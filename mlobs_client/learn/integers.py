r"""Fit a linear model with few parameters to labels that are known up to integers.

In labels y = A c + n + noise with integers n, both c and n are unknown. If c is normally
distributed, each label on a known branch predicts the next ones, with an error: the most certain
one comes next, and while several integers are possible, all are followed.

Source:
    The M-algorithm, Anderson and Mohan, IEEE Trans. Commun. 32, 169 (1984).
"""

from __future__ import annotations

from typing import Final

import numpy as np

from mlobs_client.structure import Array

NOISE: Final = 0.05
"""Standard deviation of the noise, quanta; noise of 0.02 to 0.1 is treated equally well."""

WITHIN: Final = 4.5
"""Largest deviation of a label from its prediction, in standard deviations."""

RANK: Final = 1e-6
"""Singular values below this fraction of the largest count as zero."""

N_ITERATIONS: Final = 20
"""Number of iterations of least squares and rounding; few integers change after the third."""


def search_integers(rows: Array, labels: Array, scale: float, n_kept: int) -> Array:
    """Return parameters that fit labels up to integers, the most probable ones first.

    Args:
        rows: A, shape ``(n_labels, n_numbers)``.
        labels: shape ``(n_labels,)``, on any branch.
        scale: expected root mean square of A c.
        n_kept: number of choices of the integers that are followed at once.

    Returns:
        c, shape ``(n_found, n_numbers)`` with at most ``n_kept`` rows.
    """
    variance = scale**2 * len(rows) / np.sum(rows**2)
    covariances = variance * rows  # of labels and parameters, given the previous labels
    numbers, costs = np.zeros((1, rows.shape[1])), np.zeros(1)
    pending = np.ones(len(rows), dtype=bool)
    for _ in range(len(rows)):
        variances = np.where(pending, np.sum(covariances * rows, axis=1) + NOISE**2, np.inf)
        place = int(variances.argmin())
        pending[place] = False
        gain = covariances[place] / variances[place]
        deviation = float(np.sqrt(variances[place]))
        chosen, surprises = _branch(labels[place] - numbers @ rows[place], costs, deviation, n_kept)
        numbers = numbers[chosen] + surprises[:, None] * gain
        costs = costs[chosen] + (surprises / deviation) ** 2
        covariances = covariances - np.outer(covariances @ rows[place], gain)
    return np.asarray(numbers[costs.argsort(kind="stable")])


def fold_integers(values: Array) -> Array:
    """Subtract the nearest integers."""
    return np.asarray(values - np.rint(values))


def refine(rows: Array, labels: Array, numbers: Array) -> tuple[Array, Array]:
    """Alternate least squares and rounding to the nearest integers.

    Args:
        rows: A, shape ``(n_labels, n_numbers)``.
        labels: shape ``(n_labels,)``.
        numbers: initial c, shape ``(n_starts, n_numbers)``.

    Returns:
        c of each start, shape ``(n_starts, n_numbers)``, and root mean square residuals, shape
        ``(n_starts,)``.
    """
    inverse = np.linalg.pinv(rows, rcond=RANK)
    for _ in range(N_ITERATIONS):
        numbers = numbers + fold_integers(labels - numbers @ rows.T) @ inverse.T
    residuals = fold_integers(labels - numbers @ rows.T)
    return numbers, np.asarray(np.sqrt(np.mean(residuals**2, axis=1)))


def _branch(
    differences: Array, costs: Array, deviation: float, n_kept: int
) -> tuple[np.ndarray[tuple[int], np.dtype[np.intp]], Array]:
    """Return the choices to follow, repeated for each possible integer, and their residuals.

    The nearest integer is always possible: a label may be an outlier.
    """
    n_around = int(np.ceil(max(0.0, WITHIN * deviation - 0.5)))
    around = np.arange(-n_around, n_around + 1)
    surprises = fold_integers(differences)[:, None] + around
    grown = costs[:, None] + (surprises / deviation) ** 2
    possible = (np.abs(surprises) <= WITHIN * deviation) | (around == 0)
    places = np.flatnonzero(possible)
    if len(places) > n_kept:
        places = places[np.argpartition(grown.ravel()[places], n_kept)[:n_kept]]
    return places // len(around), surprises.ravel()[places]
