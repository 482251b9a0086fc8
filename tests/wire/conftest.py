from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from mlobs_client.structure import Array
from mlobs_client.wire.protocol import Evaluate, Reply

Structures = tuple[Array, Array]


@pytest.fixture
def make_structures() -> Callable[..., Structures]:
    """Triclinic cells (rows) and positions, all different."""

    def make(n_structures: int, n_atoms: int = 3, seed: int = 0) -> Structures:
        random = np.random.default_rng(seed)
        cells = 10.0 * np.eye(3) + random.normal(size=(n_structures, 3, 3))
        return cells, random.normal(size=(n_structures, n_atoms, 3))

    return make


class Recorder:
    """Answers with numbers that are different for each structure, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Evaluate] = []

    def __call__(self, request: Evaluate) -> list[Reply]:
        self.asked.append(request)
        return [
            Reply(
                energy=float(q.sum()),
                forces=q @ cell,
                virial=cell * q[0, 0],
                extras=f'{{"x": {q[0, 0]!r}}}'.encode(),
            )
            for cell, q in zip(request.cells, request.positions, strict=True)
        ]


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()
