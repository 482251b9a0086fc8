"""Pieces of a run between which its time step was changed."""

from __future__ import annotations

from dataclasses import dataclass
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
    found, waiting = [], [(0, len(steps) - 1)]
    while waiting:
        i, j = waiting.pop()
        slope = (times[j] - times[i]) / (steps[j] - steps[i])
        away = np.abs(times[i : j + 1] - times[i] - slope * (steps[i : j + 1] - steps[i]))
        if away.max() <= tolerance:
            found.append(Piece(int(steps[i]), int(steps[j]), float(slope)))
            continue
        kink = i + int(away.argmax())
        waiting += [(kink, j), (i, kink)]
    return found
