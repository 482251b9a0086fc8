"""Derivatives by finite differences, to compare exact ones with.

Differences are central and of fourth order, [8 (f(h) - f(-h)) - (f(2h) - f(-2h))] / 12h with an
error of h^4/30 times the fifth derivative: with h = 0.01 bohr a relative 1e-6 or better.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property, partial
from typing import Final

import numpy as np

from mlobs_client.evaluate.evaluation import Values
from mlobs_client.structure import Array, Integers, Structure

_WEIGHTS: Final = {1.0: 8.0 / 12.0, -1.0: -8.0 / 12.0, 2.0: -1.0 / 12.0, -2.0: 1.0 / 12.0}
"""Offset in steps -> weight."""

_STRAIN_STEP: Final = 0.1
"""Of the step in bohr: atoms 10 bohr from the origin then move by one step."""


class Differences:
    """Derivatives of observables of one structure; the axes of derivatives come last.

    Args:
        observe: gives the observables of a structure.
        structure: where to differentiate.
        atoms: indices of the atoms to differentiate by.
        step: bohr.
    """

    def __init__(
        self,
        observe: Callable[[Structure], Values],
        structure: Structure,
        atoms: Integers,
        step: float,
    ) -> None:
        self._observe = observe
        self._structure = structure
        self._atoms = atoms
        self._step = step

    @cached_property
    def by_positions(self) -> dict[str, Array]:
        """Shapes ``(*shape, len(atoms), 3)``."""
        moves = [partial(_move, self._structure, atom, j) for atom in self._atoms for j in range(3)]
        return self._differentiate(moves, self._step, (len(self._atoms), 3))

    @cached_property
    def by_strain(self) -> dict[str, Array]:
        """Shapes ``(*shape, 3, 3)``."""
        moves = [partial(_strain, self._structure, a, b) for a in range(3) for b in range(3)]
        return self._differentiate(moves, self._step * _STRAIN_STEP, (3, 3))

    def rounding(self, name: str) -> float:
        """How far off rounding alone may bring a derivative of this observable."""
        return rounding(self._observe(self._structure)[name], self._step * _STRAIN_STEP)

    def _differentiate(
        self, moves: Sequence[Callable[[float], Structure]], step: float, axes: tuple[int, int]
    ) -> dict[str, Array]:
        columns = [self._along(move, step) for move in moves]
        return {
            name: np.stack([column[name] for column in columns], axis=-1).reshape(
                *np.shape(columns[0][name]), *axes
            )
            for name in columns[0]
        }

    def _along(self, move: Callable[[float], Structure], step: float) -> dict[str, Array]:
        return differentiate(lambda amount: self._observe(move(amount)), step)


def differentiate(function: Callable[[float], Values], step: float) -> dict[str, Array]:
    """Return the derivative of each value of ``function`` at zero."""
    total: dict[str, Array] = {}
    for offset, weight in _WEIGHTS.items():
        for name, value in function(offset * step).items():
            total[name] = total.get(name, np.zeros(())) + weight / step * value
    return total


def rounding(value: Array, step: float) -> float:
    """How far off rounding alone may bring a derivative of this value."""
    return float(100.0 * np.finfo(np.float64).eps * np.max(np.abs(value)) / step)


def sample(structure: Structure, n_sampled: int | None, seed: int) -> Integers:
    """Draw atoms without repetition; all atoms if ``n_sampled`` is None."""
    n_atoms = structure.n_atoms
    if n_sampled is None or n_sampled >= n_atoms:
        return np.arange(n_atoms)
    return np.sort(np.random.default_rng(seed).choice(n_atoms, n_sampled, replace=False))


def displace(structure: Structure, atom: int, vector: Array) -> Structure:
    """Move one atom by a vector in bohr."""
    positions = structure.positions.copy()
    positions[atom] += vector
    return replace(structure, positions=positions)


def _move(structure: Structure, atom: int, axis: int, distance: float) -> Structure:
    return displace(structure, atom, distance * np.eye(3)[axis])


def _strain(structure: Structure, a: int, b: int, amount: float) -> Structure:
    deformation = np.eye(3)
    deformation[a, b] += amount
    return replace(
        structure,
        positions=structure.positions @ deformation,
        cell=structure.cell @ deformation,
    )
