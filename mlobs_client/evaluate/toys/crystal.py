"""A harmonic crystal with linear dipole and polarizability, which is solved exactly."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mlobs_client.errors import ConfigError, EvaluationError
from mlobs_client.evaluate.jet import Jet, JetEvaluator
from mlobs_client.evaluate.toys.sites import Sites, array
from mlobs_client.structure import Array, Structure


class HarmonicCrystal(JetEvaluator):
    r"""A harmonic crystal with constant Born charges and Raman tensors.

    .. math::

        E = \tfrac12 u H u, \qquad \mu = \mu_0 + Z u, \qquad \alpha = \alpha_0 + G u,

    with the displacements :math:`u` of the atoms from their sites, in Hartree atomic units.
    Born charges need not be integers: this dipole is single-valued under periodic boundaries.

    Args:
        sites: shape ``(n_atoms, 3)``, bohr.
        hessian: shape ``(3 n_atoms, 3 n_atoms)``, Eh/bohr^2, symmetric.
        born_charges: shape ``(n_atoms, 3, 3)``, e, [I,i,j] = d dipole_i/d R_Ij; None for a
            crystal without dipole.
        dipole: mu_0, shape ``(3,)``, e bohr.
        polarizability: alpha_0, shape ``(3, 3)``, bohr^3.
        polarizability_gradient: shape ``(n_atoms, 3, 3, 3)``, bohr^2,
            [I,i,k,j] = d alpha_ik/d R_Ij; None for a crystal without polarizability.
        reference_cell: shape ``(3, 3)``, bohr, lattice vectors are rows; with it, the sites follow
            the cell, and the energy has a strain derivative; None pins the sites in space.

    Raises:
        ConfigError: wrong shapes, or a Hessian that is not symmetric.
    """

    def __init__(
        self,
        sites: npt.ArrayLike,
        hessian: npt.ArrayLike,
        born_charges: npt.ArrayLike | None = None,
        dipole: npt.ArrayLike = (0.0, 0.0, 0.0),
        polarizability: npt.ArrayLike = ((0.0,) * 3,) * 3,
        polarizability_gradient: npt.ArrayLike | None = None,
        reference_cell: npt.ArrayLike | None = None,
    ) -> None:
        self._sites = Sites(sites, reference_cell)
        n_atoms = len(self._sites.positions)
        self._hessian = array("hessian", hessian, (3 * n_atoms, 3 * n_atoms))
        if not np.allclose(self._hessian, self._hessian.T, rtol=1e-10, atol=1e-14):
            raise ConfigError("hessian must be symmetric; average it with its transpose")
        self._dipole = array("dipole", dipole, (3,))
        self._polarizability = array("polarizability", polarizability, (3, 3))
        self._born_charges = self._polarizability_gradient = None
        provides = {"energy"}
        if born_charges is not None:
            self._born_charges = array("born_charges", born_charges, (n_atoms, 3, 3))
            provides |= {"dipole", "born_charges"}
        if polarizability_gradient is not None:
            self._polarizability_gradient = array(
                "polarizability_gradient", polarizability_gradient, (n_atoms, 3, 3, 3)
            )
            provides |= {"polarizability", "polarizability_gradient"}
        self.provides = frozenset(provides)

    def _observe(self, structure: Structure) -> dict[str, Jet]:
        u = self._sites.displacements(structure)
        gradient = (self._hessian @ u.ravel()).reshape(u.shape)
        jets = {"energy": self._jet(u, np.asarray(0.5 * np.sum(gradient * u)), gradient)}
        if self._born_charges is not None:
            value = self._dipole + np.einsum("Iij,Ij->i", self._born_charges, u)
            jets["dipole"] = self._jet(u, value, np.moveaxis(self._born_charges, 0, -2))
            jets["born_charges"] = Jet(self._born_charges)
        if self._polarizability_gradient is not None:
            slope = self._polarizability_gradient
            value = self._polarizability + np.einsum("Iikj,Ij->ik", slope, u)
            jets["polarizability"] = self._jet(u, value, np.moveaxis(slope, 0, -2))
            jets["polarizability_gradient"] = Jet(slope)
        return jets

    def _jet(self, u: Array, value: Array, by_positions: Array) -> Jet:
        return Jet(value, by_positions, self._sites.strain_derivative(u, by_positions))

    def angular_frequencies(self, masses: npt.ArrayLike) -> Array:
        """Return the frequencies of the modes, shape ``(3 n_atoms,)``, rad/atu, in ascending order.

        Args:
            masses: shape ``(n_atoms,)``, electron masses.

        Raises:
            EvaluationError: a mode is unstable.
        """
        weights = np.repeat(1.0 / np.sqrt(np.asarray(masses, dtype=np.float64)), 3)
        squared = np.linalg.eigvalsh(self._hessian * np.outer(weights, weights))
        if squared[0] <= 0.0:
            raise EvaluationError(
                f"the lowest mode has the squared frequency {squared[0]:.3g}, so this crystal is "
                "unstable; its hessian must be positive definite"
            )
        return np.sqrt(squared)

    def free_energy(
        self, masses: npt.ArrayLike, thermal_energy: float, n_beads: int | None = None
    ) -> float:
        r"""Return the exact free energy of this crystal, or of its ring polymers, Eh.

        A ring polymer of harmonic modes is harmonic, with the squared frequencies
        :math:`\omega^2 + (2 P k_B T \sin(\pi k/P))^2`.

        Args:
            masses: shape ``(n_atoms,)``, electron masses.
            thermal_energy: k_B T, Eh.
            n_beads: number of beads of the ring polymer; 1 gives the classical result, None the
                quantum one.
        """
        omega = self.angular_frequencies(masses)
        if n_beads is None:
            x = omega / thermal_energy
            return float(thermal_energy * np.sum(0.5 * x + np.log1p(-np.exp(-x))))
        bead_energy = n_beads * thermal_energy
        springs = 2.0 * bead_energy * np.sin(np.pi * np.arange(n_beads) / n_beads)
        squared = omega[:, None] ** 2 + springs[None, :] ** 2
        return float(0.5 * thermal_energy * np.sum(np.log(squared / bead_energy**2)))


def random_crystal(structure: Structure, seed: int = 0) -> HarmonicCrystal:
    """Make a crystal with random tensors that are not symmetric, for tests.

    Args:
        structure: positions of the sites. If it has a cell, the sites follow the cell, and the
            energy has a strain derivative.
        seed: seed of the random numbers.
    """
    random = np.random.default_rng(seed)
    n_atoms = structure.n_atoms
    root = random.normal(size=(3 * n_atoms, 3 * n_atoms)) * 0.3 / np.sqrt(3 * n_atoms)
    return HarmonicCrystal(
        sites=structure.positions,
        hessian=root @ root.T + 0.05 * np.eye(3 * n_atoms),
        born_charges=random.normal(size=(n_atoms, 3, 3)),
        dipole=random.normal(size=3),
        polarizability=random.normal(size=(3, 3)) + 10.0 * np.eye(3),
        polarizability_gradient=random.normal(size=(n_atoms, 3, 3, 3)),
        reference_cell=structure.cell if structure.volume > 1e-6 else None,
    )
