"""Degrees of freedom, temperatures and masses, from velocities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from mlobs_client.results.estimate import Estimate
from mlobs_client.results.statistics import mean, widen_skewed
from mlobs_client.structure import Array
from mlobs_client.units import KELVIN

AT_REST: Final = 1e-2
"""Ratio of the total momentum to the root of the sum of squared momenta below which the centre of
mass is at rest: it is 1 for thermal motion, and about 1e-6, the rounding of the files, at rest."""

DEPENDENT: Final = 1e-3
"""Ratio of the smallest to the largest singular value of the summed velocities of the species
below which they are linearly dependent; it allows for the rounding of the files."""

LEAST_SHARE: Final = 1e-2
"""Fraction of the largest momentum of any species; a species with less momentum does not determine
its mass."""


@dataclass(frozen=True)
class Freedom:
    """The coordinates that move.

    Attributes:
        moves: mask of the coordinates with a velocity at any time, shape ``(n_atoms, 3)``.
        center_at_rest: mask of the axes along which the centre of mass is at rest, shape ``(3,)``.
    """

    moves: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]
    center_at_rest: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]

    @property
    def count(self) -> int:
        """Number of degrees of freedom."""
        return int(self.moves.sum() - self.center_at_rest.sum())

    def __str__(self) -> str:
        n_atoms, held = len(self.moves), int(self.center_at_rest.sum())
        n_fixed = int((~self.moves).sum())
        fixed = f" - {n_fixed} of fixed coordinates" if n_fixed else ""
        center = f" - {held} of the centre of mass, which is at rest" if held else ""
        return f"{self.count} = 3 x {n_atoms} atoms{fixed}{center}"


def find_freedom(runs: Sequence[Array], masses: Array) -> Freedom:
    """Find the coordinates that move, and the axes along which the centre of mass is at rest.

    Args:
        runs: velocities along each run, shape ``(t, n_atoms, 3)``, bohr/atu.
        masses: shape ``(n_atoms,)``, electron masses.
    """
    moves = np.any([np.any(run != 0.0, axis=0) for run in runs], axis=0)
    momenta = [run * masses[:, None] for run in runs]
    total = sum((run.sum(axis=1) ** 2).sum(axis=0) for run in momenta)
    parts = sum((run**2).sum(axis=(0, 1)) for run in momenta)
    at_rest = (total < AT_REST**2 * parts) & (moves.sum(axis=0) > 1)
    return Freedom(moves, np.asarray(at_rest))


def kinetic_temperatures(
    runs: Sequence[Array], masses: Array, groups: Mapping[str, Array]
) -> dict[str, Estimate]:
    r"""Return the kinetic temperature of each group of atoms, K.

    With the centre of mass at rest, :math:`\langle m_I v_I^2 \rangle = 3 kT (1 - m_I / M)`.

    Args:
        runs: velocities along each run, shape ``(t, n_atoms, 3)``, bohr/atu.
        masses: shape ``(n_atoms,)``, electron masses.
        groups: mask of the atoms of each group, shape ``(n_atoms,)``; groups that do not move are
            left out.

    Raises:
        RecordError: there are fewer than 4 samples.
    """
    freedom = find_freedom(runs, masses)
    moving = freedom.moves * masses[:, None]
    total = np.where(freedom.center_at_rest, moving.sum(axis=0), np.inf)
    counts = np.where(freedom.moves, 1.0 - moving / total, 0.0).sum(axis=1)  # [I]
    return {
        name: widen_skewed(
            mean([run[:, atoms] ** 2 @ np.ones(3) @ masses[atoms] for run in runs], "K")
        )
        * (1.0 / (KELVIN * float(counts[atoms].sum())))
        for name, atoms in groups.items()
        if counts[atoms].sum() > 0.0
    }


def masses_from_momentum(
    runs: Sequence[Array], groups: Mapping[str, Array]
) -> dict[str, float] | None:
    """Return the ratios of masses for which the centre of mass is at rest.

    If i-PI fixes the centre of mass, the summed velocities of the species are linearly dependent,
    with the masses as coefficients, exactly and at any temperature.

    Args:
        runs: velocities along each run, shape ``(t, n_atoms, 3)``, bohr/atu.
        groups: masks of atoms of equal mass, shape ``(n_atoms,)``.

    Returns:
        The mass of each group for which it can be determined, relative to the first; None if the
        centre of mass moves whatever the masses are, or if there are fewer than two groups.
    """
    summed = {
        name: np.concatenate([run[:, atoms].sum(axis=1).ravel() for run in runs])
        for name, atoms in groups.items()
    }
    norms = {name: float(np.linalg.norm(one)) for name, one in summed.items()}
    names = [name for name, norm in norms.items() if norm > 0.0]
    if len(names) < 2:
        return None
    columns = np.stack([summed[name] / norms[name] for name in names], axis=1)
    _, values, vectors = np.linalg.svd(columns, full_matrices=False)
    momenta = vectors[-1] * np.sign(vectors[-1].sum())  # relative momentum of each group
    significant = momenta > LEAST_SHARE * np.abs(momenta).max()
    if (
        values[-1] > DEPENDENT * values[0]
        or (momenta < -LEAST_SHARE).any()
        or significant.sum() < 2
    ):
        return None
    masses = {n: p / norms[n] for n, p, ok in zip(names, momenta, significant, strict=True) if ok}
    first = next(iter(masses.values()))
    return {name: mass / first for name, mass in masses.items()}
