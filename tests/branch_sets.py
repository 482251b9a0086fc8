"""Sets of structures with labels on random branches, for first predictions of dipoles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mlobs_client.learn.bond_charges import FirstPrediction, fit_bond_charges, pair_features
from mlobs_client.learn.branches import Quanta
from mlobs_client.structure import Structure
from mlobs_client.units import ANGSTROM

CHARGE = -0.38  # e, of H less its oxidation number
ELEMENTS = (1, 6, 8, 22, 53)
EDGE, N_ATOMS = 8.0, 40  # of the crystals, angstrom


@dataclass(frozen=True)
class LabelledSet:
    """Structures in cubic cells.

    Attributes:
        features: of pairs, shape ``(n_structures, 3, n_features)``, angstrom.
        truth: the part of dipoles that is learned, shape ``(n_structures, 3)``, e angstrom.
        labels: the same by up to three quanta away.
        edge: of the cells, angstrom.
    """

    features: np.ndarray
    truth: np.ndarray
    labels: np.ndarray
    edge: float

    @property
    def quanta(self) -> list[Quanta]:
        return [Quanta(self.edge * np.eye(3), (True,) * 3)] * len(self.labels)

    def fit(self) -> FirstPrediction:
        return fit_bond_charges(self.features, self.labels, self.quanta, seed=0)

    def moved(self, first: FirstPrediction) -> np.ndarray:
        """How many quanta from the truth labels end next to a prediction, ``(n_structures, 3)``."""
        predictions = self.features @ first.charges
        folded = self.quanta[0].fold(self.labels - predictions)
        return np.rint((predictions + folded - self.truth) / self.edge).astype(int)


def oriented_water(
    n_molecules: int, bias: float, noise: float, n_structures: int, seed: int
) -> LabelledSet:
    """Molecules at the density of water that are turned along z, more or less in each structure.

    Args:
        n_molecules: in each structure.
        bias: how much they are turned at most; 1 is about a half of them.
        noise: of the dipole of each molecule, e angstrom.
        n_structures: how many.
        seed: of all that is random.
    """
    random = np.random.default_rng(seed)
    edge = (29.9 * n_molecules) ** (1 / 3)
    features, truth = [], []
    for _ in range(n_structures):
        turned = bias * random.uniform(-1.0, 1.0)
        positions = _water(n_molecules, edge, turned, random)
        bonds = (positions[:, 1:] - positions[:, :1]).sum(axis=(0, 1))
        truth.append(CHARGE * bonds + noise * np.sqrt(n_molecules) * random.normal(size=3))
        numbers = [8, 1, 1] * n_molecules
        features.append(_features(numbers, positions.reshape(-1, 3), edge, (1, 8), 5.0))
    return _on_random_branches(np.array(features), np.array(truth), edge, random)


def crystals(
    n_species: int, amplitude: float, noise: float, n_structures: int, seed: int
) -> LabelledSet:
    """Displaced atoms, whose dipole is that of random charges along pairs.

    Args:
        n_species: up to five.
        amplitude: root mean square of the part that is learned, quanta.
        noise: beside it, quanta.
        n_structures: how many.
        seed: of all that is random.
    """
    random = np.random.default_rng(seed)
    species = ELEMENTS[:n_species]
    numbers = [species[atom % n_species] for atom in range(N_ATOMS)]
    places = np.argwhere(np.ones((4, 4, 4)))[:N_ATOMS] * EDGE / 4
    positions = places + random.normal(0.0, 0.2, (n_structures, N_ATOMS, 3))
    features = np.array([_features(numbers, one, EDGE, species, 4.0) for one in positions])
    truth = features @ random.normal(size=features.shape[2])
    truth *= amplitude * EDGE / np.sqrt(np.mean(truth**2))
    truth += random.normal(0.0, noise * EDGE, truth.shape)
    return _on_random_branches(features, truth, EDGE, random)


def _water(n_molecules: int, edge: float, turned: float, random: np.random.Generator) -> np.ndarray:
    """Positions ``(n_molecules, 3, 3)`` of O, H, H."""
    side = int(np.ceil(n_molecules ** (1 / 3)))
    oxygens = np.argwhere(np.ones((side,) * 3))[:n_molecules] * edge / side
    oxygens = oxygens + random.normal(0.0, 0.3, oxygens.shape)
    axes = random.normal(size=(n_molecules, 3))
    axes[:, 2] += turned
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    across = np.cross(axes, random.normal(size=(n_molecules, 3)))
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    lengths = 0.97 + random.normal(0.0, 0.03, (n_molecules, 2, 1))
    half = np.deg2rad(104.5 / 2)
    ways = np.stack([np.cos(half) * axes + s * np.sin(half) * across for s in (1, -1)], axis=1)
    return np.concatenate([oxygens[:, None], oxygens[:, None] + lengths * ways], axis=1)


def _features(
    numbers: list[int], positions: np.ndarray, edge: float, species: tuple[int, ...], cutoff: float
) -> np.ndarray:
    cell = edge * np.eye(3) * ANGSTROM
    return pair_features(Structure(np.array(numbers), positions * ANGSTROM, cell), species, cutoff)


def _on_random_branches(
    features: np.ndarray, truth: np.ndarray, edge: float, random: np.random.Generator
) -> LabelledSet:
    labels = truth + edge * random.integers(-3, 4, truth.shape)
    return LabelledSet(features, truth, labels, edge)
