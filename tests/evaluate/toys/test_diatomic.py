from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from mlobs_client.errors import EvaluationError
from mlobs_client.evaluate.evaluation import Evaluator
from mlobs_client.evaluate.toys import MorseMolecule
from mlobs_client.structure import Array, Structure
from mlobs_client.units import ANGSTROM, DALTON, INVERSE_CM

Levels = Callable[[Array, float, float], tuple[Array, Array]]
ENERGY = frozenset({"energy"})


def free(numbers: list[int], positions: Array) -> Structure:
    return Structure(np.array(numbers), positions, np.zeros((3, 3)), (False, False, False))


def gradient(toy: Evaluator, structure: Structure) -> Array:
    return toy([structure], ENERGY).pull_back([{"energy": np.ones(())}])[0].positions


def test_morse_molecule_has_the_levels_of_oh(levels: Levels) -> None:
    toy = MorseMolecule()
    r, spacing = np.linspace(0.9, 5.0, 400, retstep=True)
    structures = [free([8, 1], np.array([[0.0, 0.0, 0.0], [0.0, 0.0, x]])) for x in r]
    energies = np.array([value["energy"] for value in toy(structures, ENERGY).values])
    mass = DALTON / (1.0 / 15.999 + 1.0 / 1.008)
    states = levels(energies, spacing, mass)[0] / INVERSE_CM
    # the reference does not say its masses; between isotopes and mean masses lie 0.3 cm^-1
    assert states[1] - states[0] == pytest.approx(3580.24, abs=0.2)
    r_0, h = 0.96966 * ANGSTROM, 1e-3
    pair = [free([8, 1], np.array([[0.0, 0.0, 0.0], [0.0, 0.0, r_0 + x]])) for x in (h, -h)]
    slopes = [gradient(toy, structure)[1, 2] for structure in pair]
    harmonic = np.sqrt((slopes[0] - slopes[1]) / (2.0 * h) / mass) / INVERSE_CM
    assert harmonic == pytest.approx(3751.23, abs=0.2)


def test_a_molecule_has_two_atoms() -> None:
    with pytest.raises(EvaluationError, match="2 atoms, the structure has 1"):
        MorseMolecule()([free([1], np.zeros((1, 3)))], ENERGY)
