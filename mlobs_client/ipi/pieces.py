"""Divide a run into pieces with different time steps."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from mlobs_client.structure import Array
from mlobs_client.units import FEMTOSECOND

PRINTED: Final = 1e-5
"""Rounding of times relative to the longest one: i-PI prints nine digits by default."""


@dataclass(frozen=True)
class Piece:
    """A piece of a run with one time step.

    Attributes:
        first: its first step.
        last: its last step, which is the first one of the next piece.
        timestep: time step, atu.
    """

    first: int
    last: int
    timestep: float

    def __str__(self) -> str:
        return f"{self.timestep / FEMTOSECOND:.4g} fs from step {self.first} to {self.last}"


def find_pieces(steps: Array, times: Array) -> list[Piece]:
    """Find the pieces in which the time grows by a constant time step.

    Args:
        steps: steps of at least two rows of the properties, increasing, shape ``(t,)``.
        times: times of these rows, atu, shape ``(t,)``; they go on when a run is continued.
    """
    tolerance = PRINTED * float(np.abs(times).max())

    def away(i: int, j: int) -> Array:
        """Return how far the times of rows i to j deviate from a common time step."""
        slope = (times[j] - times[i]) / (steps[j] - steps[i])
        apart = times[i : j + 1] - times[i] - slope * (steps[i : j + 1] - steps[i])
        return np.asarray(np.abs(apart))

    knots, waiting = [0], [(0, len(steps) - 1)]
    while waiting:
        i, j = waiting.pop()
        apart = away(i, j)
        if apart.max() <= tolerance:
            knots.append(j)
            continue
        knot = i + int(apart.argmax())
        waiting += [(knot, j), (i, knot)]
    kept = [0]
    for knot, after in pairwise(knots[1:]):
        # rows of the mean time step are all as far away, and rounding has chosen among them
        if away(kept[-1], after).max() > tolerance:
            kept.append(knot)
    return [
        Piece(int(steps[i]), int(steps[j]), float((times[j] - times[i]) / (steps[j] - steps[i])))
        for i, j in pairwise([*kept, knots[-1]])
    ]
