from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from mlobs_client.errors import EvaluationError
from mlobs_client.evaluate.evaluation import Evaluator
from mlobs_client.evaluate.toys import Qtip4pf
from mlobs_client.structure import Array, Structure
from mlobs_client.units import ANGSTROM, DALTON, INVERSE_CM

TRICLINIC = np.array([[9.0, 1.0, 0.5], [-0.7, 8.0, 1.2], [0.3, -1.1, 10.0]])
ENERGY = frozenset({"energy"})
WATER = np.array([[0.0, 0.0, 0.0], [0.1, 0.2, 1.8], [1.7, -0.1, -0.5]])


def free(numbers: list[int], positions: Array) -> Structure:
    return Structure(np.array(numbers), positions, np.zeros((3, 3)), (False, False, False))


def gradient(toy: Evaluator, structure: Structure) -> Array:
    return toy([structure], ENERGY).pull_back([{"energy": np.ones(())}])[0].positions


def water_cluster() -> Structure:
    random = np.random.default_rng(4)
    turn, _ = np.linalg.qr(random.normal(size=(3, 3)))
    molecules = [
        WATER,
        WATER + np.array([5.0, 0.3, 0.2]),
        WATER @ turn + np.array([1.0, 6.0, -1.0]),
    ]
    return free([8, 1, 1] * 3, np.concatenate(molecules) + random.normal(size=(9, 3)) * 0.05)


def equilibrium_water() -> Array:
    length, angle = 0.9419 * ANGSTROM, np.deg2rad(107.4)
    return np.array(
        [[0, 0, 0], [length, 0, 0], [length * np.cos(angle), length * np.sin(angle), 0]]
    )


def hessian(force_gradient: Callable[[Array], Array], positions: Array, h: float = 1e-3) -> Array:
    columns = []
    for index in np.ndindex(positions.shape):
        shift = np.zeros_like(positions)
        shift[index] = h
        difference = force_gradient(positions + shift) - force_gradient(positions - shift)
        columns.append(difference.ravel() / (2.0 * h))
    return np.array(columns)


def test_water_monomer_has_its_harmonic_wavenumbers() -> None:
    positions = equilibrium_water()
    curvature = hessian(lambda R: gradient(Qtip4pf(), free([8, 1, 1], R)), positions)
    masses = np.repeat([15.9949146, 1.00782503, 1.00782503], 3) * DALTON
    squared = np.linalg.eigvalsh(curvature / np.sqrt(np.outer(masses, masses)))
    assert gradient(Qtip4pf(), free([8, 1, 1], positions)) == pytest.approx(0.0, abs=1e-12)
    # six zero modes, up to the error h^2 of the differences
    assert np.abs(squared[:6]).max() < 1e-5 * squared[6]
    wavenumbers = np.sqrt(squared[6:]) / INVERSE_CM
    # the reference took a = 1.21/bohr for 2.287/A, which is 1.9e-4 less
    assert wavenumbers == pytest.approx([1580.21, 3852.32, 3919.94], rel=2.5e-4)


def test_distant_waters_attract_as_two_dipoles() -> None:
    separation = np.array([120.0, 40.0, 80.0])
    first, second = WATER, WATER[:, [1, 0, 2]] + separation
    toy = Qtip4pf()
    one, two = toy([free([8, 1, 1], first), free([8, 1, 1], second)], toy.provides).values
    pair = toy([free([8, 1, 1] * 2, np.concatenate([first, second]))], ENERGY).values[0]
    interaction = pair["energy"] - one["energy"] - two["energy"]
    distance = np.linalg.norm(separation)
    n = separation / distance
    tensor = (np.eye(3) - 3.0 * np.outer(n, n)) / distance**3
    # the next order, dipole with quadrupole, is smaller by about 3/distance
    assert interaction == pytest.approx(one["dipole"] @ tensor @ two["dipole"], rel=0.05)


def test_water_clusters_do_not_depend_on_orientation_or_order() -> None:
    cluster = water_cluster()
    turn, _ = np.linalg.qr(np.random.default_rng(6).normal(size=(3, 3)))
    reordered = cluster.positions.reshape(3, 3, 3)[::-1, [0, 2, 1]].reshape(9, 3)
    turned = free([8, 1, 1] * 3, reordered @ turn)
    toy = Qtip4pf()
    before, after = toy([cluster, turned], toy.provides).values
    assert after["energy"] == pytest.approx(before["energy"], rel=1e-12)
    assert after["dipole"] == pytest.approx(before["dipole"] @ turn, abs=1e-12)
    alpha = turn.T @ before["polarizability"] @ turn
    assert after["polarizability"] == pytest.approx(alpha, abs=1e-11)


@pytest.mark.parametrize(
    ("structure", "message"),
    [
        (free([1, 8, 1], WATER), "O H H"),
        (free([8, 1], WATER[:2]), "O H H"),
        (Structure(np.array([8, 1, 1]), WATER, TRICLINIC), "pbc = "),
    ],
)
def test_water_refuses_what_it_cannot_treat(structure: Structure, message: str) -> None:
    with pytest.raises(EvaluationError, match=message):
        Qtip4pf()([structure], ENERGY)
