"""Verdicts on runs that are right: how often is one refused, or warned at?

A verdict is a function of a random generator that draws one set of right runs, and returns whether
something was said against it. Names give the seeds, as for estimates.
"""

from __future__ import annotations

import logging
import zlib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Final

import numpy as np
from error_bars import SEED, relaxation
from error_bars_distributions import coefficients

from mlobs_client.analysis import volume as volumes
from mlobs_client.analysis.liquids.arrest import arrest_field
from mlobs_client.analysis.response.branches_of_runs import align_runs
from mlobs_client.errors import MlobsError, RecordError
from mlobs_client.ipi.properties import Properties
from mlobs_client.structure import Array
from mlobs_client.studies import masses as masses_of_runs
from mlobs_client.studies import temperature as temperatures
from mlobs_client.studies.masses import Masses, check_masses
from mlobs_client.studies.temperature import compare_temperature
from mlobs_client.units import DALTON, KELVIN

Verdict = Callable[[np.random.Generator], bool]

NOT_JUDGED: Final = "is not judged"
"""Said where a run is too short for a verdict, which is none."""

MEMORY: Final = 10.0
"""Correlation time of velocities, volumes and temperatures, samples."""
KT: Final = 300.0 * KELVIN
WATER: Final = np.array([15.999, 1.008, 1.008]) * DALTON


def false_alarms(name: str, verdict: Verdict, n_repetitions: int) -> float:
    """Share of right runs at which something is said; the same name draws the same numbers."""
    rng = np.random.default_rng([SEED, zlib.crc32(name.encode())])
    return float(np.mean([verdict(rng) for _ in range(n_repetitions)]))


def is_said(call: Callable[[], object], logger: logging.Logger, *, warnings: bool = True) -> bool:
    """Whether a call is refused, or warns."""
    said: list[logging.LogRecord] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = said.append  # type: ignore[method-assign]
    logger.addHandler(handler)
    propagates, logger.propagate = logger.propagate, False
    try:
        call()
    except MlobsError:
        return True
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagates
    return warnings and any(NOT_JUDGED not in one.getMessage() for one in said)


def thermal_velocities(n_samples: int, n_molecules: int, rng: np.random.Generator) -> Array:
    """Of water molecules, ``[t, I, i]``, with the centre of mass at rest."""
    masses = np.tile(WATER, n_molecules)
    moving = relaxation(n_samples, MEMORY, rng, 3 * len(masses)).reshape(n_samples, -1, 3)
    return at_rest(moving * np.sqrt(KT / masses)[:, None], masses)


def at_rest(velocities: Array, masses: Array) -> Array:
    """Without the motion of the centre of mass."""
    centre = np.tensordot(velocities, masses, axes=(1, 0)) / masses.sum()
    return np.asarray(velocities - centre[:, None])


def vibrations_at_constant_energy(n_samples: int, rng: np.random.Generator) -> Array:
    """Of one water molecule with three vibrations, whose energies are what they were drawn as."""
    shapes = at_rest(rng.normal(size=(3, 3, 3)) / np.sqrt(WATER)[:, None], WATER)
    weighted = (shapes * np.sqrt(WATER)[:, None]).reshape(3, 9)
    orthogonal = np.linalg.qr(weighted.T)[0].T.reshape(3, 3, 3) / np.sqrt(WATER)[:, None]
    amplitudes = np.sqrt(2.0 * KT * rng.exponential(size=3))
    turns = np.outer(np.arange(n_samples), [0.31, 0.68, 0.71]) + rng.uniform(0.0, 7.0, 3)
    return np.asarray(np.einsum("tk,kIi->tIi", amplitudes * np.cos(turns), orthogonal))


