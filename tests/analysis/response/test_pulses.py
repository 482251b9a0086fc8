"""Responses to pulses of a system whose dielectric function is known exactly."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlobs_client.analysis.response.dielectric import DielectricFunction
from mlobs_client.analysis.response.pulses import PulseResponse, dielectric_from_pulse
from mlobs_client.analysis.vibrations.spectra import SpectrumSettings
from mlobs_client.errors import MissingObservable, RecordError
from mlobs_client.results import correlation
from mlobs_client.units import ANGSTROM, FEMTOSECOND, INVERSE_CM, VOLT_PER_ANGSTROM

Array = npt.NDArray[np.float64]
TIMESTEP = 1.0 * FEMTOSECOND
FINE = 10
"""Steps of the convolution in one sample."""
VOLUME = (8.0 * ANGSTROM) ** 3
DIRECTION = np.array([2.0, -1.0, 2.0]) / 3.0
STEP, RESONANCE, FRICTION = 3.0, 1600.0 * INVERSE_CM, 80.0 * INVERSE_CM
SETTINGS = SpectrumSettings(resolution=50.0)


def susceptibility(t: Array) -> Array:
    """Of a damped oscillator, whose transform is STEP w0^2/(w0^2 - w^2 - i w friction)."""
    ringing = np.sqrt(RESONANCE**2 - 0.25 * FRICTION**2)
    chi = STEP * RESONANCE**2 / ringing * np.exp(-0.5 * FRICTION * t) * np.sin(ringing * t)
    return np.asarray(chi)


@cache
def windowed() -> npt.NDArray[np.complex128]:
    """The transform of what the lag window leaves, at all wavenumbers up to the highest."""
    width = 50.0 * INVERSE_CM
    max_lag = correlation.lag_for_line_width("parzen", width, TIMESTEP)
    t = np.arange(max_lag * FINE + 1) / FINE  # samples
    weights = np.interp(t, np.arange(max_lag + 1), correlation.lag_window("parzen", max_lag))
    n_points = correlation.points_for_line_width(width, TIMESTEP)
    both = np.fft.rfft(susceptibility(t * TIMESTEP) * weights, 2 * (n_points - 1) * FINE)
    return np.asarray(np.conj(both[:n_points]) * TIMESTEP / FINE)


def exact(function: DielectricFunction, electronic: float = 1.0) -> npt.NDArray[np.complex128]:
    """At the wavenumbers of a function."""
    spacing = float(np.diff(function.real.x)[0])
    first = round(float(function.real.x[0]) / spacing)
    return electronic + windowed()[first : first + len(function.real.x)]


def gaussian(
    sigma: float = 2.0, peak: float = 12.0, carrier: float = 0.0, phase: float = 0.0, n: int = 1000
) -> Array:
    """As i-PI's ``driven_dynamics`` has it; fs and rad/fs; on the fine grid."""
    t = np.arange(n * FINE) / FINE
    return np.asarray(
        0.1 * np.cos(carrier * t + phase) * np.exp(-0.5 * ((t - peak) / sigma) ** 2)
    )  # V/angstrom


def respond(field: Array) -> tuple[Array, Array]:
    """Field and dipole along the line, at the samples: P = epsilon_0 chi * E."""
    field = field * VOLT_PER_ANGSTROM
    step = TIMESTEP / FINE
    n = 2 * len(field)
    chi = susceptibility(step * np.arange(len(field)))
    both = np.fft.irfft(np.fft.rfft(chi, n) * np.fft.rfft(field, n), n)[: len(field)]
    return field[::FINE], VOLUME / (4.0 * np.pi) * step * both[::FINE]


def pairs(field: Array, n_pairs: int = 2, seed: int = 1) -> tuple[list[Array], list[Array]]:
    """Dipoles and fields, up and down in turn, on thermal motion and a response of second order."""
    rng = np.random.default_rng(seed)
    sampled, response = respond(field)
    dipoles, fields = [], []
    for _ in range(n_pairs):
        motion = rng.normal(size=3) + np.cumsum(rng.normal(scale=0.05, size=(len(sampled), 3)), 0)
        second = 50.0 * (response**2)[:, None] * [1.0, 0.5, -1.0]
        for sign in (1.0, -1.0):
            dipoles.append(motion + second + sign * response[:, None] * DIRECTION)
            fields.append(sign * sampled[:, None] * DIRECTION)
    return dipoles, fields


