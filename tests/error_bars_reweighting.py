"""Reweighted averages of dipoles whose averages are known: do their error bars cover them?

The dipole is a Gaussian AR(1) process, its response to a field is its variance over kT. Lengths
and shifts are those of the audit of errors: up to where averages have to be refused. Shifts and
fields are in standard deviations of the work, the logarithm of the weights.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final

import numpy as np
from error_bars import relaxation

from mlobs_client.analysis import FieldEnsemble, reweight
from mlobs_client.errors import RecordError
from mlobs_client.structure import Array
from mlobs_client.units import KELVIN

SEED: Final = 16
"""Chosen before the first run."""

TEMPERATURE: Final = 300.0 * KELVIN
SPREAD: Final = 5.0  # of the dipole, e bohr
UNIT: Final = np.array([0.0, 0.0, TEMPERATURE / SPREAD])
"""The field that gives the work a standard deviation of 1."""
WIDTH: Final = 0.5 * SPREAD**2 / TEMPERATURE
"""Standard deviation of the polarizability, bohr^3: in this field a quarter of that of the work."""

Outcome = tuple[float, float, float] | None
"""Value, its error, and the exact value; None where the average is refused."""

Case = Callable[[np.random.Generator], Outcome]


def dipoles(rng: np.random.Generator, n_samples: int, time: float, field: float) -> Array:
    """Shape ``(n_samples, 3)``; ``time`` is the correlation time in samples."""
    return SPREAD * (relaxation(n_samples, time, rng, 3) + np.array([0.0, 0.0, field]))


def of_one_run(n_samples: int, time: float, shift: float, rng: np.random.Generator) -> Outcome:
    """The dipole along the field, from a run without a field."""
    run = dipoles(rng, n_samples, time, 0.0)
    try:
        found = reweight(run[:, 2], run, shift * UNIT, TEMPERATURE).estimate
    except RecordError:
        return None
    return found.value, found.error, SPREAD * shift


def of_several_runs(
    n_samples: int, time: float, fields: Sequence[float], target: float, rng: np.random.Generator
) -> Outcome:
    """The dipole along the field, from runs at several fields."""
    runs = [dipoles(rng, n_samples, time, field) for field in fields]
    try:
        joined = FieldEnsemble.of(
            [run[:, 2] for run in runs], runs, np.outer(fields, UNIT), TEMPERATURE
        )
        found = joined.expect(target * UNIT).estimate
    except RecordError:
        return None
    return found.value, found.error, SPREAD * target


def polarizable(
    rng: np.random.Generator, n_samples: int, time: float, field: float
) -> tuple[Array, Array]:
    """Dipoles in a field, and polarizabilities along it that fluctuate on their own."""
    strength = field * UNIT[2]
    tensors = np.zeros((n_samples, 3, 3))
    shift = 0.5 * WIDTH * strength**2 / TEMPERATURE
    tensors[:, 2, 2] = WIDTH * (2.0 + shift + relaxation(n_samples, time, rng)[:, 0])
    return dipoles(rng, n_samples, time, field) + tensors[:, 2] * strength, tensors


def polarized(field: float) -> float:
    """Return the exact mean dipole in a field, whose energy is of second order."""
    strength = field * UNIT[2]
    shift = 0.5 * WIDTH * strength**2 / TEMPERATURE
    return SPREAD * field + WIDTH * (2.0 + shift) * strength


def second_order_from_one(n_samples: int, shift: float, rng: np.random.Generator) -> Outcome:
    """The dipole in the other field, from a run without one."""
    run, tensors = polarizable(rng, n_samples, 5.0, 0.0)
    there = run[:, 2] + shift * UNIT[2] * tensors[:, 2, 2]
    try:
        found = reweight(there, run, shift * UNIT, TEMPERATURE, polarizabilities=tensors).estimate
    except RecordError:
        return None
    return found.value, found.error, polarized(shift)


def second_order_from_several(
    n_samples: int, fields: Sequence[float], target: float, rng: np.random.Generator
) -> Outcome:
    """The dipole in a field between those of the runs."""
    runs, tensors = zip(*(polarizable(rng, n_samples, 5.0, one) for one in fields), strict=True)
    try:
        joined = FieldEnsemble.of(
            [run[:, 2] for run in runs], runs, np.outer(fields, UNIT), TEMPERATURE,
            polarizabilities=tensors,
        )  # fmt: skip
        there = joined.samples.dipoles_in(target * UNIT)[:, 2]
        found = joined.expect(target * UNIT, observable=there).estimate
    except RecordError:
        return None
    return found.value, found.error, polarized(target)


SHIFTS: Final = (
    (4000, 5.0, (0.5, 1.0, 1.5)),
    (20000, 5.0, (0.5, 1.0, 1.5, 2.0)),
    (4000, 20.0, (0.5, 1.0)),
    (20000, 20.0, (0.5, 1.0, 1.5)),
)
"""Farther away, fewer than 100 effective samples are left."""

JOINED: Final = (
    (1500, 5.0, (0.0, 1.5, 3.0), (0.0, 0.75, 2.25, 3.5)),
    (4000, 5.0, (0.0, 2.5), (1.25, 2.5, 3.2)),
    (6000, 20.0, (0.0, 1.5), (0.75, 1.5, 2.0)),
)

SHORT: Final = {
    "10 runs of half a correlation time each, in one field": (50, 100.0, (0.0,) * 10, 0.3),
    "10 runs of 2 correlation times each, in one field": (100, 50.0, (0.0,) * 10, 0.3),
    "6 runs of 40 correlation times each, in one field": (400, 10.0, (0.0,) * 6, 0.3),
    "6 runs of 200 correlation times each, in one field": (2000, 10.0, (0.0,) * 6, 0.5),
    "8 runs of 10 correlation times each, in 8 fields": (
        100, 10.0, tuple(np.arange(8) / 4.0), 1.0,
    ),
    "5 runs of 50 correlation times each, in 5 fields": (
        500, 10.0, tuple(np.arange(5) / 4.0), 0.5,
    ),
    "5 runs of 100 correlation times each, in 5 fields": (
        1000, 10.0, tuple(np.arange(5) / 2.0), 1.25,
    ),
    "6 runs of 80 correlation times each, in 2 fields": (
        800, 10.0, (0.0, 1.0) * 3, 0.5,
    ),
}  # fmt: skip

CASES: Final[Mapping[str, Case]] = {
    **{
        f"one run, n = {n}, tau = {time:g}, shift {shift:g}": partial(of_one_run, n, time, shift)
        for n, time, shifts in SHIFTS
        for shift in shifts
    },
    **{
        f"{len(fields)} runs, n = {n}, tau = {time:g}, to {target:g}": partial(
            of_several_runs, n, time, fields, target
        )
        for n, time, fields, targets in JOINED
        for target in targets
    },
    **{name: partial(of_several_runs, *how) for name, how in SHORT.items()},
    **{
        f"second order, one run, n = 20000, shift {shift:g}": partial(
            second_order_from_one, 20_000, shift
        )
        for shift in (0.5, 1.0)
    },
    **{
        f"second order, 2 runs, n = 4000, to {target:g}": partial(
            second_order_from_several, 4000, (0.0, 1.5), target
        )
        for target in (0.75, 1.5)
    },
}
