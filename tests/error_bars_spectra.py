"""Repetitions of what is read off spectra, on series whose spectra are known exactly.

Each function draws one series, estimates, and returns values, their errors, and the exact values;
one each of a peak or an integral, several of a spectrum, at wavenumbers further apart than the
resolution. A loss has no error (NaN) where it is marked with a window bias; the others are compared
with what the same window makes of the exact correlation. The series of an oscillator have 30 000
samples (60 ps, 10 blocks); those of Debye are given in relaxation times.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.integrate import trapezoid
from scipy.linalg import expm
from scipy.signal import lfilter

from mlobs_client.analysis.response.dielectric import (
    dielectric_from_fluctuations,
    kramers_kronig,
)
from mlobs_client.analysis.vibrations.infrared import infrared
from mlobs_client.analysis.vibrations.spectra import SpectrumSettings
from mlobs_client.analysis.vibrations.vdos import vdos
from mlobs_client.errors import RecordError
from mlobs_client.results import correlation
from mlobs_client.results.curve import Curve
from mlobs_client.results.estimate import Estimate
from mlobs_client.units import ANGSTROM, DALTON, FEMTOSECOND, INVERSE_CM, KELVIN, SPEED_OF_LIGHT

Array = npt.NDArray[np.float64]
Repetition = tuple[Array, Array, Array]
"""Values, their errors, and the exact values."""

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
AT = np.linspace(750.0, 1400.0, 14)
"""cm^-1: the band of the oscillator, its flanks and its wing."""
PHASES = np.array([0.5, 1.0, 2.0, 3.0, 5.0, 8.0, 12.0, 16.0, 20.0])
"""Angular frequencies times the relaxation time, for the loss of Debye."""


def oscillator(
    rng: np.random.Generator, n_copies: int = 3, n_samples: int = N_SAMPLES
) -> tuple[Array, Array]:
    """Positions and velocities of damped oscillators of 1 Da, (t, copy), without error."""
    step = _propagator()
    stationary = np.diag([1.0 / FREQUENCY**2, 1.0]) * TEMPERATURE / DALTON
    noise = np.linalg.cholesky(stationary - step @ stationary @ step.T)
    kicks = noise @ rng.normal(size=(n_samples, 2, n_copies))
    kicks[0] = np.sqrt(stationary) @ rng.normal(size=(2, n_copies))
    values, vectors = np.linalg.eig(step)
    modes = np.linalg.inv(vectors) @ kicks  # [t, mode, copy]: each is a first-order filter
    moved = [lfilter([1.0], [1.0, -values[k]], modes[:, k], axis=0) for k in (0, 1)]
    x, v = np.einsum("ik,ktc->itc", vectors, np.array(moved)).real
    return x, v


def peak_position(rng: np.random.Generator) -> Repetition:
    """The velocity spectrum has its maximum exactly at the frequency of the oscillator."""
    return _single(_density(rng).peak(800.0, 1200.0), 1000.0)


def band_integral(rng: np.random.Generator) -> Repetition:
    """A part of the band that cuts both flanks."""
    low, high = 950.0, 1100.0
    part = _density(rng).between(low, high)
    exact = float(trapezoid(_exact_density(part), part.x))
    return _single(part.integral(low, high), exact)


def vdos_values(rng: np.random.Generator) -> Repetition:
    """A density of states, against the exact one under the same window."""
    found = _density(rng).between(AT[0], AT[-1])
    return _points(found, _exact_density(found), AT)


def infrared_values(rng: np.random.Generator) -> Repetition:
    """The absorption of three charges of 1 e, against the exact one under the same window."""
    x, _ = oscillator(rng)
    found = infrared(x, TIMESTEP, VOLUME, TEMPERATURE, settings=SETTINGS).between(AT[0], AT[-1])
    return _points(found, _exact_absorption(found, 1e8 * ANGSTROM / VOLUME), AT)


def band_of_molecule(rng: np.random.Generator) -> Repetition:
    """The intensity of a part of the band of a molecule with three charges of 1 e, km/mol."""
    low, high = 950.0, 1100.0
    x, _ = oscillator(rng)
    part = infrared(x, TIMESTEP, None, TEMPERATURE, settings=SETTINGS).between(low, high)
    molar = 6.02214076e23 * 0.529177210544e-8**2 * 1e-5  # bohr^2 to km/mol per cm^-1
    exact = float(trapezoid(_exact_absorption(part, molar), part.x))
    return _single(part.integral(low, high), exact)


def stretches(rng: np.random.Generator, k: int) -> tuple[float, float, float] | None:
    """A density of states from stretches of any length, as between exchanges of replicas."""
    _, v = oscillator(rng)
    ends = np.cumsum(rng.exponential(2500.0, size=60).astype(int))
    parts = [one for one in np.split(v[:, None, :], ends[ends < N_SAMPLES]) if len(one) >= 8]
    try:
        whole = vdos(parts, np.array([DALTON]), TIMESTEP, SETTINGS)
    except RecordError:  # too short for ten blocks at this resolution
        return None
    found = whole.between(AT[0], AT[-1])
    value, error, exact = _points(found, _exact_density(found), AT)
    return float(value[k]), float(error[k]), float(exact[k])


def _exact_absorption(found: Curve, per_volume: float) -> Array:
    """Absorption by three charges of 1 e, under the same window.

    ``per_volume`` is in the unit of the spectrum: cm^-1 of a cell, km/mol per cm^-1 of a molecule.
    """
    n_lags = int(found.details["longest lag (samples)"]) + 1
    positions = _correlation(n_lags + 1, 0) * 3.0 * TEMPERATURE / DALTON / FREQUENCY**2
    around = np.concatenate([positions[1:2], positions])
    differences = -np.diff(around, n=2) / TIMESTEP**2  # <J(0) J(t)>
    phase = 0.5 * found.x * INVERSE_CM * TIMESTEP
    prefactor = 4.0 * np.pi / (6.0 * SPEED_OF_LIGHT * TEMPERATURE) * per_volume
    windowed = _windowed(differences, found)
    return np.asarray(prefactor * windowed * np.sinc(phase / np.pi) ** -2)


def debye(rng: np.random.Generator, n_taus: int, *, is_loss: bool = True) -> Repetition:
    """One part as fine as ten blocks allow, against that of an infinite run."""
    decay = np.exp(-1.0 / SAMPLES_PER_TAU)
    kicks = rng.normal(size=(n_taus * SAMPLES_PER_TAU, 3)) * np.sqrt(1.0 - decay**2)
    kicks[0] /= np.sqrt(1.0 - decay**2)
    variance = STEP * VOLUME * TEMPERATURE / (4.0 * np.pi)
    dipoles = np.sqrt(variance) * lfilter([1.0], [1.0, -decay], kicks, axis=0)
    finest = 8.2 / (0.1 * n_taus * TAU) / INVERSE_CM
    both = dielectric_from_fluctuations(
        dipoles, TIMESTEP, VOLUME, TEMPERATURE, settings=SpectrumSettings(finest, 10)
    )
    found = both.imaginary if is_loss else both.real
    phase = found.x * INVERSE_CM * TIMESTEP
    # of the sampled process: 2 tau/(1 + (w tau)^2) in the limit of short time steps
    spectrum = TIMESTEP * (1.0 - decay**2) / (1.0 - 2.0 * decay * np.cos(phase) + decay**2)
    loss = 0.5 * STEP * phase / TIMESTEP * spectrum
    exact = loss if is_loss else 1.0 + kramers_kronig(loss)
    values, errors, right = _points(found, exact, PHASES / (TAU * INVERSE_CM))
    if found.window_bias is None:  # nor an error
        return values, errors, right
    marked = found.window_bias[_nearest(found, PHASES / (TAU * INVERSE_CM))]
    return values, np.where(marked, np.nan, errors), right


def at_one(
    rng: np.random.Generator, several: Callable[[np.random.Generator], Repetition], k: int = 0
) -> tuple[float, float, float]:
    """One of the points of a repetition."""
    value, error, exact = several(rng)
    return float(value[k]), float(error[k]), float(exact[k])


SINGLE: Final = {
    "density of states, unequal stretches, maximum": partial(stretches, k=5),
    "density of states, unequal stretches, wing": partial(stretches, k=13),
    "peak position, 10 blocks": partial(at_one, several=peak_position),
    "band integral, 10 blocks": partial(at_one, several=band_integral),
    "intensity of a band of a molecule, km/mol": partial(at_one, several=band_of_molecule),
    "density of states, maximum": partial(at_one, several=vdos_values, k=5),
    "density of states, wing": partial(at_one, several=vdos_values, k=13),
    "infrared, maximum": partial(at_one, several=infrared_values, k=5),
    "infrared, wing": partial(at_one, several=infrared_values, k=13),
    **{
        f"dielectric loss, Debye, {n} tau, at w tau = {PHASES[k]:g}": partial(
            at_one, several=partial(debye, n_taus=n), k=k
        )
        for n, k in ((40, 6), (40, 8), (100, 3), (100, 5))
    },
    **{
        f"real part of eps, Debye, {n} tau, at w tau = {PHASES[k]:g}": partial(
            at_one, several=partial(debye, n_taus=n, is_loss=False), k=k
        )
        for n, k in ((40, 6), (100, 3), (100, 5))
    },
}
"""One number of each, for the harness of all estimates."""


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


def _windowed(function: Array, spectrum: Curve) -> Array:
    """What the window makes of an exact correlation function at the spectrum's wavenumbers."""
    length = int(spectrum.details["samples per block"])
    lags = np.arange(len(function))
    window = correlation.lag_window("parzen", len(function) - 1) * (1.0 - lags / length)
    doubled = np.where(lags == 0, 1.0, 2.0)
    phases = np.outer(spectrum.x * INVERSE_CM * TIMESTEP, lags)
    return np.asarray(TIMESTEP * np.cos(phases) @ (doubled * window * function))


def _density(rng: np.random.Generator) -> Curve:
    _, v = oscillator(rng)
    return vdos(v[:, None, :], np.array([DALTON]), TIMESTEP, SETTINGS)


def _exact_density(spectrum: Curve) -> Array:
    n_lags = int(spectrum.details["longest lag (samples)"]) + 1
    return np.asarray(3.0 * INVERSE_CM / np.pi * _windowed(_correlation(n_lags, 1), spectrum))


def _nearest(spectrum: Curve, wavenumbers: Array) -> npt.NDArray[np.intp]:
    distances = np.abs(spectrum.x[:, None] - wavenumbers)
    return np.asarray(np.argmin(distances, axis=0))


def _points(spectrum: Curve, exact: Array, wavenumbers: Array) -> Repetition:
    k = _nearest(spectrum, wavenumbers)
    return spectrum.mean[k], spectrum.error[k], exact[k]


def _single(found: Estimate, exact: float) -> Repetition:
    return np.array([found.value]), np.array([found.error]), np.array([exact])