def function_of(dipoles: list[Array], fields: list[Array], **options: Any) -> DielectricFunction:
    options = {"settings": SETTINGS, **options}
    return dielectric_from_pulse(dipoles, fields, TIMESTEP, VOLUME, **options)


@settings(deadline=None)  # the first example fills the cache
@given(
    sigma=st.floats(1.5, 9.0),
    carrier=st.floats(0.0, 0.4),  # to 2100 cm^-1
    phase=st.floats(-3.2, 3.2),
    late=st.floats(0.0, 20.0),
    strength=st.floats(0.01, 3.0) | st.floats(-3.0, -0.01),
)
def test_any_pulse_gives_the_function_of_the_oscillator_with_the_resolution_of_the_window(
    sigma: float, carrier: float, phase: float, late: float, strength: float
) -> None:
    field = strength * gaussian(sigma, 5.0 * sigma + late, carrier, phase)
    found = function_of(*pairs(field), electronic=1.8)
    right = exact(found, 1.8)
    # the window is one of the response to the pulse, not to each moment of it: twice LONGEST of the
    # maximum, 50, where the resonance is at the end of the band
    np.testing.assert_allclose(found.real.mean, right.real, atol=2.0)
    np.testing.assert_allclose(found.imaginary.mean, right.imag, atol=2.0)


def test_the_shortest_pulse_is_exact_to_a_thousandth() -> None:
    found = function_of(*pairs(gaussian(1.2)))
    right = exact(found)
    scale = np.abs(right).max()
    np.testing.assert_allclose(found.real.mean, right.real, atol=1e-3 * scale)
    np.testing.assert_allclose(found.imaginary.mean, right.imag, atol=1e-3 * scale)
    top = found.imaginary.x[np.argmax(found.imaginary.mean)]
    assert top == pytest.approx(1600.0, abs=5.0)
    assert found.imaginary.mean.max() > 0.0  # absorbs


def test_the_curve_has_the_wavenumbers_that_the_pulse_has_and_none_below_the_resolution() -> None:
    sigma = 4.0
    found = function_of(*pairs(gaussian(sigma, 20.0)))
    spacing = float(np.diff(found.real.x)[0])
    # exp(-(w sigma)^2/2) = 1/10
    end = np.sqrt(2.0 * np.log(10.0)) / (sigma * FEMTOSECOND * INVERSE_CM)
    assert end - spacing < found.real.x[-1] <= end
    assert found.real.resolution == pytest.approx(50.0, abs=0.1)
    assert 0.0 <= found.real.x[0] - found.real.resolution < spacing
    with pytest.raises(MissingObservable, match="no static value"):
        _ = found.static
    carried = function_of(*pairs(gaussian(12.0, 60.0, 0.3, 0.4)))
    width = np.sqrt(2.0 * np.log(10.0)) / 12.0
    ends = np.array([0.3 - width, 0.3 + width]) / (FEMTOSECOND * INVERSE_CM)
    np.testing.assert_allclose(carried.real.x[[0, -1]], ends, atol=spacing)


def test_runs_in_any_order_find_their_partners() -> None:
    dipoles, fields = pairs(gaussian(), n_pairs=4)
    order = np.random.default_rng(3).permutation(8)
    mixed = function_of([dipoles[k] for k in order], [fields[k] for k in order])
    straight = function_of(dipoles, fields)
    assert straight.real.details["pairs"] == 4
    # all have one response; thermal motion and what is quadratic are gone, up to rounding
    for blocks in (mixed.imaginary.blocks, straight.imaginary.blocks):
        np.testing.assert_allclose(blocks, straight.imaginary.blocks[[0]].repeat(4, 0), atol=1e-9)


