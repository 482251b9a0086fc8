"""Orientation of molecules with respect to a direction, usually that of a field."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mlobs_client.analysis.liquids.distributions import Bonds, histogram
from mlobs_client.errors import RecordError
from mlobs_client.results.curve import Curve
from mlobs_client.results.estimate import Estimate
from mlobs_client.results.statistics import mean
from mlobs_client.structure import Array


@dataclass(frozen=True)
class Orientation:
    """Moments and distribution of cos(theta), where theta is the angle of an axis to a direction.

    Attributes:
        first: P1, the mean of cos(theta): 0 without order, 1 if all axes are parallel to it.
        second: P2, the mean of (3 cos(theta)^2 - 1)/2: 0 without order, 1 if all axes are parallel
            or antiparallel to it.
        distribution: probability density of cos(theta), which is 1/2 without order.
    """

    first: Estimate
    second: Estimate
    distribution: Curve


def find_bisectors(bonds: Bonds, vectors: Array) -> Array:
    """Return the bisectors of molecules with two bonds.

    Those of water molecules are nearly parallel to the dipoles.

    Args:
        bonds: two bonds for each centre.
        vectors: vectors from the centres to their neighbours, shape ``(t, n_beads, n_bonds, 3)``,
            of any unit.

    Returns:
        Unit vectors in the order of the centres, shape ``(t, n_beads, n_molecules, 3)``.

    Raises:
        RecordError: a centre does not have two bonds.
    """
    centres, counts = np.unique(bonds.pairs[:, 0], return_counts=True)
    if (counts != 2).any():
        wrong = int(np.argmax(counts != 2))
        raise RecordError(
            f"atom {centres[wrong]} has {counts[wrong]} bonds in the first frame, but a bisector "
            "needs two; start from whole molecules"
        )
    order = np.argsort(bonds.pairs[:, 0], kind="stable")
    first, second = vectors[:, :, order[0::2]], vectors[:, :, order[1::2]]
    sums = first / _lengths(first) + second / _lengths(second)
    return np.asarray(sums / _lengths(sums))


def orientation(
    axes: Sequence[Array],
    direction: Array,
    n_blocks: int,
    n_bins: int = 40,
    interval: float | None = None,
) -> Orientation:
    """Return the moments and the distribution of cos(theta) with respect to a direction.

    Args:
        axes: unit vectors along each run, shape ``(t, n_beads, n_molecules, 3)``.
        direction: unit vector, shape ``(3,)``.
        n_blocks: minimum number of blocks for the errors of the distribution.
        n_bins: number of bins of the distribution.
        interval: time between samples, ps, for the reason given in place of errors.

    Raises:
        RecordError: there are too few samples, or numbers are not finite.
    """
    cosines = [run @ direction for run in axes]
    per_sample = [run.reshape(len(run), -1) for run in cosines]
    return Orientation(
        first=mean([run.mean(axis=1) for run in per_sample], interval=interval),
        second=mean([(1.5 * run**2 - 0.5).mean(axis=1) for run in per_sample], interval=interval),
        distribution=histogram(
            cosines, np.linspace(-1.0, 1.0, n_bins + 1), n_blocks, "1", interval, "cos(theta)"
        ),
    )


def _lengths(vectors: Array) -> Array:
    return np.asarray(np.linalg.norm(vectors, axis=-1, keepdims=True))
