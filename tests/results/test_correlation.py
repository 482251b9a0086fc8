"""Correlation functions against direct sums, windows against the lines that they make."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import trapezoid

from mlobs_client.errors import ConfigError, RecordError
from mlobs_client.results import correlation


@pytest.mark.parametrize("biased", [True, False])
@pytest.mark.parametrize("shape", [(), (3,), (21, 3)])  # the last: more than one batch of columns
def test_the_fft_gives_the_direct_sum(shape: tuple[int, ...], biased: bool) -> None:
    rng = np.random.default_rng(1)
    signal, weights = rng.normal(1.0, 1.0, (50, *shape)), rng.uniform(0.5, 2.0, shape)
    given_weights = None if shape == () else weights
    result = correlation.autocorrelation(signal, 20, given_weights, biased=biased)
    for lag in range(21):
        products = np.sum(signal[: 50 - lag] * signal[lag:], axis=0)
        direct = np.sum(products * (1.0 if shape == () else weights))
        # rounding of an FFT of 70 numbers of size 1
        assert result[lag] == pytest.approx(direct / (50 if biased else 50 - lag), rel=1e-11)


def test_the_transform_of_a_decaying_exponential_is_a_lorentzian() -> None:
    rate, dt, n = 0.05, 0.1, 4000
    values = correlation.cosine_transform(np.exp(-rate * dt * np.arange(n)), dt, 8001)
    omega = np.pi / dt * np.arange(8001) / 8000
    low = omega < 1.0
    # a time step of 0.1 at frequencies up to 1: error of the trapezoidal rule (omega dt)^2 / 12
    np.testing.assert_allclose(values[low], (2 * rate / (rate**2 + omega**2))[low], rtol=3e-3)


def test_the_integral_of_a_transform_is_pi_times_the_value_at_zero_lag() -> None:
    function = np.random.default_rng(2).normal(size=(2, 37))
    values = correlation.cosine_transform(function, 0.7, 100)
    omega = np.linspace(0.0, np.pi / 0.7, 100)
    np.testing.assert_allclose(trapezoid(values, omega), np.pi * function[:, 0], rtol=1e-12)


@pytest.mark.parametrize("name", correlation.WINDOWS)
def test_a_cosine_becomes_a_line_of_the_width_asked_for(name: str) -> None:
    dt, width, omega_0 = 0.5, 0.02, 0.9
    max_lag = correlation.lag_for_line_width(name, width, dt)
    window = correlation.lag_window(name, max_lag)
    line = window * np.cos(omega_0 * dt * np.arange(max_lag + 1))
    n_points = 100_001
    omega = np.linspace(0.0, np.pi / dt, n_points)
    values = correlation.cosine_transform(line, dt, n_points)
    high = omega[values > 0.5 * values.max()]
    # the grid has 6e-5, max_lag is rounded to 1 in 380 or more
    assert high[-1] - high[0] == pytest.approx(width, rel=0.015)
    assert omega[np.argmax(values)] == pytest.approx(omega_0, abs=2e-3)


@pytest.mark.parametrize("name", ["parzen", "bartlett"])
def test_a_spectrum_from_a_biased_correlation_is_never_negative(name: str) -> None:
    signal = np.cos(0.3 * np.arange(300))
    function = correlation.autocorrelation(signal, 250) * correlation.lag_window(name, 250)
    values = correlation.cosine_transform(function, 1.0, 4000)
    assert values.min() > -1e-12 * values.max()


@given(
    lengths=st.lists(st.integers(1, 400), min_size=1, max_size=5),
    n_blocks=st.integers(2, 12),
)
def test_blocks_are_equal_contiguous_and_as_long_as_possible(
    lengths: list[int], n_blocks: int
) -> None:
    starts = 1000 * np.arange(len(lengths))
    runs = [start + np.arange(n)[:, None] for start, n in zip(starts, lengths, strict=True)]
    if sum(lengths) < n_blocks:
        with pytest.raises(RecordError, match="run longer"):
            correlation.split_blocks(runs, n_blocks)
        return
    blocks = correlation.split_blocks(runs, n_blocks)
    assert len(blocks) >= n_blocks
    assert len({len(block) for block in blocks}) == 1
    assert all((np.diff(block[:, 0]) == 1).all() for block in blocks)
    assert len(np.unique(np.concatenate(blocks))) == sum(map(len, blocks))
    longer = len(blocks[0]) + 1
    assert sum(n // longer for n in lengths) < n_blocks


def test_impossible_parameters_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"'hamming': unknown; use one of parzen, hann"):
        correlation.lag_window("hamming", 10)
    with pytest.raises(ConfigError, match="max_lag = 0"):
        correlation.lag_window("hann", 0)
    with pytest.raises(ConfigError, match="max_lag = -1"):
        correlation.autocorrelation(np.ones(5), -1)
    with pytest.raises(ConfigError, match="n_blocks = 1"):
        correlation.split_blocks([np.ones(5)], 1)
    with pytest.raises(ConfigError, match=r"timestep = -0.5"):
        correlation.lag_for_line_width("hann", 0.1, -0.5)
    with pytest.raises(ConfigError, match="leaves 1 samples"):
        correlation.lag_for_line_width("hann", 6.0, 1.0)


def test_data_that_do_not_fit_are_refused() -> None:
    with pytest.raises(RecordError, match="5 samples, but at least 6"):
        correlation.autocorrelation(np.ones(5), 5)
    with pytest.raises(RecordError, match=r"weights must have the shape of one sample, \(3,\)"):
        correlation.autocorrelation(np.ones((5, 3)), 2, np.ones(2))
