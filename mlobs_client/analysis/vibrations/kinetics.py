"""Which coordinates move, and what their velocities say of masses and temperatures."""

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
"""Momentum of all atoms over the root of the sum of their squares: 1 where it is thermal, and the
rounding of the files, some 1e-6, where it is held at zero."""

DEPENDENT: Final = 1e-3
"""Smallest over largest singular value of the summed velocities of the species: what is below is
the rounding of the files."""

LEAST_SHARE: Final = 1e-2
"""Of the largest momentum of a species: what carries less does not tell its mass."""


@dataclass(frozen=True)
class Freedom:
    """Coordinates of the atoms that move.

    Attributes:
        moves: shape ``(n_atoms, 3)``, whether a coordinate has a velocity at any time.
        center_at_rest: shape ``(3,)``, along which axes the centre of mass has none.
    """

    moves: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]
    center_at_rest: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]

    @property
    def count(self) -> int:
        """Degrees of freedom."""
        return int(self.moves.sum() - self.center_at_rest.sum())

    def __str__(self) -> str:
        n_atoms, held = len(self.moves), int(self.center_at_rest.sum())
        n_fixed = int((~self.moves).sum())
        fixed = f" - {n_fixed} of fixed coordinates" if n_fixed else ""
        center = f" - {held} of the centre of mass, which is at rest" if held else ""
        return f"{self.count} = 3 x {n_atoms} atoms{fixed}{center}"


def find_freedom(runs: Sequence[Array], masses: Array) -> Freedom:
    """Find which coordinates move, and whether the centre of mass does.

    Args:
        runs: velocities, each of shape ``(t, n_atoms, 3)``, bohr/atu.
        masses: shape ``(n_atoms,)``, electron masses.
    """
    moves = np.any([np.any(run != 0.0, axis=0) for run in runs], axis=0)
    momenta = [run * masses[:, None] for run in runs]
    total = sum((one.sum(axis=1) ** 2).sum(axis=0) for one in momenta)
    parts = sum((one**2).sum(axis=(0, 1)) for one in momenta)
    at_rest = (total < AT_REST**2 * parts) & (moves.sum(axis=0) > 1)
    return Freedom(moves, np.asarray(at_rest))


def kinetic_temperatures(
    runs: Sequence[Array], masses: Array, groups: Mapping[str, Array]
) -> dict[str, Estimate]:
    r"""Temperature that the velocities of each group of atoms show, K.

    With the centre of mass at rest, :math:`\langle m_I v_I^2 \rangle = 3 kT (1 - m_I / M)`.

    Args:
        runs: velocities, each of shape ``(t, n_atoms, 3)``, bohr/atu.
        masses: shape ``(n_atoms,)``, electron masses.
        groups: which atoms, shape ``(n_atoms,)``, booleans; groups that do not move are left out.

    Raises:
        RecordError: fewer than 4 samples.
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
    """Ratios of masses with which the centre of mass is at rest.

    Where i-PI holds it, the sums of the velocities of the species depend on each other, and the
    masses are the factors: exactly, whatever the temperatures are.

    Args:
        runs: velocities, each of shape ``(t, n_atoms, 3)``, bohr/atu.
        groups: which atoms are of one mass, shape ``(n_atoms,)``, booleans.

    Returns:
        Of each group that tells it, in the unit of the first; None where the centre of mass moves
        with any masses, or where there are not two groups.
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
    momenta = vectors[-1] * np.sign(vectors[-1].sum())  # relative, of each group
    told = momenta > LEAST_SHARE * np.abs(momenta).max()
    if values[-1] > DEPENDENT * values[0] or (momenta < -LEAST_SHARE).any() or told.sum() < 2:
        return None
    found = {n: p / norms[n] for n, p, ok in zip(names, momenta, told, strict=True) if ok}
    first = next(iter(found.values()))
    return {name: value / first for name, value in found.items()}
