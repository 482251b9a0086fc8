from __future__ import annotations

import numpy as np
import pytest

from mlobs_client.errors import EvaluationError
from mlobs_client.evaluate.toys import HarmonicCrystal, random_crystal
from mlobs_client.structure import Structure
from mlobs_client.units import ANGSTROM, EV, INVERSE_CM, KELVIN

TRICLINIC = np.array([[9.0, 1.0, 0.5], [-0.7, 8.0, 1.2], [0.3, -1.1, 10.0]])
MILLI_EV = 1e-3 * EV


def crystal_site() -> Structure:
    positions = np.random.default_rng(1).normal(size=(3, 3)) * 2.0
    return Structure(np.array([1, 2, 3]), positions, TRICLINIC)


def one_atom(angular_frequencies: list[float], mass: float) -> HarmonicCrystal:
    return HarmonicCrystal(np.zeros((1, 3)), np.diag(angular_frequencies) ** 2 * mass)


def test_crystal_has_the_harmonic_free_energies_of_the_morse_wall() -> None:
    depth, exponent = 0.2 * EV, 0.75 / ANGSTROM
    omega = exponent * np.sqrt(2.0 * depth / 1837.4)
    crystal = one_atom([omega] * 3, 1837.4)
    kT = 300.0 * KELVIN
    classical = crystal.free_energy([1837.4], kT, n_beads=1) / 3.0
    assert classical / MILLI_EV == pytest.approx(4.31398, abs=2e-5)
    quantum = crystal.free_energy([1837.4], kT) / 3.0
    assert quantum / MILLI_EV == pytest.approx(5.80079, abs=2e-5)


def test_the_kinetic_energy_of_a_quantum_oscillator_follows_from_its_free_energy() -> None:
    kT, h = 300.0 * KELVIN, 1e-3
    for wavenumber, expected in ((3400.0, 105.387), (1650.0, 51.181), (500.0, 18.597)):
        crystal = one_atom([wavenumber * INVERSE_CM] * 3, 1.0)
        plus, minus = (crystal.free_energy([np.exp(x)], kT) for x in (h, -h))
        # <K> = -m dF/dm
        assert -(plus - minus) / (2.0 * h) / 3.0 / MILLI_EV == pytest.approx(expected, abs=2e-3)


def test_ring_polymers_approach_the_quantum_free_energy_as_one_over_beads_squared() -> None:
    crystal = random_crystal(crystal_site())
    masses, kT = [2000.0, 3000.0, 4000.0], 300.0 * KELVIN
    exact = crystal.free_energy(masses, kT)
    errors = [exact - crystal.free_energy(masses, kT, n_beads) for n_beads in (1, 128, 256, 512)]
    assert np.all(np.array(errors) > 0.0)
    assert errors[2] / errors[3] == pytest.approx(4.0, rel=0.01)


def test_an_unbound_crystal_has_no_free_energy() -> None:
    crystal = HarmonicCrystal(np.zeros((1, 3)), np.diag([1.0, 1.0, -1.0]))
    with pytest.raises(EvaluationError, match="unstable"):
        crystal.free_energy([1.0], 1.0)
