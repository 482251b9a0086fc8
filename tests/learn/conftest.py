"""Small structures to learn from."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from mlobs_client.structure import Structure


@pytest.fixture(scope="session")
def water() -> Callable[..., Structure]:
    """Distorted water molecules in a triclinic cell (bohr)."""

    def get(
        n_molecules: int = 2, seed: int = 0, pbc: tuple[bool, bool, bool] = (True, True, True)
    ) -> Structure:
        random = np.random.default_rng(seed)
        molecule = np.array([[0.0, 0.0, 0.0], [1.8, 0.0, 0.0], [-0.45, 1.75, 0.0]])
        cell = 9.0 * (np.eye(3) + 0.15 * random.normal(size=(3, 3)))
        places = random.permutation(27)[:n_molecules]
        corners = np.stack([places // 9, places // 3 % 3, places % 3], axis=1) / 3 @ cell
        rotations = np.linalg.qr(random.normal(size=(n_molecules, 3, 3)))[0]
        positions = (corners[:, None] + molecule @ rotations).reshape(-1, 3)
        positions += 0.1 * random.normal(size=positions.shape)
        return Structure(np.array([8, 1, 1] * n_molecules), positions, cell, pbc)

    return get