def masses_verdict(velocities: Array, *, thermostat: bool, warnings: bool) -> bool:
    """On the right masses, which labels alone tell."""
    values = np.tile(WATER, velocities.shape[1] // 3)
    masses = Masses(("O", "H", "H") * (len(values) // 3), values, "labels", is_guess=True)
    held = KT if thermostat else None
    return is_said(
        lambda: check_masses(masses, velocities, held, Path("run")),
        masses_of_runs.logger,
        warnings=warnings,
    )


def _thermal(n_independent: int, n_molecules: int, rng: np.random.Generator) -> bool:
    # squares of velocities forget twice as fast
    moving = thermal_velocities(int(MEMORY * n_independent), n_molecules, rng)
    return masses_verdict(moving, thermostat=True, warnings=True)


def _constant_energy(rng: np.random.Generator) -> bool:
    moving = vibrations_at_constant_energy(1000, rng)
    return masses_verdict(moving, thermostat=False, warnings=False)


def _volumes(n_runs: int, n_independent: float, rng: np.random.Generator) -> bool:
    """Of a barostat, whose volume fluctuates by 2 %."""
    n_samples = int(2 * MEMORY * n_independent)
    scales = [np.cbrt(1.0 + 0.02 * relaxation(n_samples, MEMORY, rng)[:, 0]) for _ in range(n_runs)]
    cells = [20.0 * scale[:, None, None] * np.eye(3) for scale in scales]
    names = [f"run {k}" for k in range(n_runs)]
    return is_said(lambda: volumes.common_volume(cells, names), volumes.logger, warnings=False)


def _temperature(n_independent: int, n_atoms: int, rng: np.random.Generator) -> bool:
    """Kinetic temperatures of so many atoms against that of the run."""
    n_samples = int(MEMORY * n_independent)
    squares = relaxation(n_samples, MEMORY, rng, 3 * n_atoms) ** 2
    values = {"step": np.arange(float(n_samples)), "temperature": KT * squares.mean(axis=1)}
    run = SimpleNamespace(
        prefix=Path("run"), systems=[], has_properties=True, properties=Properties(values, {})
    )
    return is_said(lambda: compare_temperature(run, 300.0), temperatures.logger)  # type: ignore[arg-type]


def _branches(n_independent: float, rng: np.random.Generator) -> bool:
    """Two runs on one branch, whose dipole moves by 0.1 quanta; refused, or moved."""
    n_samples, cell = int(2 * MEMORY * n_independent), 20.0 * np.eye(3)
    runs = [2.0 * relaxation(n_samples, MEMORY, rng, 3) for _ in range(2)]
    moved: list[int] = []

    def align() -> None:
        moved.extend(np.abs(align_runs(runs, cell, ["a", "b"], "")[1]).ravel().tolist())

    return is_said(align, volumes.logger) or any(moved)


def _onset(n_blocks: int, rng: np.random.Generator) -> bool:
    """A decision where the diffusion is just at the limit."""
    try:
        found = arrest_field(np.array([0.0, 0.1]), coefficients(0.1, n_blocks, rng), 0.1)
    except RecordError:  # the noise hides the diffusion without a field, too: nothing is decided
        return False
    return found.phases[1] != "undecided"


VERDICTS: Final[Mapping[str, tuple[Verdict, float]]] = {
    **{
        f"masses, {molecules} molecules, {n} independent samples, refused or warned": (
            partial(_thermal, n, molecules), 0.01,
        )
        for n, molecules in ((30, 1), (30, 8), (200, 1))
    },
    "masses, vibrations at constant energy, refused": (_constant_energy, 0.0),
    **{
        f"volumes, {runs} runs of {n} independent samples, refused": (
            partial(_volumes, runs, n), 0.01,
        )
        for n, runs in ((1, 2), (3, 2), (3, 6), (10, 4), (30, 2), (30, 6), (100, 4))
    },
    **{
        f"temperature, {atoms} atoms, {n} independent samples, refused or warned": (
            partial(_temperature, n, atoms), 0.01,
        )
        for n, atoms in ((10, 3), (30, 3), (200, 3), (30, 100))
    },
    **{
        f"branches, 2 runs of {n} independent samples, refused or moved": (
            partial(_branches, n), 0.01,
        )
        for n in (1, 3, 30)
    },
    **{
        f"onset, {n} blocks, decided at the limit": (partial(_onset, n), 0.08) for n in (4, 10)
    },
}  # fmt: skip
"""The verdict, and the largest share of false alarms that is right."""
