"""Untrained networks, and water for them."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import pytest
import torch
from untrained import Build, build

from mlobs_client.evaluate.model_files import quiet_third_parties
from mlobs_client.structure import Structure


@pytest.fixture(scope="session")
def network() -> Build:
    """Networks by kind, seed and settings; each test gets copies of its own."""
    made: dict[str, torch.nn.Module] = {}

    def get(kind: str, seed: int = 0, **settings: object) -> torch.nn.Module:
        key = f"{kind} {seed} {settings}"
        if key not in made:
            made[key] = build(kind, seed, **settings)
        with quiet_third_parties():
            return copy.deepcopy(made[key])

    return get


@pytest.fixture(scope="session")
def water() -> Callable[..., Structure]:
    """Distorted water molecules in a triclinic cell (bohr)."""

    def get(
        n_molecules: int = 2,
        seed: int = 0,
        length: float = 9.0,
        pbc: tuple[bool, bool, bool] = (True, True, True),
    ) -> Structure:
        rng = np.random.default_rng(seed)
        molecule = np.array([[0.0, 0.0, 0.0], [1.8, 0.0, 0.0], [-0.45, 1.75, 0.0]])
        cell = length * (np.eye(3) + 0.15 * rng.normal(size=(3, 3)))
        # On a lattice of their own, so that no two molecules meet; some outside of the cell.
        places = rng.permutation(27)[:n_molecules]
        corners = np.stack([places // 9, places // 3 % 3, places % 3], axis=1) / 3
        images = rng.integers(-1, 2, size=(n_molecules, 3)) * np.array(pbc)
        positions = ((corners + images) @ cell)[:, None] + molecule
        positions = positions.reshape(-1, 3) + 0.1 * rng.normal(size=(3 * n_molecules, 3))
        return Structure(np.array([8, 1, 1] * n_molecules), positions, cell, pbc)

    return get
