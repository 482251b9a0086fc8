"""A fixed displacement, with ions whose dipole is multi-valued and with a crystal that is exact."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from charged_ions import CELL, CHARGES, oscillators, structure

from mlobs_client.client.total_energy import observe, predict
from mlobs_client.evaluate.toys import HarmonicCrystal, random_crystal
from mlobs_client.structure import Array, Structure
from mlobs_client.terms.displacement import FixedDisplacement
from mlobs_client.terms.field import UniformField
from mlobs_client.testing.conformance import check_term

REFERENCE = CELL @ (
    np.eye(3) + np.array([[0.05, 0.02, -0.01], [0.0, -0.04, 0.03], [0.01, 0, 0.06]])
)
D = np.array([0.01, -0.02, 0.03])


TERMS = {
    "vector": FixedDisplacement(D),
    "flux": FixedDisplacement(D, reference_cell=REFERENCE),
    "two axes": FixedDisplacement(D, is_fixed=(True, False, True)),
    "electrons": FixedDisplacement(D, second_order=True),
    "electrons, flux": FixedDisplacement(D, second_order=True, reference_cell=REFERENCE),
    "electrons, one axis": FixedDisplacement(D, second_order=True, is_fixed=(False, True, False)),
}
parametrized = pytest.mark.parametrize("term", TERMS.values(), ids=TERMS)


def field_of(term: FixedDisplacement, structure: Structure) -> Array:
    (values,) = observe([structure], [oscillators()], term.needs)
    return term.field(structure, values)


@parametrized
def test_forces_virial_and_cotangents_are_derivatives_of_the_energy(
    term: FixedDisplacement,
) -> None:
    report = check_term(term, [oscillators()], structure())
    assert report.passed, str(report)


@parametrized
def test_forces_and_observables_are_those_in_the_field_that_it_produces(
    term: FixedDisplacement,
) -> None:
    wanted = oscillators().provides - {"energy"}
    field = field_of(term, structure())
    assert np.linalg.norm(field) > 0.01
    fixed_field = UniformField(field, term.second_order)
    at_displacement, in_field = (
        predict([structure()], [oscillators()], [one], wanted)[0] for one in (term, fixed_field)
    )
    # rounding of forces of the order of 0.1
    assert at_displacement.forces == pytest.approx(in_field.forces, abs=1e-14)
    for name in wanted:
        assert at_displacement.observables[name] == pytest.approx(in_field.observables[name])


@parametrized
def test_the_derivative_of_the_energy_by_the_displacement_is_the_field(
    term: FixedDisplacement,
) -> None:
    at_rest, h = replace(term, reference_cell=None), 1e-3
    found = []
    for axis in np.flatnonzero(term.is_fixed):
        shift = h * np.eye(3)[axis]
        plus, minus = (
            predict([structure()], [oscillators()], [replace(at_rest, displacement=moved)])[0]
            for moved in (D + shift, D - shift)
        )
        found.append((plus.energy - minus.energy) / (2.0 * h))
    expected = structure().volume / (4.0 * np.pi) * field_of(at_rest, structure())
    # a parabola: central differences are exact up to rounding, 1e-15/h
    assert found == pytest.approx(expected[list(term.is_fixed)], abs=1e-10)


def test_where_the_displacement_is_not_fixed_there_is_no_field() -> None:
    field = field_of(TERMS["electrons, one axis"], structure())
    assert field[[0, 2]].tolist() == [0.0, 0.0]
    assert abs(field[1]) > 1e-3


def test_a_fixed_flux_is_that_through_the_faces_of_the_reference_cell() -> None:
    term = TERMS["flux"]
    vacuum = {"dipole": np.zeros(3)}  # where the field is the displacement
    for cell in (REFERENCE, CELL):
        a, b, c = cell
        faces = np.array([np.cross(b, c), np.cross(c, a), np.cross(a, b)])
        flux = faces @ term.field(replace(structure(), cell=cell), vacuum)
        if cell is REFERENCE:
            expected = flux
            assert term.field(replace(structure(), cell=cell), vacuum) == pytest.approx(D)
        assert flux == pytest.approx(expected, rel=1e-12)


def test_an_ion_that_has_crossed_the_cell_has_charged_the_plates() -> None:
    moved = structure().positions.copy()
    moved[2] += CELL[0]
    pair = [structure(), replace(structure(), positions=moved)]
    before, after = (field_of(TERMS["vector"], one) for one in pair)
    quantum = CHARGES[2] * CELL[0] / structure().volume
    assert after - before == pytest.approx(-4.0 * np.pi * quantum, rel=1e-12)
    forces = [p.forces for p in predict(pair, [oscillators()], [TERMS["vector"]])]
    work = CHARGES[:, None] * (after - before)
    assert forces[1] - forces[0] == pytest.approx(work, abs=1e-13)


# --- a harmonic crystal: everything about it is known ---


def polar_crystal() -> tuple[HarmonicCrystal, Structure, Array, Array]:
    """It, its sites, its susceptibility (of the dipole, bohr^3) and its dipole at the sites."""
    sites = structure()
    crystal = random_crystal(sites, seed=3)
    (values,) = observe([sites], [crystal], frozenset({"dipole", "born_charges"}))
    slopes = np.moveaxis(values["born_charges"], 0, 1).reshape(3, -1)  # [i, Ij]
    hessian = hessian_of(crystal, sites, UniformField(np.zeros(3)))
    return crystal, sites, slopes @ np.linalg.solve(hessian, slopes.T), values["dipole"]


def hessian_of(
    crystal: HarmonicCrystal, sites: Structure, term: UniformField | FixedDisplacement
) -> Array:
    h, columns = 0.1, []
    for index in np.ndindex(sites.positions.shape):
        shift = np.zeros_like(sites.positions)
        shift[index] = h
        pair = [replace(sites, positions=sites.positions + s) for s in (shift, -shift)]
        plus, minus = predict(pair, [crystal], [term])
        columns.append((minus.forces - plus.forces).ravel() / (2.0 * h))
    return np.array(columns)


@pytest.mark.parametrize("fixed", [(True, True, True), (False, True, True)])
def test_fluctuations_of_the_polarization_are_suppressed_by_the_dielectric_tensor(
    fixed: tuple[bool, bool, bool],
) -> None:
    crystal, sites, chi, _ = polar_crystal()
    (values,) = observe([sites], [crystal], frozenset({"born_charges"}))
    slopes = np.moveaxis(values["born_charges"], 0, 1).reshape(3, -1)
    hessian = hessian_of(crystal, sites, FixedDisplacement(D, is_fixed=fixed))
    fluctuations = slopes @ np.linalg.solve(hessian, slopes.T)  # <dmu dmu>/kT, classical
    depolarization = np.diag(4.0 * np.pi / sites.volume * np.array(fixed))
    epsilon = np.eye(3) + depolarization @ chi
    assert np.linalg.det(epsilon) > 1.5
    # differences of linear forces are exact up to rounding, 1e-14/h on 1e-2
    assert fluctuations == pytest.approx(chi @ np.linalg.inv(epsilon), rel=1e-9, abs=1e-9)


def test_at_the_minimum_the_field_is_the_screened_displacement() -> None:
    crystal, sites, chi, dipole = polar_crystal()
    term = FixedDisplacement(D)
    (at_sites,) = predict([sites], [crystal], [term])
    hessian = hessian_of(crystal, sites, term)
    relaxed = sites.positions + np.linalg.solve(hessian, at_sites.forces.ravel()).reshape(-1, 3)
    minimum = replace(sites, positions=relaxed)
    assert predict([minimum], [crystal], [term])[0].forces == pytest.approx(0.0, abs=1e-12)
    (values,) = observe([minimum], [crystal], term.needs)
    epsilon = np.eye(3) + 4.0 * np.pi / sites.volume * chi
    expected = np.linalg.solve(epsilon, D - 4.0 * np.pi / sites.volume * dipole)
    assert term.field(minimum, values) == pytest.approx(expected, rel=1e-9)
