from __future__ import annotations

import numpy as np
import pytest

from mlobs_client.evaluate.toys import ChargedOscillators
from mlobs_client.structure import Array, Structure

TRICLINIC = np.array([[9.0, 1.0, 0.5], [-0.7, 8.0, 1.2], [0.3, -1.1, 10.0]])
ENERGY = frozenset({"energy"})


def oscillators(reference_cell: Array | None = TRICLINIC) -> ChargedOscillators:
    sites = np.random.default_rng(1).normal(size=(3, 3)) * 2.0
    return ChargedOscillators(sites, [1, -2, 3], cubic=0.1, reference_cell=reference_cell)


def structure() -> Structure:
    positions = np.random.default_rng(1).normal(size=(3, 3)) * 2.0 + 0.2
    return Structure(np.array([1, 2, 3]), positions, TRICLINIC)


def test_the_dipole_of_oscillators_jumps_by_charge_times_lattice_vector() -> None:
    home = structure()
    positions = home.positions.copy()
    positions[1] += TRICLINIC[2]
    away = Structure(home.numbers, positions, home.cell)
    before, after = oscillators()([home, away], oscillators().provides).values
    assert after["dipole"] - before["dipole"] == pytest.approx(-2.0 * TRICLINIC[2], abs=1e-12)


def strain_of(toy: ChargedOscillators) -> Array | None:
    evaluation = toy([structure()], ENERGY)
    return evaluation.pull_back([{"energy": np.ones(())}])[0].strain


def test_only_wells_that_follow_the_cell_have_a_strain_derivative() -> None:
    assert strain_of(oscillators(None)) is None
    assert strain_of(oscillators(TRICLINIC)) is not None


def test_the_dipole_has_a_strain_derivative_even_if_the_wells_are_pinned() -> None:
    evaluation = oscillators(None)([structure()], frozenset({"dipole"}))
    by_strain = evaluation.pull_back([{"dipole": np.array([1.0, 0.0, 0.0])}])[0].strain
    assert by_strain is not None
    # straining along x moves the dipole as it moves the positions
    assert by_strain[0, 0] == pytest.approx(evaluation.values[0]["dipole"][0], rel=1e-13)
