"""Responses and fluctuations whose exact values are known, beside those of ``error_bars.py``.

Responses are linear in the dipoles: what the same analysis makes of runs without noise is exact,
with the same window.
"""

from __future__ import annotations

from functools import cache, partial
from typing import Final

import numpy as np
from error_bars import KT, MEMORY, VOLUME, Array, Case, Repetition, relaxation
from scipy.signal import lfilter

from mlobs_client.analysis import (
    SpectrumSettings,
    dielectric_from_pulse,
    dielectric_from_relaxation,
    permittivity_from_fluctuations,
    susceptibility_from_fluctuations,
)
from mlobs_client.analysis.response.dielectric import DielectricFunction
from mlobs_client.analysis.response.polarization import linear_response, mean_polarization
from mlobs_client.results import Curve
from mlobs_client.units import (
    FEMTOSECOND,
    INVERSE_EPSILON_0,
    MICROCOULOMB_PER_CM2,
    VOLT_PER_ANGSTROM,
)

ALONG: Final = np.array([0.0, 0.6, 0.8])
STRENGTH: Final = 0.1 * VOLT_PER_ANGSTROM
RESPONSE: Final = 50.0
"""Dipole over field, e bohr/(Eh/(e bohr))."""
SETTINGS: Final = SpectrumSettings(200.0)
N_SAMPLES, PEAK, SIGMA = 400, 20, 3.0
AT: Final = 300.0
"""cm^-1, where a relaxation of 40 fs has both a real part and a loss."""


def tensor_element(
    i: int, j: int, n_runs: int, length: int, random: np.random.Generator
) -> Repetition:
    """Of a Debye dipole, from runs of so many relaxation times, too short for errors."""
    runs = [relaxation(int(length * MEMORY), MEMORY, random, 3) for _ in range(n_runs)]
    found = permittivity_from_fluctuations(runs, VOLUME, KT)
    exact = (i == j) * (1.0 + INVERSE_EPSILON_0 / (VOLUME * KT))
    return float(found.tensor[i, j]), float(found.errors[i, j]), exact


def static_of_long_runs(n_runs: int, length: int, random: np.random.Generator) -> Repetition:
    runs = [relaxation(int(length * MEMORY), MEMORY, random, 3) for _ in range(n_runs)]
    found = permittivity_from_fluctuations(runs, VOLUME, KT).mean
    return found.value, found.error, 1.0 + INVERSE_EPSILON_0 / (VOLUME * KT)


def static_of_bursts(random: np.random.Generator) -> Repetition:
    """Of a dipole whose amplitude is a slower relaxation than its direction."""
    amplitude = relaxation(20_000, 5.0 * MEMORY, random)
    found = permittivity_from_fluctuations(
        amplitude * relaxation(20_000, MEMORY, random, 3), VOLUME, KT
    ).mean
    return found.value, found.error, 1.0 + INVERSE_EPSILON_0 / (VOLUME * KT)


def susceptibility_of_short_runs(
    n_runs: int, length: int, random: np.random.Generator
) -> Repetition:
    runs = [relaxation(int(length * MEMORY), MEMORY, random, 3) for _ in range(n_runs)]
    found = susceptibility_from_fluctuations(runs, VOLUME, KT, ALONG)
    return found.value, found.error, INVERSE_EPSILON_0 / (VOLUME * KT)


def predicted_polarization(n_independent: int, random: np.random.Generator) -> Repetition:
    """In a field, from the mean and the fluctuations of one run without a field."""
    run = relaxation(int(2 * MEMORY * n_independent), MEMORY, random, 3)
    field = 0.3 * KT / VOLT_PER_ANGSTROM  # both errors count
    found = linear_response(
        mean_polarization(run, ALONG, VOLUME),
        susceptibility_from_fluctuations(run, VOLUME, KT, ALONG),
        field,
    )
    return found.value, found.error, 0.3 / VOLUME / MICROCOULOMB_PER_CM2


def _after_field(n_runs: int, noise: float, random: np.random.Generator) -> DielectricFunction:
    signs = np.resize([1.0, -1.0], n_runs)
    decay = RESPONSE * STRENGTH * np.exp(-np.arange(N_SAMPLES) / 40.0)[:, None] * ALONG
    runs = [sign * decay + noise * relaxation(N_SAMPLES, 40.0, random, 3) for sign in signs]
    return dielectric_from_relaxation(
        runs, STRENGTH * np.outer(signs, ALONG), np.zeros(3), FEMTOSECOND, VOLUME,
        settings=SETTINGS,
    )  # fmt: skip


def _in_pulses(n_pairs: int, noise: float, random: np.random.Generator) -> DielectricFunction:
    """Runs of a pair are equal until the pulse, and part later."""
    pulse = STRENGTH * np.exp(-0.5 * ((np.arange(N_SAMPLES) - PEAK) / SIGMA) ** 2)
    kept = np.exp(-1.0 / 40.0)
    response = RESPONSE * (1.0 - kept) * lfilter([1.0], [1.0, -kept], pulse)
    runs: list[Array] = []
    for k in range(n_pairs):
        kicks = noise * np.sqrt(1.0 - kept**2) * random.normal(size=(N_SAMPLES, 3))
        kicks[:PEAK] = 0.0
        change = response[:, None] * ALONG + lfilter([1.0], [1.0, -kept], kicks, axis=0)
        rest = k + relaxation(N_SAMPLES, 40.0, random, 3)
        runs += [rest + change, rest - change]
    fields = [sign * pulse[:, None] * ALONG for _ in range(n_pairs) for sign in (1.0, -1.0)]
    return dielectric_from_pulse(runs, fields, FEMTOSECOND, VOLUME, settings=SETTINGS)


WAYS: Final = {"after a field": (_after_field, "runs"), "in pulses": (_in_pulses, "pairs")}


def response_at(way: str, part: str, n_rows: int, random: np.random.Generator) -> Repetition:
    made, _ = WAYS[way]
    found: Curve = getattr(made(n_rows, 0.02, random), part)
    k = int(np.argmin(np.abs(found.x - AT)))
    return float(found.mean[k]), float(found.error[k]), _exact_response(way, part, k)


@cache
def _exact_response(way: str, part: str, k: int) -> float:
    made, _ = WAYS[way]
    curve: Curve = getattr(made(2, 0.0, np.random.default_rng(0)), part)
    return float(curve.mean[k])


CASES: Final[dict[str, Case]] = {
    **{
        f"{part} part of eps {way}, {n} {rows}": partial(response_at, way, part, n)
        for way, (_, rows) in WAYS.items()
        for part in ("real", "imaginary")
        for n in (6, 10)
    },
    **{
        f"eps, {name} of the tensor, 10 runs of {length} tau": partial(
            tensor_element, 0, j, 10, length
        )
        for name, j in (("diagonal", 0), ("off the diagonal", 1))
        for length in (20, 30)
    },
    "static eps, Debye, 5 runs of 60 tau": partial(static_of_long_runs, 5, 60),
    "static eps, bursts": static_of_bursts,
    **{
        f"susceptibility along a line, 10 runs of {length} tau": partial(
            susceptibility_of_short_runs, 10, length
        )
        for length in (20, 30)
    },
    **{
        f"polarization by linear response, {n} independent": partial(predicted_polarization, n)
        for n in (50, 200)
    },
}
