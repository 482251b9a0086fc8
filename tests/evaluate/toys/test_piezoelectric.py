from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize_scalar, root

from mlobs_client.client.total_energy import predict
from mlobs_client.errors import ConfigError
from mlobs_client.evaluate.toys import PiezoelectricCrystal
from mlobs_client.structure import Array, Structure
from mlobs_client.terms.field import UniformField
from mlobs_client.testing.conformance import check_evaluator

CELL = np.array([[9.0, 1.0, 0.5], [-0.7, 8.0, 1.2], [0.3, -1.1, 10.0]])
CHARGES = np.array([1, -2, 3, -2])
SITES = np.random.default_rng(1).normal(size=(4, 3)) * 2.0
VOLUME = np.linalg.det(CELL)
BULK, SHEAR, SPRING, SOFTENING = 0.004, 0.003, 0.05, -2.0
FIELD = np.array([0.002, -0.001, 0.003])


def crystal() -> PiezoelectricCrystal:
    return PiezoelectricCrystal(SITES, CHARGES, CELL, BULK, SHEAR, SPRING, SOFTENING)


def deformed(deformation: Array, displacements: Array) -> Structure:
    positions = SITES @ deformation + displacements
    return Structure(np.array([1, 8, 3, 8]), positions, CELL @ deformation)


def relax(field: Array) -> Array:
    """The deformation F without rotation at which enthalpy and forces balance."""

    def slope(x: Array) -> Array:
        deformation = np.zeros((3, 3))
        deformation[np.triu_indices(3)] = x[:6]
        deformation += np.triu(deformation, 1).T
        displacements = x[6:].reshape(-1, 3)
        structure = deformed(deformation, displacements)
        (prediction,) = predict([structure], [crystal()], [UniformField(field)])
        assert prediction.virial is not None
        # moving with the strain, displacements change too
        by_strain = -prediction.virial + displacements.T @ prediction.forces
        by_deformation = np.linalg.solve(deformation.T, by_strain)
        symmetric = by_deformation + by_deformation.T
        return np.concatenate([symmetric[np.triu_indices(3)], prediction.forces.ravel()])

    start = np.concatenate([np.eye(3)[np.triu_indices(3)], np.zeros(12)])
    found = root(slope, start, tol=1e-13)
    assert found.success
    deformation = np.zeros((3, 3))
    deformation[np.triu_indices(3)] = found.x[:6]
    return deformation + np.triu(deformation, 1).T


def test_every_derivative_is_that_of_what_it_claims() -> None:
    deformation = np.eye(3) + np.random.default_rng(2).normal(size=(3, 3)) * 0.05
    shifts = np.random.default_rng(3).normal(size=(4, 3)) * 0.3
    report = check_evaluator(crystal(), deformed(deformation, shifts))
    assert report.passed, str(report)


def test_a_field_strains_the_crystal_by_its_piezoelectric_constants() -> None:
    # odd in the field: the dipole of the sites; what remains is of third order, 1e-2 squared
    h = 0.02
    plus, minus = (relax(sign * h * FIELD) for sign in (1.0, -1.0))
    stress = np.outer(CHARGES @ SITES, FIELD) / VOLUME
    stress = 0.5 * (stress + stress.T)
    pressure = np.trace(stress) / 3.0 * np.eye(3)
    expected = pressure / (3.0 * BULK) + (stress - pressure) / (2.0 * SHEAR)
    found = (plus - minus) / (2.0 * h)
    assert found == pytest.approx(expected, rel=1e-3, abs=1e-3 * np.abs(expected).max())


def test_a_field_strains_the_crystal_by_electrostriction_in_second_order() -> None:
    across = np.cross(CHARGES @ SITES, FIELD)  # no work on the sites in any isotropic cell
    field = 0.005 * across / np.linalg.norm(across)
    energies = [
        minimize_scalar(
            lambda s, E=E: crystal().free_energy(s * CELL, 0.0, E), (0.9, 1.1), tol=1e-10
        ).x
        for E in (field, 0.1 * field)
    ]
    # -d/ds of the energy of induced dipoles, over the stiffness of a stretch, 9 B V
    induced = np.sum(CHARGES**2) * field @ field / SPRING
    expected = -1.5 * SOFTENING * induced / (9.0 * BULK * VOLUME)
    assert energies[0] - 1.0 == pytest.approx(expected, rel=0.1)  # higher orders: 3 % of 1
    assert energies[1] - 1.0 == pytest.approx(0.01 * expected, rel=2e-3)


def test_the_free_energy_without_temperature_is_the_minimum_in_the_field() -> None:
    cell = CELL @ (np.eye(3) + np.random.default_rng(4).normal(size=(3, 3)) * 0.02)
    deformation = np.linalg.solve(CELL, cell)
    at_sites = deformed(deformation, np.zeros((4, 3)))
    term = UniformField(FIELD)
    (prediction,) = predict([at_sites], [crystal()], [term])
    strain = 0.5 * (deformation @ deformation.T - np.eye(3))
    stiffness = SPRING * (1.0 + SOFTENING * np.trace(strain))
    minimum = replace(at_sites, positions=at_sites.positions + prediction.forces / stiffness)
    (relaxed,) = predict([minimum], [crystal()], [term])
    assert relaxed.forces == pytest.approx(0.0, abs=1e-15)
    assert crystal().free_energy(cell, 0.0, FIELD) == pytest.approx(relaxed.energy, rel=1e-12)


def test_softer_springs_pay_entropy() -> None:
    cell, kT = 1.01 * CELL, 1e-3
    trace = 1.5 * (1.01**2 - 1.0)
    entropy = crystal().free_energy(cell, kT, FIELD) - crystal().free_energy(cell, 0.0, FIELD)
    assert entropy == pytest.approx(6.0 * kT * np.log(1.0 + SOFTENING * trace), rel=1e-10)


def test_charges_are_integers() -> None:
    with pytest.raises(ConfigError, match="charges must be integers"):
        PiezoelectricCrystal(SITES, 0.5 * CHARGES, CELL, BULK, SHEAR, SPRING)
