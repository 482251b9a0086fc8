"""Peaks of integrated oscillators, and where they would be without a time step."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from scipy.integrate import trapezoid

from mlobs_client.analysis.vibrations.spectra import SpectrumSettings
from mlobs_client.analysis.vibrations.timestep import correct_timestep, peak_shifts
from mlobs_client.analysis.vibrations.vdos import vdos
from mlobs_client.errors import ConfigError
from mlobs_client.results.curve import Curve
from mlobs_client.units import DALTON, FEMTOSECOND, INVERSE_CM

Array = npt.NDArray[np.float64]
TIMESTEP = 0.5 * FEMTOSECOND


def velocity_verlet(wavenumber: float, n_steps: int) -> Array:
    """Velocities of a harmonic oscillator, step by step."""
    square = (wavenumber * INVERSE_CM) ** 2
    x, v = 0.3, 0.1 * wavenumber * INVERSE_CM
    velocities = np.empty(n_steps)
    for t in range(n_steps):
        velocities[t] = v
        v -= 0.5 * TIMESTEP * square * x
        x += TIMESTEP * v
        v -= 0.5 * TIMESTEP * square * x
    return velocities


@pytest.fixture(scope="module")
def simulated() -> Curve:
    """Two lines, at 1650 and 3700 cm^-1, of equal weight."""
    lines = [velocity_verlet(wavenumber, 40_000) for wavenumber in (1650.0, 3700.0)]
    alike = [line / line.std() for line in lines]
    velocities = np.stack([alike[0], alike[1], np.zeros(40_000)], axis=1)[::2, None, :]
    settings = SpectrumSettings(resolution=20.0, n_blocks=4)
    return vdos(velocities, np.array([DALTON]), 2.0 * TIMESTEP, settings)


def test_half_a_femtosecond_moves_a_stretch_by_19_wavenumbers(simulated: Curve) -> None:
    # one step of velocity Verlet turns the phase by arccos(1 - (w dt)^2/2)
    true = np.array([1650.0, 3700.0])
    phases = np.arccos(1.0 - 0.5 * (true * INVERSE_CM * TIMESTEP) ** 2)
    exact = phases / TIMESTEP / INVERSE_CM
    assert exact[1] == pytest.approx(3718.99, abs=0.01)
    found = peak_shifts(simulated, TIMESTEP)
    # lines of 20 cm^-1 are known to a hundredth
    assert [one.wavenumber for one in found] == pytest.approx(list(exact), abs=0.2)
    assert [one.shift for one in found] == pytest.approx(list(exact - true), abs=0.01)


def test_a_corrected_spectrum_has_its_peaks_where_the_oscillators_are(simulated: Curve) -> None:
    corrected = correct_timestep(simulated, TIMESTEP)
    assert corrected.peak(3600, 3800).value == pytest.approx(3700.0, abs=0.5)
    assert corrected.peak(1550, 1750).value == pytest.approx(1650.0, abs=0.5)
    assert corrected.details["corrected for a time step of (fs)"] == pytest.approx(0.5)


def test_a_correction_keeps_the_degrees_of_freedom_of_each_line(simulated: Curve) -> None:
    corrected = correct_timestep(simulated, TIMESTEP)
    for low, high in ((1300.0, 2000.0), (3300.0, 4100.0)):
        areas = [
            float(trapezoid(part.mean, part.x))
            for part in (one.between(low, high) for one in (simulated, corrected))
        ]
        # without the factor, 1.6 % are lost at 3700 cm^-1; trapezoids over lines of ten points
        assert areas[1] == pytest.approx(areas[0], rel=1e-3)


def test_a_noisy_band_has_one_peak(langevin: Callable[..., tuple[Array, Array]]) -> None:
    _, v = langevin(1000.0 * INVERSE_CM, 200.0 * INVERSE_CM, 1.0, FEMTOSECOND, 20_000, 9, seed=1)
    settings = SpectrumSettings(resolution=40.0, n_blocks=10)
    spectrum = vdos(v[:, :, None].repeat(3, axis=2), np.full(9, DALTON), FEMTOSECOND, settings)
    (band,) = peak_shifts(spectrum, TIMESTEP)
    assert band.wavenumber == pytest.approx(1000.0, abs=100.0)  # half of the band


def test_an_impossible_time_step_is_refused(simulated: Curve) -> None:
    with pytest.raises(ConfigError, match=r"timestep = -1.0 atu: must be a positive"):
        correct_timestep(simulated, -1.0)
