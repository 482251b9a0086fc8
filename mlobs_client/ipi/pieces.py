"""Pieces of a run between which its time step was changed."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from mlobs_client.structure import Array
from mlobs_client.units import FEMTOSECOND

PRINTED: Final = 1e-5
"""Of the longest time: i-PI prints nine digits by default."""


@dataclass(frozen=True)
class Piece:
    """Steps of one length.

    Attributes:
        first: step.
        last: step, the first one of the next piece.
        timestep: atu.
    """

    first: int
    last: int
    timestep: float

    def __str__(self) -> str:
        return f"{self.timestep / FEMTOSECOND:.4g} fs from step {self.first} to {self.last}"


def find_pieces(steps: Array, times: Array) -> list[Piece]:
    """Find where the time stops to grow by the same time step.

    Args:
        steps: of the rows of the properties, rising, shape ``(t,)``; two or more.
        times: of the same rows, atu; of a continued run, i-PI goes on counting.
    """
    tolerance = PRINTED * float(np.abs(times).max())

    def away(i: int, j: int) -> Array:
        """Of the rows from i to j, how far each is from one time step for all of them."""
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
