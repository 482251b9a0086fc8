"""Small structures to learn from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms

from mlobs_client.learn.data_set import DataSet
from mlobs_client.learn.settings import TrainingSettings
from mlobs_client.learn.training import (
    data_digest,
    read_data_set,
    train_committee,
)
from mlobs_client.structure import Structure
from mlobs_client.units import ANGSTROM


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


OXIDATION_NUMBERS = {"O": -2, "H": 1}
CUTOFF = 3.0  # angstrom
TRANSFER = 0.6  # e, moved from H to O with the bond: the dipole is not that of the integers


def label(structure: Structure, seed: int) -> Atoms:
    """Springs between O and H, and a dipole that is linear in the bonds, on a random branch."""
    random = np.random.default_rng([seed, 1])
    numbers, positions = structure.numbers, structure.positions / ANGSTROM
    cell = structure.cell / ANGSTROM
    atoms = Atoms(numbers, positions, cell=cell, pbc=structure.pbc)
    bonds = (positions.reshape(-1, 3, 3)[:, 1:] - positions.reshape(-1, 3, 3)[:, :1]).reshape(-1, 3)
    lengths = np.linalg.norm(bonds, axis=1)
    pulls = (20.0 * (lengths - 0.95) / lengths)[:, None] * bonds
    forces = np.zeros((len(numbers) // 3, 3, 3))
    forces[:, 1:] = -pulls.reshape(-1, 2, 3)
    forces[:, 0] = pulls.reshape(-1, 2, 3).sum(axis=1)
    integers = np.where(numbers == 8, -2, 1)
    dipole = integers @ positions - TRANSFER * bonds.sum(axis=0)
    quanta = random.integers(-3, 4, size=3) * np.array(structure.pbc)
    learned = np.where(numbers == 8, 2 * TRANSFER, -TRANSFER)
    atoms.info["mu"] = dipole + quanta @ cell
    atoms.info["alpha"] = (np.eye(3) + 0.4 * bonds.T @ bonds).ravel()
    atoms.info["REF_energy"] = float(10.0 * ((lengths - 0.95) ** 2).sum()) - 3.5 * len(numbers)
    atoms.arrays["REF_forces"] = forces.reshape(-1, 3)
    atoms.arrays["apt"] = (integers + learned)[:, None] * np.eye(3).ravel()
    return atoms


@pytest.fixture(scope="session")
def frames(water, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An extended xyz file of 24 labelled structures of two molecules."""
    path = tmp_path_factory.mktemp("data") / "frames.extxyz"
    ase.io.write(path, [label(water(2, seed=seed), seed) for seed in range(24)])
    return path


LABELS: dict[str, dict[str, tuple[str, float]]] = {
    "potential": {"energy": ("REF_energy", 1.0), "forces": ("REF_forces", 1.0)},
    "dipole": {"dipole": ("mu", 1.0), "born_charges": ("apt", 1.0)},
    "polarizability": {"polarizability": ("alpha", 1.0)},
    "energy-dipole": {
        "dipole": ("mu", 1.0),
        "energy": ("REF_energy", 1.0),
        "forces": ("REF_forces", 1.0),
    },
}


RECIPES: dict[str, dict[str, float]] = {
    "potential": {"steps": 40, "rate": 0.02},
    "dipole": {"steps": 40, "rate": 0.02},
    "polarizability": {"steps": 50, "rate": 0.05},
    "energy-dipole": {"steps": 60, "rate": 0.01},
}


@pytest.fixture(scope="session")
def settings(frames: Path) -> Callable[..., TrainingSettings]:
    """Of a training that takes seconds."""

    def get(kind: str, **others: object) -> TrainingSettings:
        return TrainingSettings(
            **{
                "kind": kind,
                "data": data_digest(frames),
                "labels": LABELS[kind],
                "oxidation_numbers": OXIDATION_NUMBERS,
                "branches": "fold",
                "size": "small",
                "cutoff": CUTOFF,
                **RECIPES[kind],
                "batch": 4,
                "test_fraction": 0.2,
                "seed": 0,
            }
            | others
        )  # type: ignore[arg-type]

    return get


@dataclass(frozen=True)
class Committee:
    """One member, trained on ``frames``."""

    settings: TrainingSettings
    data_set: DataSet
    paths: list[Path]


@pytest.fixture(scope="session")
def trained(
    frames: Path,
    settings: Callable[..., TrainingSettings],
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[str], Committee]:
    """Committees by kind, each trained once; read only."""
    made: dict[str, Committee] = {}

    def get(kind: str) -> Committee:
        if kind not in made:
            wanted = settings(kind)
            data_set = read_data_set(wanted, frames)
            folder = tmp_path_factory.mktemp(kind)
            paths = train_committee(wanted, data_set, folder, 1, lambda *_: None)
            made[kind] = Committee(wanted, data_set, paths)
        return made[kind]

    return get
