"""Bands are split where a spectrum is lowest, and nothing is lost or counted twice."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mlobs_client.analysis.vibrations.bands import find_bands, member_spreads
from mlobs_client.analysis.vibrations.spectra import spectrum
from mlobs_client.cli.spectrum import member_report
from mlobs_client.results import Curve

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


def test_the_spread_of_a_peak_is_that_of_the_bands_of_the_members() -> None:
    grid = np.arange(500.0, 2500.0, 2.0)

    def band(center: float) -> np.ndarray:
        """Symmetric against the logarithm of the wavenumber, so that its position is exact."""
        return np.exp(-0.5 * (np.log(grid / center) / 0.03) ** 2)

    fixed, moving = band(1000.0), [band(center) for center in (1985.0, 2000.0, 2030.0)]
    members = np.array([fixed + moving[0], fixed + moving[1], fixed + moving[2]])
    # blocks are not those of the members: positions are of their mean
    blocks = np.array([1.0, 1.1])[:, None] * (fixed + moving[1])
    found = Curve("I", "1", "wavenumber", "cm^-1", grid, blocks, members)
    (low, of_low), (high, of_high) = member_spreads(found)
    assert (low, high) == pytest.approx((1000.0, 2000.0), abs=1.0)
    assert of_low == pytest.approx(0.0, abs=1e-6)
    assert of_high == pytest.approx(np.std([1985.0, 2000.0, 2030.0], ddof=1), rel=1e-3)
    # a member without this band has no position, and the spread is not that of the others
    tilted = fixed * (1.0 + 1e-3 * (grid - 1000.0))
    without = replace(found, members=np.array([members[0], members[1], tilted]))
    assert np.isnan(member_spreads(without)[1][1])
    assert list(member_report(found)) == [
        f"peaks, and their spread over 3 members: {low:.1f} ± 0.0, {high:.1f} ± {22.9:.1f} cm^-1"
    ]
    (said,) = member_report(without)
    assert said.endswith(f"{high:.1f} (not a single band in all members) cm^-1")
    assert list(member_report(replace(found, members=None))) == []
