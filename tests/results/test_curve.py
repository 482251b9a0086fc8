"""What is read off a curve, and what a curve refuses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from mlobs_client.errors import ConfigError, MissingObservable, RecordError
from mlobs_client.results.curve import Curve

Array = npt.NDArray[np.float64]
GRID = np.arange(0.0, 2000.0, 2.0)


def gaussian(center: float, width: float = 40.0) -> Array:
    return np.asarray(np.exp(-0.5 * ((GRID - center) / width) ** 2))


def line(center: float, width: float = 40.0) -> Array:
    """Symmetric against the logarithm of the wavenumber, as bands of damped oscillators are."""
    return np.asarray(np.exp(-0.5 * (np.log(np.maximum(GRID, 1.0) / center) * center / width) ** 2))


def spectrum(blocks: list[Array], members: list[Array] | None = None) -> Curve:
    together = None if members is None else np.array(members)
    return Curve("test", "cm^-1", "wavenumber", "cm^-1", GRID, np.array(blocks), together, 10.0)


def test_a_peak_is_found_between_grid_points_with_the_scatter_of_the_blocks() -> None:
    centers = np.array([998.1, 1001.3, 1003.5, 999.7, 1000.9])
    estimate = spectrum([line(center) for center in centers]).peak(900, 1100)
    # the lines are wide and alike: their mean is a line at the mean of the centres;
    assert estimate.value == pytest.approx(centers.mean(), abs=0.02)
    # and Student's t of 4 degrees of freedom widens the scatter by 1.1416
    scatter = centers.std(ddof=1) / np.sqrt(5)
    assert estimate.error == pytest.approx(1.1416 * scatter, rel=0.03)
    assert (estimate.unit, estimate.n_independent) == ("cm^-1", 5)


def test_each_member_has_its_own_peak() -> None:
    one = spectrum([line(1000.0)] * 2, [line(980.5), line(1015.3)])
    # exact for a parabola of the logarithms, up to rounding
    np.testing.assert_allclose(one.member_peaks(900, 1100), [980.5, 1015.3], atol=1e-6)


def test_error_and_member_spread_are_separate() -> None:
    one = spectrum([gaussian(1000) * s for s in (1.0, 2.0, 3.0)], [gaussian(1000), gaussian(900)])
    top = int(np.argmax(gaussian(1000)))
    assert one.mean[top] == pytest.approx(2.0)
    # Student, 2 degrees of freedom: 68.27 % lie within 1.3213 (from tables)
    assert one.error[top] == pytest.approx(1.3213 / np.sqrt(3.0), rel=1e-4)
    assert one.spread is not None
    assert one.spread[top] == pytest.approx((1 - np.exp(-0.5 * 2.5**2)) / np.sqrt(2.0))
    assert spectrum([gaussian(1000)] * 2).spread is None


def test_the_integral_of_a_line_is_its_area() -> None:
    estimate = spectrum([gaussian(1000) * s for s in (0.9, 1.1)]).integral(500, 1500)
    assert estimate.value == pytest.approx(40.0 * np.sqrt(2.0 * np.pi), rel=1e-6)
    # two blocks: Student's t of one degree of freedom is 1.8373
    assert estimate.error == pytest.approx(0.18373 * estimate.value, rel=1e-4)


@pytest.mark.parametrize(
    ("unit", "of_the_integral"),
    [("1", "cm^-1"), ("1/cm^-1", "1"), ("eV", "eV cm^-1"), ("km/mol/cm^-1", "km/mol")],
)
def test_the_integral_has_its_unit(unit: str, of_the_integral: str) -> None:
    curve = replace(spectrum([gaussian(1000)] * 2), unit=unit)
    assert curve.integral(500, 1500).unit == of_the_integral


def test_a_part_of_a_spectrum_keeps_everything_else() -> None:
    part = spectrum([gaussian(1000)] * 2, [gaussian(980)] * 2).between(900, 910)
    np.testing.assert_array_equal(part.x, [900, 902, 904, 906, 908, 910])
    assert part.blocks.shape == part.members.shape == (2, 6)  # type: ignore[union-attr]
    assert part.unit == "cm^-1"


def test_ranges_without_a_maximum_are_refused() -> None:
    one = spectrum([gaussian(1000)] * 2)
    with pytest.raises(RecordError, match="highest point is at the end, 1100"):
        one.peak(1100, 1500)
    with pytest.raises(RecordError, match="choose a range with one band"):
        spectrum([gaussian(600) + gaussian(1400)] * 2).peak(400, 1600)
    with pytest.raises(ConfigError, match="fewer than three points lie between 5000 and 6000"):
        one.peak(5000, 6000)
    with pytest.raises(MissingObservable, match="members="):
        one.member_peaks(900, 1100)


def test_shapes_that_do_not_fit_are_refused() -> None:
    one = spectrum([gaussian(1000)] * 2)
    with pytest.raises(RecordError, match=r"test: blocks must have shape \(n, k\) .* \(2, 999\)"):
        replace(one, blocks=one.blocks[:, 1:])
    with pytest.raises(RecordError, match="members must have shape"):
        replace(one, members=one.mean)
    with pytest.raises(RecordError, match="wavenumber must increase"):
        replace(one, x=one.x[::-1])


def test_one_row_needs_a_reason_for_the_error_that_it_has_not() -> None:
    one = spectrum([gaussian(1000)] * 2)
    with pytest.raises(RecordError, match="1 rows of blocks have no scatter"):
        replace(one, blocks=one.blocks[:1])
    lone = replace(one, blocks=one.blocks[:1], no_error="one path")
    assert np.isnan(lone.error).all()
