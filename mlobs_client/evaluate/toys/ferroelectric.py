"""A ferroelectric ionic crystal with two polarization states and a multi-valued dipole."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mlobs_client.errors import ConfigError
from mlobs_client.evaluate.jet import Jet, JetEvaluator, strain_derivative
from mlobs_client.evaluate.toys.sites import Sites, array, integer_charges
from mlobs_client.structure import Array, Structure


class FerroelectricCrystal(JetEvaluator):
    r"""An ionic crystal in which some ions have a double well along one direction.

    .. math::

        E &= \sum_{I} \tfrac12 K |u_I^{\perp}|^2
             + \sum_{I\,\mathrm{polar}} B \left[ (s_I/s_0)^2 - 1 \right]^2
             + \sum_{I\,\mathrm{other}} \tfrac12 K s_I^2, \qquad s_I = \hat n \cdot u_I \\
        \mu &= \sum_I N_I R_I + (Z_I - N_I)\, u_I

    with the displacements :math:`u_I` from the sites. An ion that moves by a lattice vector
    :math:`a` changes the dipole by :math:`N_I a`; a displacement about its site by :math:`u`
    changes it by :math:`Z_I u`. From one minimum to the other the dipole changes by
    :math:`2 s_0 \sum Z_I \hat n`, which is not a quantum. A field E along n reverses the
    polarization if :math:`Z E > 8 B / (3 \sqrt 3 s_0)`. All quantities are in Hartree atomic units.

    Args:
        sites: shape ``(n_atoms, 3)``, bohr.
        charges: N, shape ``(n_atoms,)``, integers, e.
        polar: indices of the atoms with a double well, shape ``(n_polar,)``.
        minimum: distance s_0 of the minima from the site, bohr.
        barrier: B, Eh.
        spring_constant: K, Eh/bohr^2.
        direction: n, shape ``(3,)``, of any length and unit.
        born_charges: Z, shape ``(n_atoms,)``, e; by default the integers.
        reference_cell: shape ``(3, 3)``, bohr, lattice vectors are rows; with it, the sites follow
            the cell, and the energy has a strain derivative; None pins the sites in space.

    Raises:
        ConfigError: shapes are wrong, charges are not integers, or ``polar`` has an index twice or
            an index of no atom.
    """

    provides = frozenset({"energy", "dipole", "born_charges"})

    def __init__(
        self,
        sites: npt.ArrayLike,
        charges: npt.ArrayLike,
        polar: npt.ArrayLike,
        minimum: float = 0.4,
        barrier: float = 0.002,
        spring_constant: float = 0.1,
        direction: npt.ArrayLike = (0.0, 0.0, 1.0),
        born_charges: npt.ArrayLike | None = None,
        reference_cell: npt.ArrayLike | None = None,
    ) -> None:
        self._sites = Sites(sites, reference_cell)
        n_atoms = len(self._sites.positions)
        self._charges = integer_charges(charges, len(self._sites.positions))
        self._born = array("born_charges", charges if born_charges is None else born_charges,
                           (n_atoms,))  # fmt: skip
        self._polar = np.isin(np.arange(n_atoms), polar)
        if np.count_nonzero(self._polar) != np.size(polar):
            raise ConfigError(
                f"polar = {np.asarray(polar).tolist()}: must be indices of different atoms, from 0 "
                f"to {n_atoms - 1}"
            )
        along = array("direction", direction, (3,))
        self._direction = along / np.linalg.norm(along)
        self._minimum = minimum
        self._barrier = barrier
        self._spring_constant = spring_constant

    def _observe(self, structure: Structure) -> dict[str, Jet]:
        u = self._sites.displacements(structure)
        energy, gradient = self._energy(u)
        learned = self._born - self._charges
        value = self._charges @ structure.positions + learned @ u
        by_images, by_displacements = (
            np.moveaxis(charges[:, None, None] * np.eye(3), 0, -2)
            for charges in (self._charges, learned)
        )
        by_strain = self._sites.strain_derivative(u, by_displacements)
        if by_strain is not None:
            by_strain = by_strain + strain_derivative(structure.positions, by_images)
        return {
            "energy": Jet(energy, gradient, self._sites.strain_derivative(u, gradient)),
            "dipole": Jet(value, by_images + by_displacements, by_strain),
            "born_charges": Jet(self._born[:, None, None] * np.eye(3)),
        }

    def _energy(self, u: Array) -> tuple[Array, Array]:
        along = u @ self._direction
        harmonic = self._spring_constant * u
        harmonic[self._polar] -= self._spring_constant * np.outer(
            along[self._polar], self._direction
        )
        y = along[self._polar] / self._minimum
        wells = self._barrier * (y**2 - 1.0) ** 2
        slopes = 4.0 * self._barrier / self._minimum * (y**3 - y)
        gradient = harmonic.copy()
        gradient[self._polar] += np.outer(slopes, self._direction)
        return np.asarray(0.5 * np.sum(harmonic * u) + np.sum(wells)), gradient
