"""Repetitions of what is read off spectra, on series whose spectra are known exactly.

Each function draws one series, estimates, and returns (value, error, exact value). The series of
an oscillator have 30 000 samples (60 ps, 10 blocks); those of Debye are given in relaxation times.
"""

from __future__ import annotations

from functools import cache, partial

import numpy as np
import numpy.typing as npt
from scipy.integrate import trapezoid
from scipy.linalg import expm
from scipy.signal import lfilter

from mlobs_client.analysis import correlation
from mlobs_client.analysis.dielectric import dielectric_from_fluctuations
from mlobs_client.analysis.infrared import infrared
from mlobs_client.analysis.spectra import Spectrum, SpectrumSettings, integrate, peak
from mlobs_client.analysis.vdos import vdos
from mlobs_client.units import ANGSTROM, DALTON, FEMTOSECOND, INVERSE_CM, KELVIN, SPEED_OF_LIGHT

Array = npt.NDArray[np.float64]
Repetition = tuple[float, float, float]
"""Value, its error, and the exact value."""

TIMESTEP = 2.0 * FEMTOSECOND
TEMPERATURE = 300.0 * KELVIN
VOLUME = (10.0 * ANGSTROM) ** 3
FREQUENCY, FRICTION = 1000.0 * INVERSE_CM, 100.0 * INVERSE_CM
N_SAMPLES = 30_000
SETTINGS = SpectrumSettings(resolution=20.0, n_blocks=10)
SAMPLES_PER_TAU = 50
TAU = SAMPLES_PER_TAU * TIMESTEP
STEP = 70.0
"""What the relaxation of Debye adds to the dielectric constant."""


def oscillator(rng: np.random.Generator, n_copies: int = 3) -> tuple[Array, Array]:
    """Positions and velocities of damped oscillators of 1 Da, (t, copy), without error."""
    step = _propagator()
    stationary = np.diag([1.0 / FREQUENCY**2, 1.0]) * TEMPERATURE / DALTON
    noise = np.linalg.cholesky(stationary - step @ stationary @ step.T)
    kicks = noise @ rng.normal(size=(N_SAMPLES, 2, n_copies))
    kicks[0] = np.sqrt(stationary) @ rng.normal(size=(2, n_copies))
    values, vectors = np.linalg.eig(step)
    modes = np.linalg.inv(vectors) @ kicks  # [t, mode, copy]: each is a first-order filter
    moved = [lfilter([1.0], [1.0, -values[k]], modes[:, k], axis=0) for k in (0, 1)]
    x, v = np.einsum("ik,ktc->itc", vectors, np.array(moved)).real
    return x, v


def peak_position(rng: np.random.Generator) -> Repetition:
    """The velocity spectrum has its maximum exactly at the frequency of the oscillator."""
    found = peak(_density(rng), 800.0, 1200.0)
    return found.value, found.error, 1000.0


def band_integral(rng: np.random.Generator) -> Repetition:
    """A part of the band that cuts both flanks."""
    low, high = 950.0, 1100.0
    part = _density(rng).between(low, high)
    found = integrate(part, low, high)
    return found.value, found.error, float(trapezoid(_exact_density(part), part.wavenumber))


def vdos_value(rng: np.random.Generator, wavenumber: float) -> Repetition:
    """One point of a density of states, against the exact one under the same window."""
    part = _density(rng).between(wavenumber - 10.0, wavenumber + 10.0)
    return _nearest(part, wavenumber, _exact_density(part))


def infrared_value(rng: np.random.Generator, wavenumber: float) -> Repetition:
    """One point of the absorption of three charges of 1 e, under the same window."""
    x, _ = oscillator(rng)
    found = infrared(x, TIMESTEP, VOLUME, TEMPERATURE, settings=SETTINGS)
    part = found.between(wavenumber - 10.0, wavenumber + 10.0)
    n_lags = int(part.details["longest lag (samples)"]) + 1
    positions = _correlation(n_lags + 1, 0) * 3.0 * TEMPERATURE / DALTON / FREQUENCY**2
    around = np.concatenate([positions[1:2], positions])
    differences = -np.diff(around, n=2) / TIMESTEP**2  # <J(0) J(t)>
    phase = 0.5 * part.wavenumber * INVERSE_CM * TIMESTEP
    prefactor = 4.0 * np.pi / (6.0 * SPEED_OF_LIGHT * VOLUME * TEMPERATURE) * 1e8 * ANGSTROM
    exact = prefactor * _windowed(differences, part) * (phase / np.sin(phase)) ** 2
    return _nearest(part, wavenumber, exact)