def test_the_error_is_that_of_the_mean_over_pairs() -> None:
    dipoles, fields = pairs(gaussian(), n_pairs=3)
    rng = np.random.default_rng(7)
    factors = 1.0 + 0.1 * rng.normal(size=3)
    scaled = []
    for k in range(3):
        middle = 0.5 * (dipoles[2 * k] + dipoles[2 * k + 1])
        scaled += [middle + factors[k] * (one - middle) for one in dipoles[2 * k : 2 * k + 2]]
    found = function_of(scaled, fields).imaginary
    top = int(np.argmax(found.mean))
    # Student, 2 degrees of freedom: 68.27 % lie within 1.3213 (from tables)
    expected = 1.3213 * np.std(factors, ddof=1) / np.sqrt(3.0) / np.mean(factors)
    assert found.error[top] / found.mean[top] == pytest.approx(expected, rel=1e-4)


def test_what_is_linear_is_half_of_the_difference_along_the_field() -> None:
    sampled, response = respond(gaussian())
    found = PulseResponse.of(*pairs(gaussian()))
    np.testing.assert_allclose(found.direction, DIRECTION, atol=1e-12)
    np.testing.assert_allclose(found.field, sampled, atol=1e-15)
    np.testing.assert_allclose(found.dipoles, [response, response], atol=1e-10)
    assert found.centre == pytest.approx(12.0, abs=1e-6)
    assert found.duration == pytest.approx(2.0, rel=1e-6)


def replaced(series: list[Array], k: int, by: Array) -> list[Array]:
    return [*series[:k], by, *series[k + 1 :]]


def test_what_is_no_pair_of_pulses_is_refused() -> None:
    dipoles, fields = pairs(gaussian())
    half = replaced(fields, 2, 0.5 * fields[2])
    with pytest.raises(RecordError, match=r"field of run 3 is not \+E\(t\) or -E\(t\)"):
        function_of(dipoles, half)
    with pytest.raises(RecordError, match=r"3 runs are in \+E\(t\) and 1 in -E\(t\)"):
        function_of(dipoles, replaced(fields, 1, fields[0]))
    with pytest.raises(RecordError, match="1 pair of runs: an error needs at least 2"):
        function_of(dipoles[:2], fields[:2])
    with pytest.raises(RecordError, match=r"run 3 has no partner .* of run 4, .* same checkpoint"):
        function_of(replaced(dipoles, 3, dipoles[3] + [0.0, 0.1, 0.0]), fields)
    with pytest.raises(RecordError, match=r"run 1 has no pulse: .* RESTART"):
        function_of(dipoles, replaced(fields, 0, np.zeros_like(fields[0])))
    with pytest.raises(RecordError, match="run 5 has no pulse"):
        function_of([*dipoles, dipoles[0]], [*fields, np.zeros_like(fields[0])])
    with pytest.raises(RecordError, match="need fields at the same times"):
        function_of(dipoles, replaced(fields, 0, fields[0][:-1]))


def test_a_pair_with_other_momenta_is_no_pair() -> None:
    dipoles, fields = pairs(gaussian(2.0, 30.0))
    drift = np.arange(len(dipoles[0]))[:, None] * [0.02, 0.0, 0.0]
    with pytest.raises(RecordError, match="with its momenta"):
        function_of(replaced(dipoles, 1, dipoles[1] + drift), fields)


@pytest.mark.parametrize(
    ("field", "message"),
    [
        (gaussian(2.0, 2.0), r"starts before the first sample: it has 0\.\d+ of its maximum"),
        (gaussian(2.0, 998.0), "is not over at the last sample"),
        (gaussian(20.0, 100.0), r"sigma of 20 fs, but the resolution allows at most 17 fs"),
        (gaussian(0.4), r"samples 1 fs apart end at 1\.668e\+04 cm\^-1, where the pulse has"),
        (gaussian(2.0, 975.0), r"24 samples are too few for a spectrum"),
    ],
)  # fmt: skip
def test_a_pulse_that_does_not_fit_the_run_is_refused(field: Array, message: str) -> None:
    with pytest.raises(RecordError, match=message):
        function_of(*pairs(field))


def test_runs_that_end_soon_after_a_pulse_give_a_coarser_resolution_and_say_so() -> None:
    found = function_of(*pairs(gaussian(2.0, 500.0))).imaginary
    # 499 samples after the centre, where 50 cm^-1 take 852: 50 x 852.5/498.5 = 85.5
    assert found.resolution == pytest.approx(86.0, rel=2e-3)
    said = str(found.details["short runs"])
    assert said.startswith("a resolution of 86 cm^-1, not of 50 cm^-1: run 0.36 ps more in each")
