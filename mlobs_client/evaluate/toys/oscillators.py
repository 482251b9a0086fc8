"""Integer charges in anharmonic wells, with the simplest multi-valued dipole."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mlobs_client.errors import ConfigError
from mlobs_client.evaluate.jet import Jet, JetEvaluator, fixed_charges
from mlobs_client.evaluate.toys.sites import Sites, array, integer_charges
from mlobs_client.structure import Array, Structure


class ChargedOscillators(JetEvaluator):
    r"""Particles with integer charges :math:`N_I`, each in a polynomial well about its site.

    .. math::

        E &= \sum_I \tfrac12 u_I K u_I + c\, u_{Ix} u_{Iy} u_{Iz} + q\, |u_I|^4 \\
        \mu &= \sum_I N_I R_I \\
        \alpha &= \sum_I \alpha_0 + \alpha_1 u_I + \tfrac12 \alpha_2 |u_I|^2

    with the displacements :math:`u_I` from the sites. The dipole depends on the positions only: an
    atom that moves by a lattice vector :math:`a` changes it by :math:`N_I a`, but changes no other
    observable. All quantities are in Hartree atomic units.

    Args:
        sites: shape ``(n_atoms, 3)``, bohr.
        charges: shape ``(n_atoms,)``, integers, e.
        spring_constant: K, Eh/bohr^2, a number or a symmetric matrix of shape ``(3, 3)``.
        cubic: c, Eh/bohr^3.
        quartic: q, Eh/bohr^4; it must be large enough for bound wells.
        polarizability: alpha_0, shape ``(3, 3)``, bohr^3.
        polarizability_slope: alpha_1, shape ``(3, 3, 3)``, bohr^2, last axis is the displacement.
        polarizability_curvature: alpha_2, shape ``(3, 3)``, bohr.
        reference_cell: shape ``(3, 3)``, bohr, lattice vectors are rows; with it, the sites follow
            the cell, and the energy has a strain derivative; None pins the sites in space.

    Raises:
        ConfigError: shapes are wrong, or charges are not integers.
    """

    provides = frozenset(
        {"energy", "dipole", "born_charges", "polarizability", "polarizability_gradient"}
    )

    def __init__(
        self,
        sites: npt.ArrayLike,
        charges: npt.ArrayLike,
        spring_constant: npt.ArrayLike = 0.1,
        cubic: float = 0.0,
        quartic: float = 0.0,
        polarizability: npt.ArrayLike = ((0.0,) * 3,) * 3,
        polarizability_slope: npt.ArrayLike = (((0.0,) * 3,) * 3,) * 3,
        polarizability_curvature: npt.ArrayLike = ((0.0,) * 3,) * 3,
        reference_cell: npt.ArrayLike | None = None,
    ) -> None:
        self._sites = Sites(sites, reference_cell)
        self._charges = integer_charges(charges, len(self._sites.positions))
        if np.ndim(spring_constant) == 0:
            spring_constant = np.asarray(spring_constant) * np.eye(3)
        self._springs = array("spring_constant", spring_constant, (3, 3))
        if not np.array_equal(self._springs, self._springs.T):
            raise ConfigError("spring_constant must be a number or a symmetric matrix")
        self._cubic = cubic
        self._quartic = quartic
        self._alpha_0 = array("polarizability", polarizability, (3, 3))
        self._alpha_1 = array("polarizability_slope", polarizability_slope, (3, 3, 3))
        self._alpha_2 = array("polarizability_curvature", polarizability_curvature, (3, 3))

    def _observe(self, structure: Structure) -> dict[str, Jet]:
        u = self._sites.displacements(structure)
        energy, gradient = self._energy(u)
        alpha, alpha_gradient = self._polarizability(u)
        return {
            "energy": self._jet(u, energy, gradient),
            **fixed_charges(self._charges, structure.positions),
            "polarizability": self._jet(u, alpha, np.moveaxis(alpha_gradient, 0, -2)),
            "polarizability_gradient": Jet(alpha_gradient),
        }

    def _energy(self, u: Array) -> tuple[Array, Array]:
        products = u[:, [1, 2, 0]] * u[:, [2, 0, 1]]  # yz, zx, xy
        squared = np.sum(u * u, axis=1)
        harmonic = u @ self._springs
        energy = (
            0.5 * np.sum(harmonic * u)
            + self._cubic * np.sum(products[:, 0] * u[:, 0])
            + self._quartic * np.sum(squared**2)
        )
        gradient = harmonic + self._cubic * products + 4.0 * self._quartic * squared[:, None] * u
        return np.asarray(energy), gradient

    def _polarizability(self, u: Array) -> tuple[Array, Array]:
        linear = np.einsum("ikj,Ij->ik", self._alpha_1, u)
        value = len(u) * self._alpha_0 + linear + 0.5 * self._alpha_2 * np.sum(u * u)
        gradient = self._alpha_1[None] + np.einsum("ik,Ij->Iikj", self._alpha_2, u)
        return value, gradient

    def _jet(self, u: Array, value: Array, by_positions: Array) -> Jet:
        return Jet(value, by_positions, self._sites.strain_derivative(u, by_positions))
