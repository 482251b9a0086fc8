"""What is read off a spectrum, and how long a run must be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from mlobs_client.analysis.vibrations.spectra import (
    Spectrum,
    SpectrumSettings,
    as_runs,
    integrate,
    member_peaks,
    peak,
)
from mlobs_client.analysis.vibrations.spectral_density import SpectralDensity
from mlobs_client.errors import ConfigError, MissingObservable, RecordError
from mlobs_client.units import FEMTOSECOND, INVERSE_CM

Array = npt.NDArray[np.float64]
GRID = np.arange(0.0, 2000.0, 2.0)


def gaussian(center: float, width: float = 40.0) -> Array:
    return np.asarray(np.exp(-0.5 * ((GRID - center) / width) ** 2))


def line(center: float, width: float = 40.0) -> Array:
    """Symmetric against the logarithm of the wavenumber, as bands of damped oscillators are."""
    return np.asarray(np.exp(-0.5 * (np.log(np.maximum(GRID, 1.0) / center) * center / width) ** 2))


def spectrum(blocks: list[Array], members: list[Array] | None = None) -> Spectrum:
    together = None if members is None else np.array(members)
    return Spectrum("test", GRID, np.array(blocks), "cm^-1", 10.0, together)


def test_a_peak_is_found_between_grid_points_with_the_scatter_of_the_blocks() -> None:
    centers = np.array([998.1, 1001.3, 1003.5, 999.7, 1000.9])
    estimate = peak(spectrum([line(center) for center in centers]), 900, 1100)
    # the lines are wide and alike: their mean is a line at the mean of the centres;
    assert estimate.value == pytest.approx(centers.mean(), abs=0.02)
    # and Student's t of 4 degrees of freedom widens the scatter by 1.1416
    scatter = centers.std(ddof=1) / np.sqrt(5)
    assert estimate.error == pytest.approx(1.1416 * scatter, rel=0.03)
    assert (estimate.unit, estimate.n_independent) == ("cm^-1", 5)


def test_the_error_of_a_noisy_broad_band_is_the_scatter_over_repetitions(
    langevin: Callable[..., tuple[Array, Array]],
) -> None:
    omega_0, friction, dt = 2000 * INVERSE_CM, 100 * INVERSE_CM, FEMTOSECOND
    _, v = langevin(omega_0, friction, 1.0, dt, 30_000, 60, seed=5)
    settings = SpectrumSettings(resolution=20.0, n_blocks=10)
    estimates = []
    for i in range(0, 60, 3):
        density = SpectralDensity.of([v[:, i : i + 3]], dt, settings)
        one = Spectrum("test", density.wavenumber, density.blocks, "1", density.resolution)
        estimates.append(peak(one, 1700, 2300))
    pulls = [(estimate.value - 2000.0) / estimate.error for estimate in estimates]
    # 20 pulls: width known to 16 %, mean to 0.25; Student with 9 degrees of freedom adds 7 %
    assert 0.6 < np.std(pulls) < 1.7
    assert abs(np.mean(pulls)) < 0.9
    assert np.mean([estimate.error for estimate in estimates]) < 10.0  # a tenth of the width


def test_each_member_has_its_own_peak() -> None:
    one = spectrum([line(1000.0)] * 2, [line(980.5), line(1015.3)])
    # exact for a parabola of the logarithms, up to rounding
    np.testing.assert_allclose(member_peaks(one, 900, 1100), [980.5, 1015.3], atol=1e-6)


def test_error_and_member_spread_are_separate() -> None:
    one = spectrum([gaussian(1000) * s for s in (1.0, 2.0, 3.0)], [gaussian(1000), gaussian(900)])
    top = int(np.argmax(gaussian(1000)))
    assert one.intensity[top] == pytest.approx(2.0)
    # Student, 2 degrees of freedom: 68.27 % lie within 1.3213 (from tables)
    assert one.error[top] == pytest.approx(1.3213 / np.sqrt(3.0), rel=1e-4)
    assert one.member_spread is not None
    assert one.member_spread[top] == pytest.approx((1 - np.exp(-0.5 * 2.5**2)) / np.sqrt(2.0))
    assert spectrum([gaussian(1000)] * 2).member_spread is None


def test_the_integral_of_a_line_is_its_area() -> None:
    estimate = integrate(spectrum([gaussian(1000) * s for s in (0.9, 1.1)]), 500, 1500)
    assert estimate.value == pytest.approx(40.0 * np.sqrt(2.0 * np.pi), rel=1e-6)
    # two blocks: Student's t of one degree of freedom is 1.8373
    assert estimate.error == pytest.approx(0.18373 * estimate.value, rel=1e-4)


@pytest.mark.parametrize(
    ("unit", "of_the_integral"), [("1", "cm^-1"), ("1/cm^-1", "1"), ("eV", "eV cm^-1")]
)
def test_the_integral_has_its_unit(unit: str, of_the_integral: str) -> None:
    curve = replace(spectrum([gaussian(1000)] * 2), unit=unit)
    assert integrate(curve, 500, 1500).unit == of_the_integral


def test_a_part_of_a_spectrum_keeps_everything_else() -> None:
    part = spectrum([gaussian(1000)] * 2, [gaussian(980)] * 2).between(900, 910)
    np.testing.assert_array_equal(part.wavenumber, [900, 902, 904, 906, 908, 910])
    assert part.blocks.shape == part.members.shape == (2, 6)  # type: ignore[union-attr]
    assert part.unit == "cm^-1"


def test_ranges_without_a_maximum_are_refused() -> None:
    one = spectrum([gaussian(1000)] * 2)
    with pytest.raises(RecordError, match="highest point is at the end, 1100"):
        peak(one, 1100, 1500)
    with pytest.raises(RecordError, match="choose a range with one band"):
        peak(spectrum([gaussian(600) + gaussian(1400)] * 2), 400, 1600)
    with pytest.raises(ConfigError, match="fewer than three points lie between 5000 and 6000"):
        peak(one, 5000, 6000)
    with pytest.raises(MissingObservable, match="members="):
        member_peaks(one, 900, 1100)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"resolution": 0.0}, "resolution = 0.0"),
        ({"resolution": float("nan")}, "resolution = nan"),
        ({"n_blocks": 1}, "n_blocks = 1"),
        ({"window": "hanning"}, "window = 'hanning': unknown; use one of parzen"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, float], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        SpectrumSettings(**settings)  # type: ignore[arg-type]


def test_runs_of_wrong_shape_are_refused() -> None:
    with pytest.raises(RecordError, match=r"dipoles must have shape \(t, 3\) each, got \(5, 2\)"):
        as_runs(np.ones((5, 2)), ("t", "3"), "dipoles")
    with pytest.raises(RecordError, match="no run was given"):
        as_runs([], ("t", "3"), "dipoles")
    with pytest.raises(RecordError, match=r"dipoles\[1, 2\] is inf"):
        as_runs([np.ones((4, 3)), np.array([[0, 0, 0], [0, 0, np.inf]])], ("t", "3"), "dipoles")