def debye_loss(rng: np.random.Generator, n_taus: int, phase: float) -> Repetition | None:
    """Imaginary part at angular frequency phase/tau, as fine as ten blocks allow.

    None where it is marked with a window bias.
    """
    n_samples = n_taus * SAMPLES_PER_TAU
    decay = np.exp(-1.0 / SAMPLES_PER_TAU)
    kicks = rng.normal(size=(n_samples, 3)) * np.sqrt(1.0 - decay**2)
    kicks[0] /= np.sqrt(1.0 - decay**2)
    variance = STEP * VOLUME * TEMPERATURE / (4.0 * np.pi)
    dipoles = np.sqrt(variance) * lfilter([1.0], [1.0, -decay], kicks, axis=0)
    finest = 8.2 / (0.1 * n_taus * TAU) / INVERSE_CM
    loss = dielectric_from_fluctuations(
        dipoles, TIMESTEP, VOLUME, TEMPERATURE, settings=SpectrumSettings(finest, 10)
    ).imaginary
    wavenumber = phase / (TAU * INVERSE_CM)
    k = int(np.argmin(np.abs(loss.wavenumber - wavenumber)))
    at = loss.wavenumber[k] * INVERSE_CM * TIMESTEP
    # of the sampled process: 2 tau/(1 + (w tau)^2) in the limit of short time steps
    spectrum = TIMESTEP * (1.0 - decay**2) / (1.0 - 2.0 * decay * np.cos(at) + decay**2)
    exact = 0.5 * STEP * at / TIMESTEP * spectrum
    marked = loss.window_bias
    if marked is not None and marked[k]:
        return None
    return float(loss.intensity[k]), float(loss.error[k]), float(exact)


CASES = {
    "peak position": peak_position,
    "band integral": band_integral,
    "VDOS at the peak": partial(vdos_value, wavenumber=1000.0),
    "VDOS on the flank": partial(vdos_value, wavenumber=1080.0),
    "VDOS on the wing": partial(vdos_value, wavenumber=1400.0),
    "IR at the peak": partial(infrared_value, wavenumber=1000.0),
    "IR on the flank": partial(infrared_value, wavenumber=1080.0),
    **{
        f"loss of Debye, {n} tau, w tau = {phase:g}": partial(debye_loss, n_taus=n, phase=phase)
        for n in (40, 100)
        for phase in (1.0, 3.0, 10.0)
    },
}


def _propagator() -> Array:
    generator = np.array([[0.0, 1.0], [-(FREQUENCY**2), -FRICTION]])
    return np.asarray(expm(TIMESTEP * generator))


@cache
def _correlation(n_lags: int, i: int) -> Array:
    """Of position (i = 0) or velocity (i = 1) with itself, relative to lag 0."""
    step, state = _propagator(), np.eye(2)[i]
    found = np.empty(n_lags)
    for n in range(n_lags):
        found[n] = state[i]
        state = step @ state
    return found


def _windowed(function: Array, spectrum: Spectrum) -> Array:
    """What the window makes of an exact correlation function at the spectrum's wavenumbers."""
    length = int(spectrum.details["samples per block"])
    lags = np.arange(len(function))
    window = correlation.lag_window("parzen", len(function) - 1) * (1.0 - lags / length)
    doubled = np.where(lags == 0, 1.0, 2.0)
    phases = np.outer(spectrum.wavenumber * INVERSE_CM * TIMESTEP, lags)
    return np.asarray(TIMESTEP * np.cos(phases) @ (doubled * window * function))


def _density(rng: np.random.Generator) -> Spectrum:
    _, v = oscillator(rng)
    return vdos(v[:, None, :], np.array([DALTON]), TIMESTEP, SETTINGS)


def _exact_density(spectrum: Spectrum) -> Array:
    n_lags = int(spectrum.details["longest lag (samples)"]) + 1
    return np.asarray(3.0 * INVERSE_CM / np.pi * _windowed(_correlation(n_lags, 1), spectrum))


def _nearest(spectrum: Spectrum, wavenumber: float, exact: Array) -> Repetition:
    k = int(np.argmin(np.abs(spectrum.wavenumber - wavenumber)))
    return float(spectrum.intensity[k]), float(spectrum.error[k]), float(exact[k])
