from __future__ import annotations

import numpy as np
import pytest

from mlobs_client.errors import MissingObservable
from mlobs_client.evaluate.jet import Jet, fixed_charges, strain_derivative, tabulate
from mlobs_client.structure import Array

RANDOM = np.random.default_rng(1)
A, B = RANDOM.normal(size=(2, 4, 3))


def curl(vectors: Array) -> Array:
    """A vector-valued function without any symmetry, shape ``(3,)``."""
    return np.asarray(
        np.sum(np.cross(A, vectors) * np.sin(np.sum(B * vectors, axis=1))[:, None], 0)
    )


def test_the_strain_derivative_is_that_of_strained_vectors() -> None:
    vectors, h = RANDOM.normal(size=(4, 3)), 1e-5
    by_vectors, by_strain = np.zeros((3, 4, 3)), np.zeros((3, 3, 3))
    for index in np.ndindex(4, 3):
        shift = np.zeros((4, 3))
        shift[index] = h
        by_vectors[:, *index] = (curl(vectors + shift) - curl(vectors - shift)) / (2 * h)
    for index in np.ndindex(3, 3):
        strain = np.zeros((3, 3))
        strain[index] = h
        difference = curl(vectors + vectors @ strain) - curl(vectors - vectors @ strain)
        by_strain[:, *index] = difference / (2 * h)
    # central differences: error h^2 = 1e-10, rounding 1e-16/h = 1e-11
    assert strain_derivative(vectors, by_vectors) == pytest.approx(by_strain, abs=1e-8)


def test_fixed_charges_have_a_dipole_that_moves_with_each_of_them() -> None:
    charges, positions = np.array([2.0, -1.0, 0.5]), RANDOM.normal(size=(3, 3))
    jets = fixed_charges(charges, positions)
    dipole = jets["dipole"]
    assert dipole.value == pytest.approx(2.0 * positions[0] - positions[1] + 0.5 * positions[2])
    shift, strain = RANDOM.normal(size=(3, 3)), RANDOM.normal(size=(3, 3))
    for moved, derivative in (
        (shift, np.einsum("kIi,Ii->k", dipole.by_positions, shift)),
        (positions @ strain, np.einsum("kij,ij->k", dipole.by_strain, strain)),
    ):
        # linear: the difference is the derivative
        difference = fixed_charges(charges, positions + moved)["dipole"].value - dipole.value
        assert derivative == pytest.approx(difference)
    # [atom, component of the dipole, direction]: of the first atom, 2 e along each axis
    assert jets["born_charges"].value[0].tolist() == [[2, 0, 0], [0, 2, 0], [0, 0, 2]]


def test_only_wanted_observables_are_tabulated_and_those_without_gradient_stay_put() -> None:
    jets = {"energy": Jet(np.ones(()), np.ones((1, 3))), "born_charges": Jet(np.ones((1, 3, 3)))}
    everything = tabulate([jets], frozenset(jets))
    assert everything.pull_back([{"energy": np.array(2.0)}])[0].positions.tolist() == [[2.0] * 3]
    with pytest.raises(MissingObservable, match="born_charges"):
        everything.pull_back([{"born_charges": np.ones((1, 3, 3))}])
    assert set(tabulate([jets], frozenset({"energy"})).values[0]) == {"energy"}
