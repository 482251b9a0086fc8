"""Derivatives by finite differences, as references for exact ones.

Differences are central and of fourth order, [8 (f(h) - f(-h)) - (f(2h) - f(-2h))] / 12h with an
error of h^4/30 times the fifth derivative: with h = 0.01 bohr the relative error is 1e-6 or less.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from typing import Final

import numpy as np

from mlobs_client.evaluate.evaluation import Values
from mlobs_client.progress import Progress, silent
from mlobs_client.structure import Array, Integers, Structure

_WEIGHTS: Final = {1.0: 8.0 / 12.0, -1.0: -8.0 / 12.0, 2.0: -1.0 / 12.0, -2.0: 1.0 / 12.0}
"""Weights of the differences, by the offset in steps."""

_SECOND: Final = {1.0: -1.0 / 3.0, -1.0: -1.0 / 3.0, 2.0: 1.0 / 3.0, -2.0: 1.0 / 3.0}
"""Weights of second derivatives from the same values, with an error of second order."""

_STRAIN_STEP: Final = 0.1
"""Step of strain for a step of positions of 1 bohr: atoms 10 bohr from the origin move by one
step."""


class Differences:
    """Derivatives of observables of one structure; the axes of derivatives are the last ones.

    Args:
        observe: function that returns the observables of structures, in atomic units.
        structure: structure at which to differentiate.
        atoms: indices of the atoms to differentiate with respect to, shape ``(n_sampled,)``.
        step: step of positions, bohr.
        progress: called after each displacement with the variable, "positions" or "strain".
    """

    def __init__(
        self,
        observe: Callable[[Sequence[Structure]], Sequence[Values]],
        structure: Structure,
        atoms: Integers,
        step: float,
        progress: Progress = silent,
    ) -> None:
        self._observe = observe
        self._structure = structure
        self._atoms = atoms
        self._step = step
        self._progress = progress

    @property
    def by_positions(self) -> dict[str, Array]:
        """Derivatives with respect to positions, ``(*shape, n_sampled, 3)``, per bohr, by name."""
        return self._of_positions[0]

    @property
    def by_strain(self) -> dict[str, Array]:
        """Derivatives with respect to strain, shape ``(*shape, 3, 3)``, by name."""
        return self._of_strain[0]

    def by(self, variable: str) -> dict[str, Array]:
        """Return the derivatives with respect to "positions" or "strain", by name."""
        return self.by_strain if variable == "strain" else self.by_positions

    def changes(self, variable: str, distance: float) -> dict[str, Array]:
        """Return how much each derivative changes, to first order, when its variable changes.

        Args:
            variable: "positions" or "strain".
            distance: change of a position, bohr; that of strain is a tenth of this number.

        Returns:
            The changes by name, with the shapes and units of the derivatives.
        """
        if variable == "strain":
            second, amount = self._of_strain[1], distance * _STRAIN_STEP
        else:
            second, amount = self._of_positions[1], distance
        return {name: amount * array for name, array in second.items()}

    @cached_property
    def _of_positions(self) -> tuple[dict[str, Array], dict[str, Array]]:
        """First and second derivatives."""
        moves = [partial(_move, self._structure, atom, j) for atom in self._atoms for j in range(3)]
        return self._differentiate("positions", moves, self._step, (len(self._atoms), 3))

    @cached_property
    def _of_strain(self) -> tuple[dict[str, Array], dict[str, Array]]:
        """First and second derivatives."""
        moves = [partial(_strain, self._structure, a, b) for a in range(3) for b in range(3)]
        return self._differentiate("strain", moves, self._step * _STRAIN_STEP, (3, 3))

    def rounding(self, name: str) -> float:
        """Return a bound on the rounding error of the derivatives of an observable."""
        (values,) = self._observe([self._structure])
        return rounding(values[name], self._step * _STRAIN_STEP)

    def _differentiate(
        self,
        by: str,
        moves: Sequence[Callable[[float], Structure]],
        step: float,
        axes: tuple[int, int],
    ) -> tuple[dict[str, Array], dict[str, Array]]:
        columns = []
        for k, move in enumerate(moves, 1):
            observed = self._observe([move(offset * step) for offset in _WEIGHTS])
            columns.append([_combine(observed, step), _combine(observed, step**2, _SECOND)])
            self._progress(by, k, len(moves))
        first, second = (
            {
                name: np.stack([column[name] for column in order], axis=-1).reshape(
                    *np.shape(order[0][name]), *axes
                )
                for name in order[0]
            }
            for order in zip(*columns, strict=True)
        )
        return first, second


def differentiate(function: Callable[[float], Values], step: float) -> dict[str, Array]:
    """Return the derivative of each value of ``function`` at zero, per unit of ``step``."""
    return _combine([function(offset * step) for offset in _WEIGHTS], step)


def _combine(
    values: Sequence[Values], step: float, weights: Mapping[float, float] = _WEIGHTS
) -> dict[str, Array]:
    """Return a derivative of each value, from the values at the offsets."""
    total: dict[str, Array] = {}
    for weight, at_offset in zip(weights.values(), values, strict=True):
        for name, value in at_offset.items():
            total[name] = total.get(name, np.zeros(())) + weight / step * value
    return total


def rounding(value: Array, step: float) -> float:
    """Return a bound on the rounding error of a derivative of a value of any shape."""
    return float(100.0 * np.finfo(np.float64).eps * np.max(np.abs(value)) / step)


def sample(structure: Structure, n_sampled: int | None, seed: int) -> Integers:
    """Draw indices of atoms without repetition; all atoms if ``n_sampled`` is None."""
    n_atoms = structure.n_atoms
    if n_sampled is None or n_sampled >= n_atoms:
        return np.arange(n_atoms)
    return np.sort(np.random.default_rng(seed).choice(n_atoms, n_sampled, replace=False))


def displace(structure: Structure, atom: int, vector: Array) -> Structure:
    """Return the structure with one atom moved by a vector, shape ``(3,)``, bohr."""
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
