"""Sites of the atoms of a model crystal, and displacements from them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mlobs_client.errors import ConfigError, EvaluationError
from mlobs_client.evaluate.jet import strain_derivative
from mlobs_client.structure import Array, Structure


class Sites:
    """The sites of all atoms, pinned in space or fixed to the lattice.

    In a periodic structure an atom belongs to the nearest image of its site, so that a move by a
    lattice vector changes neither energy nor forces.

    Args:
        positions: shape ``(n_atoms, 3)``, bohr.
        reference_cell: shape ``(3, 3)``, bohr, lattice vectors are rows; the cell to which
            ``positions`` refer. In another cell the sites keep their fractional coordinates.
            None pins the sites in space; then there is no strain derivative.

    Raises:
        ConfigError: shapes are wrong, or the reference cell has no volume.
    """

    def __init__(
        self, positions: npt.ArrayLike, reference_cell: npt.ArrayLike | None = None
    ) -> None:
        self.positions = array("sites", positions, (-1, 3))
        self._fractional: Array | None = None
        if reference_cell is not None:
            cell = array("reference_cell", reference_cell, (3, 3))
            if abs(np.linalg.det(cell)) < 1e-6:
                raise ConfigError(
                    f"reference_cell {cell.tolist()} bohr has no volume; give three lattice "
                    "vectors, or leave it out to pin the sites in space"
                )
            self._fractional = self.positions @ np.linalg.inv(cell)

    def displacements(self, structure: Structure) -> Array:
        """Return positions minus sites, shape ``(n_atoms, 3)``, bohr.

        Raises:
            EvaluationError: the numbers of atoms and sites differ, or sites that are fixed to a
                lattice have no cell.
        """
        if structure.n_atoms != len(self.positions):
            raise EvaluationError(
                f"this toy has {len(self.positions)} sites, the structure {structure.n_atoms} "
                "atoms; give one site per atom"
            )
        sites = self.positions
        if self._fractional is not None:
            if structure.volume < 1e-6:
                raise EvaluationError(
                    "the sites are fixed to a lattice, but the structure has no cell; give it "
                    "one, or leave out reference_cell"
                )
            sites = self._fractional @ structure.cell
        displacements = structure.positions - sites
        if any(structure.pbc):
            images = np.round(displacements @ np.linalg.pinv(structure.cell))
            displacements = displacements - (images * structure.pbc) @ structure.cell
        return displacements

    def strain_derivative(self, displacements: Array, by_positions: Array) -> Array | None:
        """Apply the chain rule to a function of the displacements; None for pinned sites.

        Args:
            displacements: shape ``(n_atoms, 3)``, bohr.
            by_positions: d(value)/dR, shape ``(*shape, n_atoms, 3)``, per bohr.

        Returns:
            d(value)/d(strain), shape ``(*shape, 3, 3)``.
        """
        if self._fractional is None:
            return None
        return strain_derivative(displacements, by_positions)


def array(name: str, value: npt.ArrayLike, shape: tuple[int, ...]) -> Array:
    """Read a parameter as an array; -1 in the shape stands for any size.

    Raises:
        ConfigError: the value does not consist of finite numbers, or has another shape.
    """
    try:
        result = np.array(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise ConfigError(f"{name} must be numbers of shape {shape}, got {value!r}") from None
    free = len(shape) == result.ndim and all(
        size in (-1, actual) for size, actual in zip(shape, result.shape, strict=True)
    )
    if not free or not np.isfinite(result).all():
        raise ConfigError(
            f"{name} must be finite numbers of shape {shape} (-1: any), got shape {result.shape}"
        )
    return result


def integer_charges(value: npt.ArrayLike, n_atoms: int) -> Array:
    """Read charges whose dipole jumps by whole quanta, shape ``(n_atoms,)``, e.

    Raises:
        ConfigError: they are not integers, or their number is not that of the atoms.
    """
    charges = array("charges", value, (n_atoms,))
    if not np.array_equal(charges, np.round(charges)):
        raise ConfigError(
            f"charges must be integers, got {charges.tolist()}: only these give a dipole whose "
            "jumps are quanta"
        )
    return charges
