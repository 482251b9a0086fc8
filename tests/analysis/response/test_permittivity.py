"""Fluctuations of harmonic charges, whose dielectric tensor is known exactly."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from mlobs_client.analysis.response.permittivity import permittivity_from_fluctuations
from mlobs_client.analysis.response.polarization import (
    polarization_against_field,
    susceptibility_from_fluctuations,
)
from mlobs_client.errors import ConfigError
from mlobs_client.units import ANGSTROM, KELVIN, VOLT_PER_ANGSTROM

Array = npt.NDArray[np.float64]
VOLUME = (9.0 * ANGSTROM) ** 3
TEMPERATURE = 300.0 * KELVIN
DIRECTION = np.array([2.0, -1.0, 2.0]) / 3.0
REST = np.array([3.0, -40.0, 7.0])
SPRINGS = np.array([[0.10, 0.02, -0.01], [0.02, 0.15, 0.03], [-0.01, 0.03, 0.20]])


def draw(field: Array, n_samples: int, seed: int) -> Array:
    """Dipole of 20 harmonic charges in a field, drawn from its exact distribution."""
    covariance = 20 * TEMPERATURE * np.linalg.inv(SPRINGS)
    mean = REST + 20 * np.linalg.solve(SPRINGS, field)
    return np.random.default_rng(seed).multivariate_normal(mean, covariance, n_samples)


def test_the_tensor_and_its_errors_are_those_of_harmonic_charges() -> None:
    exact = 1.5 * np.eye(3) + 4.0 * np.pi * 20 * np.linalg.inv(SPRINGS) / VOLUME
    pulls = []
    for seed in range(60):
        found = permittivity_from_fluctuations(
            [draw(np.zeros(3), 1500, seed), draw(np.zeros(3), 500, 1000 + seed)],
            VOLUME, TEMPERATURE, electronic=1.5,
        )  # fmt: skip
        pulls.append((found.tensor - exact) / found.errors)
        assert found.mean.value == pytest.approx(np.trace(found.tensor) / 3.0)
    # 60 pulls in each element: mean to 0.13, and width of all to 0.03
    assert np.abs(np.mean(pulls, axis=0)).max() < 0.5
    assert np.std(pulls) == pytest.approx(1.0, abs=0.12)


def test_fluctuations_and_the_polarization_in_fields_agree_on_the_exact_number() -> None:
    exact = 4.0 * np.pi * 20 * DIRECTION @ np.linalg.inv(SPRINGS) @ DIRECTION / VOLUME
    fields = np.outer([-0.2, -0.1, 0.0, 0.1, 0.2], DIRECTION) * VOLT_PER_ANGSTROM
    runs = [draw(field, 2000, seed) for seed, field in enumerate(fields)]
    response = polarization_against_field(fields, runs, VOLUME).susceptibility
    fluctuations = permittivity_from_fluctuations(draw(np.zeros(3), 10_000, 9), VOLUME, TEMPERATURE)
    along = DIRECTION @ fluctuations.tensor @ DIRECTION - 1.0
    error = float(np.max(fluctuations.errors))
    assert response.value == pytest.approx(exact, abs=3.5 * response.error)
    assert along == pytest.approx(exact, abs=3.5 * error)
    assert response.error < 0.05 * exact
    assert error < 0.05 * exact


def test_the_tensor_holds_the_susceptibility_along_any_direction() -> None:
    run = draw(np.zeros(3), 4000, 3)
    tensor = permittivity_from_fluctuations(run, VOLUME, TEMPERATURE).tensor
    along = susceptibility_from_fluctuations(run, VOLUME, TEMPERATURE, DIRECTION)
    # the mean of the same samples: one part in 4000
    assert DIRECTION @ tensor @ DIRECTION - 1.0 == pytest.approx(along.value, rel=2e-3)


def test_runs_on_an_offset_are_as_good_as_without() -> None:
    near = permittivity_from_fluctuations(draw(np.zeros(3), 500, 1) - REST, VOLUME, TEMPERATURE)
    far = permittivity_from_fluctuations(
        draw(np.zeros(3), 500, 1) + 1e5, VOLUME, TEMPERATURE
    )  # the mean is taken out before squares are
    np.testing.assert_allclose(far.tensor, near.tensor, rtol=1e-8)


def test_a_temperature_in_kelvin_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"300.0 Eh is"):
        permittivity_from_fluctuations(draw(np.zeros(3), 500, 1), VOLUME, 300.0)
