"""Structures and predictions, the inputs and outputs of evaluations.

Both are frozen and are checked once, here; all other code may rely on their shapes and on finite
numbers. Lattice vectors are **rows** of ``cell``; ``wire`` transposes the columns of i-PI.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from mlobs_client.errors import EvaluationError
from mlobs_client.quantities import QUANTITIES
from mlobs_client.units import ANGSTROM

if TYPE_CHECKING:
    from ase import Atoms

Array = npt.NDArray[np.float64]
"""Array of float64."""

Integers = npt.NDArray[np.int64]
"""Array of int64."""

VACUUM: Final = 4.0 * ANGSTROM
"""Smallest distance between an isolated molecule and its images, bohr."""


@dataclass(frozen=True)
class Structure:
    """One configuration of atoms.

    Attributes:
        numbers: shape ``(n_atoms,)``, atomic numbers.
        positions: shape ``(n_atoms, 3)``, bohr, unwrapped.
        cell: shape ``(3, 3)``, bohr, lattice vectors are rows.
        pbc: periodicity along each lattice vector.

    Raises:
        EvaluationError: shapes are wrong, a number is not finite, or a periodic cell has no volume.
    """

    numbers: Integers
    positions: Array
    cell: Array
    pbc: tuple[bool, bool, bool] = (True, True, True)

    def __post_init__(self) -> None:
        n_atoms = len(self.numbers)
        for name, shape in (("positions", (n_atoms, 3)), ("cell", (3, 3))):
            value = getattr(self, name)
            if value.shape != shape:
                raise EvaluationError(f"{name} must have shape {shape}, got {value.shape}")
            _check_finite(name, value)
        if all(self.pbc) and abs(self.volume) < 1e-6:
            raise EvaluationError(
                f"the periodic cell {self.cell.tolist()} bohr has no volume; give the lattice "
                "vectors in the input file of i-PI, or make the structure non-periodic"
            )

    @property
    def n_atoms(self) -> int:
        return len(self.numbers)

    @property
    def volume(self) -> float:
        """Volume of the cell, bohr^3."""
        # with floats of Python, in a sixth of the time of the determinant of numpy
        (ax, ay, az), (bx, by, bz), (cx, cy, cz) = self.cell.tolist()
        volume = ax * (by * cz - bz * cy) + ay * (bz * cx - bx * cz)
        return float(abs(volume + az * (bx * cy - by * cx)))


@dataclass(frozen=True)
class Prediction:
    """The prediction of a client for one structure.

    Attributes:
        energy: energy with all terms, Eh.
        forces: minus the gradient of ``energy``, shape ``(n_atoms, 3)``, Eh/bohr.
        virial: -dE/d(strain) = -V sigma, shape ``(3, 3)``, Eh; None if a model has no strain
            derivative.
        observables: observables, named as in :mod:`mlobs_client.quantities`, atomic units.

    Raises:
        EvaluationError: shapes are wrong, or a number is not finite.
    """

    energy: float
    forces: Array
    virial: Array | None
    observables: Mapping[str, Array] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n_atoms = len(self.forces)
        if self.forces.shape != (n_atoms, 3):
            raise EvaluationError(f"forces must have shape ({n_atoms}, 3), got {self.forces.shape}")
        if self.virial is not None and self.virial.shape != (3, 3):
            raise EvaluationError(f"virial must have shape (3, 3), got {self.virial.shape}")
        if not math.isfinite(self.energy):
            raise EvaluationError(_describe_not_finite("energy", np.asarray(self.energy)))
        _check_finite("forces", self.forces)
        if self.virial is not None:
            _check_finite("virial", self.virial)
        for name, value in self.observables.items():
            _check_finite(name, value)
            _check_shape(name, value.shape, n_atoms)


def to_atoms(
    numbers: Integers, positions: Array, cell: Array, pbc: tuple[bool, bool, bool]
) -> Atoms:
    """Make ASE atoms, in angstrom.

    Args:
        numbers: atomic numbers, shape ``(n_atoms,)``.
        positions: shape ``(n_atoms, 3)``, bohr.
        cell: shape ``(3, 3)``, bohr, lattice vectors are rows.
        pbc: periodicity along each lattice vector.
    """
    from ase import Atoms  # a slow import, which not all users need

    return Atoms(numbers, positions / ANGSTROM, cell=cell / ANGSTROM, pbc=pbc)


def from_atoms(atoms: Atoms) -> tuple[Integers, Array, Array, tuple[bool, bool, bool]]:
    """Return numbers, positions and cell (in bohr) and periodicity, as in :class:`Structure`."""
    numbers = np.asarray(atoms.numbers, dtype=np.int64)
    first, second, third = (bool(periodic) for periodic in atoms.pbc)
    cell = atoms.cell.array * ANGSTROM
    return numbers, atoms.positions * ANGSTROM, cell, (first, second, third)


def fills_cell(positions: Array, cell: Array) -> bool:
    """Return True if atoms and their images are closer than ``VACUUM`` across any face of the cell.

    Args:
        positions: shape ``(n_atoms, 3)``, bohr.
        cell: shape ``(3, 3)``, bohr, lattice vectors are rows; if it has no volume, False is
            returned.
    """
    if abs(np.linalg.det(cell)) < 1e-6:
        return False
    inverse = np.linalg.inv(cell)
    extent = np.ptp(positions @ inverse, axis=0)
    heights = 1.0 / np.linalg.norm(inverse, axis=0)
    return bool(((1.0 - extent) * heights < VACUUM).any())


def _check_finite(name: str, value: npt.NDArray[np.float64]) -> None:
    # the sum is a fast test; it may overflow though all numbers are finite
    if not math.isfinite(value.sum()) and not np.isfinite(value).all():
        raise EvaluationError(_describe_not_finite(name, value))


def _check_shape(name: str, shape: tuple[int, ...], n_atoms: int) -> None:
    expected = QUANTITIES[name].shape
    sizes = tuple(n_atoms if size == "n_atoms" else size for size in expected)
    agree = len(sizes) == len(shape) and all(
        isinstance(size, str) or size == actual for size, actual in zip(sizes, shape, strict=True)
    )
    if not agree:
        raise EvaluationError(f"{name} must have shape {sizes}, got {shape}")


def _describe_not_finite(name: str, value: npt.NDArray[np.float64]) -> str:
    index = tuple(int(i) for i in np.argwhere(~np.isfinite(value))[0])
    return (
        f"{name}{list(index) if index else ''} is {value[index]}, not a finite number; look at the "
        "last frames of the trajectory for atoms that came too close, and at the time step"
    )
