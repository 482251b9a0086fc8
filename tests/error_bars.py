"""Repetitions of estimates whose exact values are known: are the printed errors right?

One repetition is a function of a random generator that returns value, printed error and exact
value, or None where the estimate is refused. Errors that are not printed (NaN, None) are counted,
not judged. The seeds were written down before the first run, and are not searched.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.signal import lfilter

from mlobs_client.analysis import (
    SpectrumSettings,
    dielectric_from_relaxation,
    diffusion_from_displacements,
    diffusion_from_velocities,
    permittivity_from_fluctuations,
    polarization_against_field,
    susceptibility_from_fluctuations,
)
from mlobs_client.analysis.vibrations.kinetics import kinetic_temperatures
from mlobs_client.results import Estimate, drift, fit_line, jackknife, mean
from mlobs_client.units import FEMTOSECOND, KELVIN, MICROCOULOMB_PER_CM2, VOLT_PER_ANGSTROM

Array = npt.NDArray[np.float64]
Repetition = tuple[float, float, float]
"""Value, printed error, exact value."""
Case = Callable[[np.random.Generator], Repetition | None]

SEED: Final = 20261130
MEMORY: Final = 10.0
"""Correlation time of the series below, in samples, where nothing else is said."""


LIMITS: Final = {
    "within_one": (0.63, 0.73),
    "within_two": (0.91, 0.975),
    "squared_pull": (0.0, 1.25),
    "relative_error": (0.9, 1.2),
}
"""Between which an error is right, by 400 repetitions or more."""


@dataclass(frozen=True)
class Judgement:
    """What many repetitions say of an error.

    Attributes:
        printed: share of the repetitions that have an error.
        within_one: share of these whose value is within one error of the exact one; 0.683 is right.
        within_two: within two errors; 0.954 is right.
        squared_pull: mean square of the deviation over the error; 1 is right.
        relative_error: mean error over the true scatter.
    """

    printed: float
    within_one: float
    within_two: float
    squared_pull: float
    relative_error: float

    @classmethod
    def of(cls, repetitions: list[Repetition | None]) -> Judgement:
        values, errors, exact = np.array([one or (np.nan,) * 3 for one in repetitions]).T
        has_error = np.isfinite(errors)
        if not has_error.any():
            return cls(0.0, *[float("nan")] * 4)
        pulls = np.abs(values - exact)[has_error] / errors[has_error]
        return cls(
            printed=float(has_error.mean()),
            within_one=float(np.mean(pulls < 1.0)),
            within_two=float(np.mean(pulls < 2.0)),
            squared_pull=float(np.mean(pulls**2)),
            relative_error=float(errors[has_error].mean() / np.nanstd(values, ddof=1)),
        )


def repeat(name: str, case: Case, n_repetitions: int) -> Judgement:
    """Judge an estimate; the same name draws the same numbers."""
    random = np.random.default_rng([SEED, zlib.crc32(name.encode())])
    return Judgement.of([case(random) for _ in range(n_repetitions)])


def relaxation(n_samples: int, memory: float, random: np.random.Generator, shape: int = 1) -> Array:
    """Exponential correlation, mean 0, variance 1: ``(t, shape)``."""
    kept = np.exp(-1.0 / memory)
    noise = random.normal(size=(n_samples, shape)) * np.sqrt(1.0 - kept**2)
    noise[0] /= np.sqrt(1.0 - kept**2)
    return np.asarray(lfilter([1.0], [1.0, -kept], noise, axis=0))


def vibration(n_samples: int, period: float, damping: float, random: np.random.Generator) -> Array:
    """An underdamped oscillator driven by white noise, mean 0, variance 1."""
    r, cosine = np.exp(-1.0 / damping), np.cos(2.0 * np.pi / period)
    feedback = [1.0, -2.0 * r * cosine, r**2]
    settling = int(10 * damping)
    driven = lfilter([1.0], feedback, random.normal(size=n_samples + settling))[settling:]
    # variance of an autoregressive process of second order
    a, b = 2.0 * r * cosine, -(r**2)
    variance = (1.0 - b) / ((1.0 + b) * ((1.0 - b) ** 2 - a**2))
    return np.asarray(driven / np.sqrt(variance))


def _told(estimate: Estimate, exact: float) -> Repetition:
    return estimate.value, estimate.error, exact


def _mean_of_relaxation(n_independent: int, random: np.random.Generator) -> Repetition:
    series = relaxation(int(2 * MEMORY * n_independent), MEMORY, random)[:, 0]
    return _told(mean(series), 0.0)


def _mean_of_both(slow: float, period: float, random: np.random.Generator) -> Repetition:
    """A vibration of variance 1 on a relaxation of variance ``slow``."""
    series = vibration(10_000, period, 30.0, random)
    return _told(mean(series + np.sqrt(slow) * relaxation(10_000, 100.0, random)[:, 0]), 0.0)


def _mean_of_vibration(random: np.random.Generator) -> Repetition:
    return _told(mean(vibration(4000, 20.0, 200.0, random)), 0.0)


def _drift_of_relaxation(n_independent: int, random: np.random.Generator) -> Repetition:
    times = np.arange(2.0 * MEMORY * n_independent)
    return _told(drift(times, relaxation(len(times), MEMORY, random)[:, 0]), 0.0)


def _drift_of_vibration(random: np.random.Generator) -> Repetition:
    return _told(drift(np.arange(4000.0), vibration(4000, 20.0, 200.0, random)), 0.0)


def _slope(weighted: bool, random: np.random.Generator) -> Repetition:
    x, errors = np.linspace(-2.0, 5.0, 12), np.linspace(0.3, 1.0, 12) if weighted else np.ones(12)
    noisy = 1.5 - 0.7 * x + errors * random.normal(size=12)
    return _told(fit_line(x, noisy, errors if weighted else None).slope, -0.7)


def _ratio_of_blocks(n_blocks: int, random: np.random.Generator) -> Repetition:
    blocks = random.multivariate_normal([2.0, 5.0], [[0.3, 0.1], [0.1, 0.4]], n_blocks)
    return _told(jackknife(blocks, lambda means: float(means[0] / means[1])), 0.4)


VOLUME, KT = 2000.0, 300.0 * KELVIN


def _static_permittivity(length: int, random: np.random.Generator) -> Repetition:
    """A Debye dipole along a run of so many relaxation times."""
    dipoles = relaxation(int(length * MEMORY), MEMORY, random, 3)
    exact = 1.0 + 4.0 * np.pi / (VOLUME * KT)
    return _told(permittivity_from_fluctuations(dipoles, VOLUME, KT).mean, exact)


def _susceptibility(n_independent: int, random: np.random.Generator) -> Repetition:
    dipoles = relaxation(int(2 * MEMORY * n_independent), MEMORY, random, 3)
    along = np.array([2.0, -1.0, 2.0]) / 3.0
    exact = 4.0 * np.pi / (VOLUME * KT)
    return _told(susceptibility_from_fluctuations(dipoles, VOLUME, KT, along), exact)


def _element_of_permittivity(length: int, random: np.random.Generator) -> Repetition:
    """Off the diagonal, of a Debye dipole whose x and y are correlated by 0.6."""
    dipoles = relaxation(int(length * MEMORY), MEMORY, random, 3)
    dipoles[:, 1] = 0.6 * dipoles[:, 0] + 0.8 * dipoles[:, 1]
    found = permittivity_from_fluctuations(dipoles, VOLUME, KT)
    exact = 0.6 * 4.0 * np.pi / (VOLUME * KT)
    return float(found.tensor[0, 1]), float(found.errors[0, 1]), exact


def _static_of_short_runs(n_runs: int, length: int, random: np.random.Generator) -> Repetition:
    """Of runs of which none knows its own error, leaving out one at a time."""
    dipoles = [relaxation(int(length * MEMORY), MEMORY, random, 3) for _ in range(n_runs)]
    exact = 1.0 + 4.0 * np.pi / (VOLUME * KT)
    return _told(permittivity_from_fluctuations(dipoles, VOLUME, KT).mean, exact)


def _mean_of_runs(n_runs: int, n_independent: float, random: np.random.Generator) -> Repetition:
    """Of runs of different lengths."""
    lengths = (2.0 * MEMORY * n_independent * np.linspace(0.5, 1.5, n_runs)).astype(int)
    return _told(mean([relaxation(n, MEMORY, random)[:, 0] for n in lengths]), 0.0)


def _mean_of_states(n_runs: int, random: np.random.Generator) -> Repetition:
    """Of runs that know their own means well; each stays in a state of its own."""
    length = int(2 * MEMORY * 50)
    return _told(
        mean([relaxation(length, MEMORY, random)[:, 0] + random.normal() for _ in range(n_runs)]),
        0.0,
    )


def _kinetic_temperature(
    n_independent: int, species: str, random: np.random.Generator
) -> Repetition:
    """Of two water molecules whose centre of mass is at rest; squares forget twice as fast."""
    masses = np.tile([16.0, 1.0, 1.0], 2)
    moving = relaxation(int(MEMORY * n_independent), MEMORY, random, 18).reshape(-1, 6, 3)
    velocities = moving * np.sqrt(KT / masses)[:, None]
    velocities -= (np.tensordot(velocities, masses, axes=(1, 0)) / masses.sum())[:, None]
    groups = {"O": masses > 1.0, "H": masses == 1.0}
    return _told(kinetic_temperatures([velocities], masses, groups)[species], 300.0)


def _changes_of_polarization(n_states: int, what: str, random: np.random.Generator) -> Repetition:
    """Against runs without a field that began at the same states; all fields share these."""
    fields = np.outer([-0.2, 0.1, 0.2], [0.0, 0.6, 0.8]) * VOLT_PER_ANGSTROM
    at_rest = [relaxation(100, 50.0, random, 3) for _ in range(n_states)]
    runs = [
        [50.0 * field + relaxation(100, 50.0, random, 3) - rest for rest in at_rest]
        for field in fields
    ]
    curve = polarization_against_field(fields, runs, VOLUME, paired=True)
    exact = 50.0 * 0.1 * VOLT_PER_ANGSTROM / VOLUME / MICROCOULOMB_PER_CM2
    if what == "point":
        return _told(curve.polarization[1], exact)
    return _told(curve.susceptibility, 4.0 * np.pi * 50.0 / VOLUME)


def _relaxation_after_field(n_runs: int, random: np.random.Generator) -> Repetition:
    """The static value, from half of the runs in +E and half in -E, which is switched off."""
    strength, memory = 0.1 * VOLT_PER_ANGSTROM, 40.0
    signs = np.resize([1.0, -1.0], n_runs)
    along = np.array([0.0, 0.6, 0.8])
    decay = 50.0 * strength * np.exp(-np.arange(400.0) / memory)[:, None] * along
    runs = [sign * decay + 0.1 * relaxation(400, memory, random, 3) for sign in signs]
    found = dielectric_from_relaxation(
        runs, strength * np.outer(signs, along), np.zeros(3), FEMTOSECOND, VOLUME,
        settings=SpectrumSettings(150.0),
    )  # fmt: skip
    return _told(found.static, 1.0 + 4.0 * np.pi * 50.0 / VOLUME)


def _polarization(n_independent: int, what: str, random: np.random.Generator) -> Repetition:
    """The slope of a line through five fields, its intercept, or the point without a field."""
    fields = np.outer([-0.2, -0.1, 0.0, 0.1, 0.2], [0.0, 0.6, 0.8]) * VOLT_PER_ANGSTROM
    n_samples = int(2 * MEMORY * n_independent)
    runs = [50.0 * field + relaxation(n_samples, MEMORY, random, 3) for field in fields]
    curve = polarization_against_field(fields, runs, VOLUME)
    if what == "slope":
        return _told(curve.susceptibility, 4.0 * np.pi * 50.0 / VOLUME)
    return _told(curve.polarization[2] if what == "point" else curve.intercept, 0.0)


N_PARTICLES: Final = 32
BOHR2_PER_TIME: Final = 0.529177210544**2 / 2.4188843265864e-5
"""bohr^2/atu in angstrom^2/ps (CODATA 2022)."""


def _langevin_liquid(
    n_samples: int, way: str, random: np.random.Generator, n_blocks: int = 10
) -> Repetition:
    """Free particles whose velocities relax exponentially; the centre of mass held.

    Long after the velocities are forgotten, displacements grow as t, whatever the way.
    """
    velocities = relaxation(n_samples, MEMORY, random, 3 * N_PARTICLES).reshape(n_samples, -1, 3)
    masses, every = np.ones(N_PARTICLES), np.ones(N_PARTICLES, dtype=bool)
    if way != "velocities":
        made = diffusion_from_displacements(
            [np.cumsum(velocities, axis=0)], masses, 1.0, every, n_blocks
        )
    else:
        made = diffusion_from_velocities([velocities], masses, 1.0, every, n_blocks)
    if way == "power of time":
        return _told(made.msd_exponent, 1.0)
    # sum of exp(-lag/memory) over all lags, by the trapezoidal rule
    exact = (0.5 + 1.0 / np.expm1(1.0 / MEMORY)) * (1.0 - 1.0 / N_PARTICLES) * BOHR2_PER_TIME
    return _told(made.coefficient, exact)


CASES: Final[dict[str, Case]] = {
    **{
        f"mean, relaxation, {n} independent": partial(_mean_of_relaxation, n) for n in (20, 50, 200)
    },
    **{
        f"mean, relaxation {slow:g} and vibration 1 of period {period:g}": partial(
            _mean_of_both, slow, period
        )
        for slow in (1.0, 0.5, 0.3, 0.1)
        for period in (5.0, 20.0)
    },
    "mean, vibration alone": _mean_of_vibration,
    **{
        f"drift, relaxation, {n} independent": partial(_drift_of_relaxation, n)
        for n in (20, 50, 200)
    },
    "drift, vibration alone": _drift_of_vibration,
    "slope of 12 points, weighted": partial(_slope, True),
    "slope of 12 points, from their scatter": partial(_slope, False),
    "ratio of means of 10 blocks": partial(_ratio_of_blocks, 10),
    **{
        f"polarization, {what}, {n} independent": partial(_polarization, n, what)
        for n in (20, 50)
        for what in ("point", "slope", "intercept")
    },
    **{
        f"change of polarization, {what}, {n} states": partial(_changes_of_polarization, n, what)
        for n in (3, 6)
        for what in ("point", "slope")
    },
    **{f"eps after a field, {n} runs": partial(_relaxation_after_field, n) for n in (4, 10)},
    **{
        f"kinetic temperature of {species}, {n} independent": partial(
            _kinetic_temperature, n, species
        )
        for n in (30, 200)
        for species in ("O", "H")
    },
    **{
        f"mean, {runs} runs of {n} independent": partial(_mean_of_runs, runs, n)
        for runs, n in ((3, 5), (8, 5), (4, 50))
    },
    "mean, 10 states of 50 independent": partial(_mean_of_states, 10),
    **{f"static eps, Debye, {n} tau": partial(_static_permittivity, n) for n in (40, 100)},
    **{
        f"static eps, Debye, {runs} runs of {n} tau": partial(_static_of_short_runs, runs, n)
        for runs, n in ((4, 20), (10, 10))
    },
    **{
        f"eps off the diagonal, Debye, {n} tau": partial(_element_of_permittivity, n)
        for n in (120, 200, 400)
    },
    **{
        f"susceptibility along a line, {n} independent": partial(_susceptibility, n)
        for n in (50, 100, 200)
    },
    **{
        f"D, {way}, {n} samples, 10 blocks": partial(_langevin_liquid, n, way)
        for way in ("displacements", "velocities")
        for n in (2000, 8000)
    },
    **{
        f"D, {way}, 2000 samples, 4 blocks": partial(_langevin_liquid, 2000, way, n_blocks=4)
        for way in ("displacements", "velocities")
    },
    "power of time of displacements, 2000 samples": partial(
        _langevin_liquid, 2000, "power of time"
    ),
}

FEW: Final = tuple(
    name
    for name in CASES
    if any(few in name for few in ("3 states", "3 runs", "4 runs", "4 blocks"))
)
"""Errors by Student's t of two or three degrees of freedom, whose squared pulls have no mean, or
none that repetitions find; two of its errors hold 0.88 of all."""
