"""Bands are split where a spectrum is lowest, and nothing is lost or counted twice."""

from __future__ import annotations

import numpy as np
import pytest

from mlobs_client.analysis.vibrations.bands import find_bands
from mlobs_client.analysis.vibrations.spectra import spectrum

X = np.arange(0.0, 4000.0, 2.0)


def gaussians(**areas: float) -> np.ndarray:
    """Bands of 25 cm^-1 standard deviation, by name and area."""
    width = 25.0
    return sum(
        area * np.exp(-0.5 * ((X - float(at[1:])) / width) ** 2) / (width * np.sqrt(2 * np.pi))
        for at, area in areas.items()
    )


def test_each_band_has_its_area_and_all_together_the_whole() -> None:
    shape = gaussians(_1600=60.0, _3600=15.0, _3750=40.0)
    noise = 1.0 + 0.01 * np.array([[-1.0], [0.0], [1.0]])  # three blocks
    found = spectrum("molar infrared absorption", X, noise * shape, "km/mol/cm^-1", 10.0)
    bands = find_bands(found)
    assert [band.wavenumber for band in bands] == pytest.approx([1600, 3600, 3750], abs=2.0)
    # the two stretches overlap a little: they are cut where the spectrum is lowest
    assert [band.area.value for band in bands] == pytest.approx([60.0, 15.0, 40.0], abs=0.1)
    assert sum(band.area.value for band in bands) == pytest.approx(115.0, rel=1e-6)
    assert found.integral(0.0, 4000.0).value == pytest.approx(115.0, rel=1e-6)
    assert str(bands[0]).startswith("1600.0 cm^-1: 60.00 ± ")
    assert "km/mol" in str(bands[0])


def test_a_spectrum_without_maxima_has_no_bands() -> None:
    flat = spectrum("molar infrared absorption", X, np.ones((3, len(X))), "km/mol/cm^-1", 10.0)
    assert find_bands(flat) == []
