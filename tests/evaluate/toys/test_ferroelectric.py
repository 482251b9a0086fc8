"""The two states of the ferroelectric crystal, and the field that turns one into the other."""

from __future__ import annotations

import numpy as np
import pytest

from mlobs_client.client.total_energy import predict
from mlobs_client.errors import ConfigError
from mlobs_client.evaluate.toys import FerroelectricCrystal
from mlobs_client.structure import Array, Structure
from mlobs_client.terms.field import UniformField

TRICLINIC = np.array([[9.0, 1.0, 0.5], [-0.7, 8.0, 1.2], [0.3, -1.1, 10.0]])
SITES = np.array([[0.1, 0.2, 0.3], [4.0, 3.0, 5.0]])
DIRECTION = np.array([1.0, 2.0, 2.0]) / 3.0
CRYSTAL = FerroelectricCrystal(
    SITES, [4, -4], [0], minimum=0.5, barrier=0.003, direction=DIRECTION, born_charges=[6.5, -6.5],
    reference_cell=TRICLINIC,
)  # fmt: skip


def at(displacement: float, images: Array | None = None) -> Structure:
    moved = SITES.copy()
    moved[0] += displacement * DIRECTION
    if images is not None:
        moved[0] += images @ TRICLINIC
    return Structure(np.array([22, 8]), moved, TRICLINIC)


def observe(structure: Structure, field: float = 0.0) -> tuple[Array, Array, Array]:
    """Energy, forces and dipole."""
    terms = (UniformField(field * DIRECTION),)
    (found,) = predict([structure], (CRYSTAL,), terms, frozenset({"dipole"}))
    return np.asarray(found.energy), found.forces, found.observables["dipole"]


def test_the_two_states_are_minima_that_differ_by_no_quantum() -> None:
    energies, forces, dipoles = zip(*[observe(at(s)) for s in (-0.5, 0.0, 0.5)], strict=True)
    np.testing.assert_allclose(energies, [0.0, 0.003, 0.0], atol=1e-15)
    np.testing.assert_allclose(forces, 0.0, atol=1e-15)
    change = dipoles[2] - dipoles[0]
    np.testing.assert_allclose(change, 2.0 * 0.5 * 6.5 * DIRECTION)
    quanta = np.linalg.solve(TRICLINIC.T, change)
    assert np.abs(quanta - np.rint(quanta)).max() > 0.1


def test_a_lattice_vector_changes_the_dipole_by_the_integer_only() -> None:
    images = np.array([1.0, -2.0, 0.0])
    (energy, forces, dipole), (far_energy, far_forces, far_dipole) = (
        observe(at(0.2)), observe(at(0.2, images))
    )  # fmt: skip
    np.testing.assert_allclose(far_dipole - dipole, 4.0 * images @ TRICLINIC, atol=1e-12)
    assert far_energy == pytest.approx(energy, abs=1e-14)
    np.testing.assert_allclose(far_forces, forces, atol=1e-13)


def test_the_state_against_the_field_is_there_up_to_the_coercive_field() -> None:
    coercive = 8.0 * 0.003 / (3.0 * np.sqrt(3.0) * 0.5) / 6.5
    # the force along the field is weakest at -minimum / sqrt(3)
    for factor, sign in ((0.99, -1.0), (1.01, 1.0)):
        _, forces, _ = observe(at(-0.5 / np.sqrt(3.0)), factor * coercive)
        assert np.sign(forces[0] @ DIRECTION) == sign


def test_impossible_parameters_are_refused() -> None:
    with pytest.raises(ConfigError, match="charges must be integers"):
        FerroelectricCrystal(SITES, [4.5, -4.5], [0])
    with pytest.raises(
        ConfigError, match=r"polar = \[2\]: must be indices of different atoms, from 0 to 1"
    ):
        FerroelectricCrystal(SITES, [4, -4], [2])
