"""The density of states counts degrees of freedom, at the right wavenumbers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.integrate import trapezoid

from mlobs_client.analysis.vibrations.spectra import SpectrumSettings
from mlobs_client.analysis.vibrations.vdos import vdos
from mlobs_client.errors import ConfigError, RecordError
from mlobs_client.units import DALTON, FEMTOSECOND, INVERSE_CM, KELVIN

TIMESTEP = 1.0 * FEMTOSECOND
SETTINGS = SpectrumSettings(resolution=30.0, n_blocks=4)
MASSES = np.array([16.0, 1.0]) * DALTON


def three_lines() -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Two atoms, each with the kinetic energy of one mode per axis (equipartition)."""
    t = TIMESTEP * np.arange(12_000)
    velocities = np.zeros((len(t), 2, 3))
    for atom, axis, wavenumber in ((0, 0, 700.0), (0, 1, 700.0), (1, 2, 3001.0)):
        phase = 1.3 * atom + 0.4 * axis
        velocities[:, atom, axis] = np.cos(wavenumber * INVERSE_CM * t + phase)
    return velocities / np.sqrt(MASSES)[:, None]


def test_lines_are_at_their_wavenumbers_and_weigh_as_many_degrees_of_freedom() -> None:
    spectrum = vdos(three_lines(), MASSES, TIMESTEP, SETTINGS, degrees_of_freedom=3)
    # a thousandth of a 30 cm^-1 wide line; blocks of 3 ps hold a broken number of periods
    assert spectrum.peak(600, 800).value == pytest.approx(700.0, abs=0.3)
    assert spectrum.peak(2900, 3100).value == pytest.approx(3001.0, abs=0.3)
    assert spectrum.integral(500, 900).value == pytest.approx(2.0, rel=0.01)
    assert spectrum.integral(2800, 3200).value == pytest.approx(1.0, rel=0.01)


def test_the_integral_is_three_per_atom_unless_told_otherwise() -> None:
    velocities = np.random.default_rng(0).normal(size=(6000, 5, 3))
    masses = np.linspace(1.0, 12.0, 5) * DALTON
    for expected, told in ((15.0, None), (12.0, 12.0)):
        spectrum = vdos(velocities, masses, TIMESTEP, SpectrumSettings(40.0, 4), told)
        # exact for the trapezoidal rule over the whole grid
        assert trapezoid(spectrum.mean, spectrum.x) == pytest.approx(expected)


def test_several_runs_count_as_one_experiment() -> None:
    rng = np.random.default_rng(1)
    runs = [rng.normal(size=(n, 2, 3)) for n in (3000, 4500)]
    spectrum = vdos(runs, MASSES, TIMESTEP, SpectrumSettings(40.0, 5))
    assert spectrum.details["blocks"] == 5
    assert spectrum.details["samples per block"] == 1500


def test_the_density_of_a_damped_oscillator_is_the_exact_one_within_honest_errors(
    langevin: Callable[..., tuple[np.ndarray, np.ndarray]],
) -> None:
    omega_0, friction, kt = 1000 * INVERSE_CM, 200 * INVERSE_CM, 300 * KELVIN
    _, v = langevin(omega_0, friction, kt / DALTON, 2 * TIMESTEP, 30_000, 60, seed=3)
    settings = SpectrumSettings(resolution=20.0, n_blocks=20)
    pulls = []
    for i in range(0, 60, 3):
        one = vdos(v[:, None, i : i + 3], np.array([DALTON]), 2 * TIMESTEP, settings)
        one = one.between(600, 1500)
        omega = one.x * INVERSE_CM
        # power spectrum of the velocity of a damped oscillator, area 1 per degree of freedom
        shape = friction * omega**2 / ((omega**2 - omega_0**2) ** 2 + (friction * omega) ** 2)
        exact = 3 * 2 / np.pi * shape * INVERSE_CM
        pulls.append((one.mean - exact) / one.error)
    inside = np.mean(np.abs(pulls) < 1.0)
    # Student with 19 degrees of freedom: 0.67; skewed block spectra lower it by some 0.03; the
    # sampling noise of 20 runs of some 40 independent bins is 0.015. Errors wrong by a factor of
    # 1.5 would give 0.83 or 0.48.
    assert 0.57 < inside < 0.74
    # no bias: the mean over 20 runs of a pull of width 1.1, at each of some 40 bins
    assert abs(np.mean(pulls)) < 0.15


def test_the_error_is_that_of_a_ratio_to_the_kinetic_energy(
    langevin: Callable[..., tuple[np.ndarray, np.ndarray]],
) -> None:
    omega_0, friction = 1000 * INVERSE_CM, 100 * INVERSE_CM
    _, v = langevin(omega_0, friction, 1.0, 2 * TIMESTEP, 10_000, 90, seed=8)
    areas = []
    for i in range(0, 90, 3):
        settings = SpectrumSettings(resolution=40.0, n_blocks=10)
        one = vdos(v[:, None, i : i + 3], np.array([DALTON]), 2 * TIMESTEP, settings)
        areas.append(one.integral(950, 1100))
        # all of it is three degrees of freedom, whatever happens
        assert one.integral(0, 8400).error < 1e-9
    scatter = np.std([area.value for area in areas], ddof=1)
    # 30 runs know it to 13 %, ten blocks to 24 % each; of blocks by themselves it is 2.2 x as large
    assert np.mean([area.error for area in areas]) == pytest.approx(scatter, rel=0.4)


def test_impossible_input_is_refused() -> None:
    velocities = three_lines()
    with pytest.raises(RecordError, match=r"velocities must have shape \(t, 3, 3\)"):
        vdos(velocities, np.ones(3), TIMESTEP, SETTINGS)
    with pytest.raises(RecordError, match="masses must be positive"):
        vdos(velocities, np.array([16.0, -1.0]), TIMESTEP, SETTINGS)
    with pytest.raises(RecordError, match="all velocities are zero"):
        vdos(np.zeros_like(velocities), MASSES, TIMESTEP, SETTINGS)
    with pytest.raises(ConfigError, match=r"timestep = -1.0"):
        vdos(velocities, MASSES, -1.0, SETTINGS)
    with pytest.raises(ConfigError, match="degrees_of_freedom = 0"):
        vdos(velocities, MASSES, TIMESTEP, SETTINGS, degrees_of_freedom=0)
    velocities[7, 1, 2] = np.nan
    with pytest.raises(RecordError, match=r"velocities\[7, 1, 2\] is nan"):
        vdos(velocities, MASSES, TIMESTEP, SETTINGS)
