"""How wide lines become, and what is left where the window ends."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.interpolate import CubicSpline

from mlobs_client.analysis.vibrations.spectra import SpectrumSettings
from mlobs_client.analysis.vibrations.spectral_density import (
    LEFT,
    NOISE,
    SpectralDensity,
    correlation_left,
)
from mlobs_client.units import FEMTOSECOND


@pytest.mark.parametrize("biased", [True, False])
@pytest.mark.parametrize("resolution", [22.0, 24.0, 40.0])
def test_a_sharp_line_has_the_width_that_was_asked_for(biased: bool, resolution: float) -> None:
    dt, n = FEMTOSECOND, 20_000  # 22 cm^-1 is nearly the finest that blocks of 2.5 ps allow
    settings = SpectrumSettings(resolution=resolution, n_blocks=8)
    line = np.cos(0.01 * dt * np.arange(n))[:, None]
    density = SpectralDensity.of([line], dt, settings, biased=biased)
    values = CubicSpline(density.wavenumber, density.blocks.mean(axis=0))
    fine = np.linspace(1000.0, 4000.0, 300_001)
    high = fine[values(fine) > 0.5 * values(fine).max()]
    # the longest lag is a whole number of samples, one of a thousand or more; unbiased blocks cut
    # the cosine anywhere
    assert high[-1] - high[0] == pytest.approx(resolution, rel=0.01)
    assert density.resolution == pytest.approx(resolution, rel=2e-3)


def test_the_other_windows_are_those_of_half_and_of_twice_the_resolution() -> None:
    signal = np.random.default_rng(3).normal(size=(40_000, 3))

    def density(resolution: float, n_blocks: int) -> SpectralDensity:
        settings = SpectrumSettings(resolution, n_blocks)
        return SpectralDensity.of([signal], FEMTOSECOND, settings)

    coarse, middle, fine = density(80.0, 4), density(40.0, 4), density(20.0, 2)
    for row, other in zip(middle.other_windows, (coarse, fine), strict=True):
        expected = CubicSpline(other.wavenumber, other.blocks.mean(axis=0))(middle.wavenumber)
        # 20 points to a line width, or five of the coarser one
        np.testing.assert_allclose(row[5:-5], expected[5:-5], rtol=2e-2)


def test_what_is_left_of_a_correlation_is_measured_beyond_single_zeros() -> None:
    lags = np.arange(1001)
    blocks = np.stack([a * np.cos(0.1 * lags) for a in (1.9, 2.0, 2.1)])
    left = correlation_left(blocks)
    # root mean square of a cosine over 1.6 periods; lag 1000 itself has cos(100) = 0.86
    assert left[LEFT] == pytest.approx(np.sqrt(0.5), rel=0.1)
    # 0.1/sqrt(3) of 2
    assert left[NOISE] == pytest.approx(left[LEFT] * 0.05 / np.sqrt(3.0), rel=1e-6)
    assert correlation_left(np.zeros((3, 50))) == {LEFT: 0.0, NOISE: 0.0}
