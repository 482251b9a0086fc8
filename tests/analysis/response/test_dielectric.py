"""Fluctuations and responses of systems whose dielectric function is known exactly."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy.signal import lfilter

from mlobs_client.analysis.response.dielectric import (
    DielectricFunction,
    dielectric_from_fluctuations,
    dielectric_from_relaxation,
    kramers_kronig,
)
from mlobs_client.analysis.vibrations.infrared import infrared
from mlobs_client.analysis.vibrations.spectra import SpectrumSettings
from mlobs_client.errors import ConfigError, RecordError
from mlobs_client.units import (
    ANGSTROM,
    DALTON,
    FEMTOSECOND,
    INVERSE_CM,
    KELVIN,
    SPEED_OF_LIGHT,
    VOLT_PER_ANGSTROM,
)

Array = npt.NDArray[np.float64]
Complex = npt.NDArray[np.complex128]
TIMESTEP = 2.0 * FEMTOSECOND
VOLUME = (9.0 * ANGSTROM) ** 3
TEMPERATURE = 300.0 * KELVIN
DIRECTION = np.array([2.0, -1.0, 2.0]) / 3.0
FIELD = 0.01 * VOLT_PER_ANGSTROM * DIRECTION
REST = np.array([3.0, -40.0, 7.0])
STEP = 5.0
"""What the relaxation adds to the static dielectric constant."""


def relaxing(shape: Array) -> list[Array]:
    """Dipoles after +E and -E have been switched off, from P = STEP epsilon_0 E shape(t)."""
    response = STEP * VOLUME / (4.0 * np.pi) * shape[:, None] * FIELD
    return [REST + response, REST - response]


def from_relaxation(shape: Array, resolution: float) -> DielectricFunction:
    return dielectric_from_relaxation(
        relaxing(shape), np.array([FIELD, -FIELD]), REST, TIMESTEP, VOLUME,
        settings=SpectrumSettings(resolution=resolution), electronic=1.7,
    )  # fmt: skip


def angular(function: DielectricFunction) -> Array:
    return function.real.x * INVERSE_CM


def oscillator(omega: Array, omega_0: float, friction: float) -> Complex:
    return np.asarray(STEP * omega_0**2 / (omega_0**2 - omega**2 - 1j * omega * friction))


def test_an_exponential_relaxation_gives_the_function_of_debye() -> None:
    tau = 300.0 * FEMTOSECOND
    found = from_relaxation(np.exp(-TIMESTEP * np.arange(12_000) / tau), 2.0)
    exact = 1.7 + STEP / (1.0 - 1j * angular(found) * tau)
    low = found.real.x < 800.0
    # the window cuts 6 (tau / longest lag)^2 = 2e-3 of the slow part; trapezoids (w dt)^2 / 12
    np.testing.assert_allclose(found.real.mean[low], exact.real[low], atol=3e-3 * STEP)
    np.testing.assert_allclose(found.imaginary.mean[low], exact.imag[low], atol=3e-3 * STEP)
    assert found.static.value == pytest.approx(1.7 + STEP, abs=1e-3)
    loss = found.imaginary
    assert loss.x[np.argmax(loss.mean)] == pytest.approx(17.69, abs=0.5)  # 1/(2 pi c tau)


def test_a_ringing_relaxation_gives_the_function_of_a_damped_oscillator() -> None:
    omega_0, friction = 700.0 * INVERSE_CM, 150.0 * INVERSE_CM
    ringing = np.sqrt(omega_0**2 - 0.25 * friction**2)
    t = TIMESTEP * np.arange(6000)
    shape = np.exp(-0.5 * friction * t) * (
        np.cos(ringing * t) + 0.5 * friction / ringing * np.sin(ringing * t)
    )
    found = from_relaxation(shape, 4.0)
    exact = 1.7 + oscillator(angular(found), omega_0, friction)
    below = found.real.x < 3000.0
    scale = np.abs(exact).max()
    # epsilon' is negative above the resonance
    assert found.real.mean[below].min() < -5.0
    np.testing.assert_allclose(found.real.mean[below], exact.real[below], atol=5e-3 * scale)
    np.testing.assert_allclose(found.imaginary.mean[below], exact.imag[below], atol=5e-3 * scale)


def test_the_real_part_follows_from_the_imaginary_part() -> None:
    omega = np.linspace(0.0, 40.0, 8001)
    exact = oscillator(omega, 2.0, 0.3)
    found = kramers_kronig(np.stack([exact.imag, 2.0 * exact.imag]))
    # what lies beyond 40 is left out: STEP x 2^2 x 0.3 / 40^3
    np.testing.assert_allclose(found[0, :4000], exact.real[:4000], atol=2e-3)
    np.testing.assert_allclose(found[1], 2.0 * found[0])


@pytest.fixture(scope="module")
def thermal(langevin: Callable[..., tuple[Array, Array]]) -> list[Array]:
    """Ten independent runs of an isotropic charge on a damped spring of 400 cm^-1: (t, 3)."""
    frequency, friction = 400.0 * INVERSE_CM, 200.0 * INVERSE_CM
    x, _ = langevin(frequency, friction, TEMPERATURE / DALTON, TIMESTEP, 20_000, 30, seed=5)
    charge = np.sqrt(STEP * VOLUME * DALTON / (4.0 * np.pi)) * frequency
    return [REST + charge * x[:, i : i + 3] for i in range(0, 30, 3)]


def test_fluctuations_of_an_oscillator_give_its_dielectric_function_within_the_errors(
    thermal: list[Array],
) -> None:
    settings = SpectrumSettings(resolution=20.0, n_blocks=20)
    exact_static, pulls = 1.0 + STEP, []
    for direction in (None, DIRECTION):
        found = dielectric_from_fluctuations(
            thermal, TIMESTEP, VOLUME, TEMPERATURE, settings=settings, direction=direction
        )
        exact = 1.0 + oscillator(angular(found), 400.0 * INVERSE_CM, 200.0 * INVERSE_CM)
        some = slice(20, 1000, 20)  # 40 to 2000 cm^-1, one point in two line widths
        for spectrum, right in ((found.real, exact.real), (found.imaginary, exact.imag)):
            pulls.append((spectrum.mean - right)[some] / spectrum.error[some])
        assert found.static.value == pytest.approx(exact_static, abs=4 * found.static.error)
        assert found.static.error < 0.1
    # broadening by 20 cm^-1 changes lines of 200 by less than these errors
    assert np.sqrt(np.mean(np.square(pulls))) == pytest.approx(1.1, abs=0.35)


def test_short_blocks_leave_nothing_of_what_is_slow_at_high_wavenumbers() -> None:
    tau = 300.0 * FEMTOSECOND
    dipoles = relaxator(tau / TIMESTEP, 300_000, seed=5)
    found = dielectric_from_fluctuations(
        dipoles, TIMESTEP, VOLUME, TEMPERATURE,
        settings=SpectrumSettings(resolution=60.0, n_blocks=400),
    )  # fmt: skip
    band = (found.real.x > 300.0) & (found.real.x < 800.0)
    step = 4.0 * np.pi / (VOLUME * TEMPERATURE)
    exact = (step / (1.0 - 1j * angular(found) * tau)).imag
    ratio = found.imaginary.mean[band].sum() / exact[band].sum()
    # blocks of 1.5 ps, cut by a triangle, give 1.2
    assert ratio == pytest.approx(1.0, abs=0.03)


def relaxator(tau: float, n_samples: int, seed: int) -> Array:
    """Ornstein-Uhlenbeck of variance 1, (t, 3); tau in samples."""
    decay = np.exp(-1.0 / tau)
    kicks = np.random.default_rng(seed).normal(size=(n_samples, 3)) * np.sqrt(1.0 - decay**2)
    kicks[0] /= np.sqrt(1.0 - decay**2)
    return np.asarray(lfilter([1.0], [1.0, -decay], kicks, axis=0))


def test_what_a_window_has_made_of_debye_is_marked_and_nothing_else() -> None:
    tau = 50.0
    wavenumber = 1.0 / (tau * TIMESTEP * INVERSE_CM)  # where the loss is largest
    dipoles = relaxator(tau, 100_000, seed=21)
    loss = dielectric_from_fluctuations(
        dipoles, TIMESTEP, VOLUME, TEMPERATURE, settings=SpectrumSettings(1.5 * wavenumber, 20)
    ).imaginary
    exact = loss.x / wavenumber
    exact = 4.0 * np.pi / (VOLUME * TEMPERATURE) * exact / (1.0 + exact**2)
    marked = loss.window_bias
    assert marked is not None
    wrong = np.abs(loss.mean - exact) > 3.0 * loss.error
    slow = (loss.x > 0.0) & (loss.x < 3.0 * wavenumber)
    assert wrong[slow].mean() > 0.5
    assert marked[slow & wrong].all()
    # no bias there, see the next test; noise marks one point in fifteen, in some 60 patches
    assert marked[loss.x > 20.0 * wavenumber].mean() < 0.15


def test_blocks_too_short_for_a_longer_window_leave_the_shorter_one() -> None:
    runs = [relaxator(50.0, 1000, seed) for seed in range(10)]
    settings = SpectrumSettings(1.1 * 8.01 / (1000 * TIMESTEP * INVERSE_CM), 10)
    loss = dielectric_from_fluctuations(
        runs, TIMESTEP, VOLUME, TEMPERATURE, settings=settings
    ).imaginary
    assert loss.other_windows is not None
    assert np.isnan(loss.other_windows[1]).all()
    assert np.isfinite(loss.other_windows[0]).all()
    assert loss.window_bias is not None


def test_the_mean_of_the_same_samples_takes_nothing_from_the_static_value() -> None:
    tau, found = 50.0, []
    for seed in range(80):
        function = dielectric_from_fluctuations(
            relaxator(tau, 750, seed), TIMESTEP, VOLUME, TEMPERATURE,
            settings=SpectrumSettings(115.0, 4),
        )  # fmt: skip
        found.append(function.real.mean[0] - 1.0)
    expected = 4.0 * np.pi / (VOLUME * TEMPERATURE)
    scatter = np.std(found) / np.sqrt(80)
    # 15 relaxation times: without, 2/15 are missing, which is five errors
    assert np.mean(found) == pytest.approx(expected, abs=3.0 * scatter)


def test_a_short_run_has_a_static_value_without_error() -> None:
    function = dielectric_from_fluctuations(
        relaxator(50.0, 1000, 3), TIMESTEP, VOLUME, TEMPERATURE,
        settings=SpectrumSettings(300.0, 4), electronic=1.5,
    )  # fmt: skip
    # ten independent samples
    assert np.isnan(function.static.error)
    assert "independent samples, needs 20: run about" in function.static.no_error
    # the same number as the curve has, but for the window with which the mean is corrected
    assert function.static.value == pytest.approx(function.real.mean[0], rel=0.1)


def test_relaxation_from_a_field_agrees_with_fluctuations_without_it(thermal: list[Array]) -> None:
    t = TIMESTEP * np.arange(2000)
    ringing = np.sqrt(400.0**2 - 100.0**2) * INVERSE_CM
    shape = np.exp(-100.0 * INVERSE_CM * t) * (
        np.cos(ringing * t) + 100.0 / np.sqrt(400.0**2 - 100.0**2) * np.sin(ringing * t)
    )
    # the equation is linear: thermal noise, and the mean that decays from the response to E
    starts = [run[i : i + 2000] for run in thermal for i in range(0, 20_000, 2000)]
    field = 20.0 * FIELD
    signs = np.tile([1.0, -1.0], 50)
    response = STEP * VOLUME / (4.0 * np.pi) * shape[:, None] * field
    runs = [start + sign * response for start, sign in zip(starts, signs, strict=True)]
    settings = SpectrumSettings(resolution=20.0)
    relaxed = dielectric_from_relaxation(
        runs, signs[:, None] * field, REST, TIMESTEP, VOLUME, settings=settings
    )
    fluctuating = dielectric_from_fluctuations(
        thermal, TIMESTEP, VOLUME, TEMPERATURE, settings=settings, direction=DIRECTION
    )
    some = slice(20, 500, 20)
    for one, other in (
        (relaxed.real, fluctuating.real), (relaxed.imaginary, fluctuating.imaginary)
    ):  # fmt: skip
        np.testing.assert_allclose(one.x, other.x)
        error = np.hypot(one.error, other.error)[some]
        pulls = (one.mean - other.mean)[some] / error
        assert np.sqrt(np.mean(pulls**2)) < 1.6
    assert relaxed.static.value == pytest.approx(1.0 + STEP, abs=4 * relaxed.static.error)


def test_the_infrared_absorption_is_that_of_the_imaginary_part(thermal: list[Array]) -> None:
    settings = SpectrumSettings(resolution=10.0)
    function = dielectric_from_fluctuations(
        thermal, TIMESTEP, VOLUME, TEMPERATURE, settings=settings
    ).imaginary
    absorption = infrared(thermal, TIMESTEP, VOLUME, TEMPERATURE, settings=settings)
    # n alpha = (w/c) epsilon''
    implied = function.mean * function.x * INVERSE_CM / SPEED_OF_LIGHT * ANGSTROM * 1e8
    some = slice(0, 1500)  # to 1500 cm^-1: noise of the velocities is folded from above Nyquist
    # the same samples: what differs is where the window is applied
    np.testing.assert_allclose(
        implied[some], absorption.mean[some], atol=0.03 * absorption.mean.max()
    )


def test_short_runs_after_a_field_give_a_coarser_resolution_and_say_so(
    thermal: list[Array],
) -> None:
    settings = SpectrumSettings(resolution=10.0, stride=2)
    fields = np.array([FIELD, -FIELD, FIELD, -FIELD])

    def relax(n_samples: int) -> DielectricFunction:
        runs = [thermal[k // 2][k % 2 :][:n_samples] for k in range(4)]
        return dielectric_from_relaxation(runs, fields, REST, TIMESTEP, VOLUME, settings=settings)

    short = relax(500).real
    assert short.resolution == pytest.approx(43.0, rel=2e-3)
    assert (short.error > 0.0).any()  # of four runs
    said = str(short.details["short runs"])
    assert said.startswith("a resolution of 43 cm^-1, not of 10 cm^-1: run ")
    (steps,) = re.findall(r"\((\d+) steps\) more in each", said)
    longer = relax(500 + int(steps) // 2).real
    assert longer.resolution == pytest.approx(10.0, rel=2e-3)
    assert "short runs" not in longer.details


def test_impossible_input_is_refused(thermal: list[Array]) -> None:
    def relax(runs: Any = None, fields: Any = None, **options: Any) -> DielectricFunction:
        some = [run[:500] for run in thermal[:2]] if runs is None else runs
        given = np.array([FIELD, -FIELD]) if fields is None else fields
        return dielectric_from_relaxation(some, given, REST, TIMESTEP, VOLUME, **options)

    with pytest.raises(RecordError, match=r"15 samples are too few for a spectrum, .*run at least"):
        relax([run[:15] for run in thermal[:2]])
    with pytest.raises(RecordError, match=r"fields must have shape \(2, 3\)"):
        relax(fields=np.array([FIELD, FIELD, FIELD]))
    with pytest.raises(RecordError, match=r"not \+E and -E of one vector"):
        relax(fields=np.array([FIELD, 2.0 * FIELD]))
    with pytest.raises(RecordError, match="as many of each"):
        relax(fields=np.array([FIELD, FIELD]))
    with pytest.raises(RecordError, match=r"fields\[0\] is zero"):
        relax(fields=np.zeros((2, 3)))
    with pytest.raises(ConfigError, match="epsilon_inf = -1"):
        relax(settings=SpectrumSettings(resolution=100.0), electronic=-1.0)
    with pytest.raises(ConfigError, match="direction = "):
        dielectric_from_fluctuations(thermal, TIMESTEP, VOLUME, TEMPERATURE, direction=np.zeros(3))
