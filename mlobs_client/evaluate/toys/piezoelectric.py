"""Ions in an elastic lattice, the simplest crystal that a field deforms."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mlobs_client.evaluate.jet import Jet, JetEvaluator, fixed_charges, strain_derivative
from mlobs_client.evaluate.toys.sites import Sites, array, integer_charges
from mlobs_client.structure import Array, Structure


class PiezoelectricCrystal(JetEvaluator):
    r"""Integer charges in harmonic wells about the sites of an elastic lattice.

    .. math::

        E &= V_0 \big[\tfrac12 B\, (\mathrm{tr}\, \eta)^2 + G\, \eta' : \eta'\big]
            + \tfrac12 K (1 + g\, \mathrm{tr}\, \eta) \sum_I |u_I|^2 \\
        \mu &= \sum_I N_I R_I

    with the displacements u of the atoms from the sites, which follow the cell h, the strain
    :math:`\eta = \tfrac12 (F F^T - 1)`, :math:`F = h_0^{-1} h`, and its traceless part
    :math:`\eta'`. The dipole of the sites grows with the cell, which is the piezoelectric effect;
    springs that soften when the cell grows (g < 0) add electrostriction. All quantities are in
    Hartree atomic units.

    Args:
        sites: shape ``(n_atoms, 3)``, bohr, in the reference cell.
        charges: shape ``(n_atoms,)``, integers N, e.
        reference_cell: shape ``(3, 3)``, bohr, lattice vectors are rows: h_0.
        bulk_modulus: B, Eh/bohr^3.
        shear_modulus: G, Eh/bohr^3.
        spring_constant: K, Eh/bohr^2.
        softening: g; 1 + g tr(eta) has to stay positive.

    Raises:
        ConfigError: shapes are wrong, or charges are not integers.
    """

    provides = frozenset({"energy", "dipole", "born_charges"})

    def __init__(
        self,
        sites: npt.ArrayLike,
        charges: npt.ArrayLike,
        reference_cell: npt.ArrayLike,
        bulk_modulus: float,
        shear_modulus: float,
        spring_constant: float,
        softening: float = 0.0,
    ) -> None:
        self._sites = Sites(sites, reference_cell)
        self._charges = integer_charges(charges, len(self._sites.positions))
        self._reference = array("reference_cell", reference_cell, (3, 3))
        self._moduli = (bulk_modulus, shear_modulus)
        self._spring_constant = spring_constant
        self._softening = softening

    def free_energy(self, cell: Array, thermal_energy: float, field: Array) -> float:
        r"""Return the exact classical free energy of the ions in a field, at a fixed cell, Eh.

        .. math::

            F = E_{el} - \mu_{sites} \cdot E - \frac{E^2}{2 k} \sum_I N_I^2
                + \tfrac32 n k_B T \ln k, \qquad k = K (1 + g\,\mathrm{tr}\,\eta),

        up to a constant. The distribution of the cell in a run at constant pressure p is
        exp(-(F + p V)/kT).

        Args:
            cell: shape ``(3, 3)``, bohr, lattice vectors are rows.
            thermal_energy: k_B T, Eh; 0 gives the minimum of the energy in the field.
            field: shape ``(3,)``, Eh/(e bohr).
        """
        deformation = self._deformation(cell)
        elastic, _ = self._elastic(deformation)
        stiffness = self._stiffness(deformation)
        dipole = self._charges @ (self._sites.positions @ deformation)
        induced = float(self._charges @ self._charges * (field @ field))
        return float(
            elastic
            - dipole @ field
            - 0.5 * induced / (self._spring_constant * stiffness)
            + 1.5 * len(self._charges) * thermal_energy * np.log(stiffness)
        )

    def _observe(self, structure: Structure) -> dict[str, Jet]:
        u = self._sites.displacements(structure)
        deformation = self._deformation(structure.cell)
        elastic, stress = self._elastic(deformation)
        harmonic = 0.5 * self._spring_constant * float(np.sum(u * u))
        stress += harmonic * self._softening * np.eye(3)
        stiffness = self._stiffness(deformation)
        gradient = self._spring_constant * stiffness * u
        by_strain = deformation.T @ stress @ deformation + strain_derivative(u, gradient)
        return {
            "energy": Jet(np.asarray(elastic + stiffness * harmonic), gradient, by_strain),
            **fixed_charges(self._charges, structure.positions),
        }

    def _deformation(self, cell: Array) -> Array:
        return np.asarray(np.linalg.solve(self._reference, cell))

    def _stiffness(self, deformation: Array) -> float:
        return 1.0 + self._softening * float(np.trace(_strain(deformation)))

    def _elastic(self, deformation: Array) -> tuple[float, Array]:
        """Return the elastic energy, and its derivative with respect to eta."""
        bulk, shear = self._moduli
        volume = abs(float(np.linalg.det(self._reference)))
        strain = _strain(deformation)
        trace = float(np.trace(strain))
        traceless = strain - trace / 3.0 * np.eye(3)
        energy = volume * (0.5 * bulk * trace**2 + shear * float(np.sum(traceless**2)))
        return energy, volume * (bulk * trace * np.eye(3) + 2.0 * shear * traceless)


def _strain(deformation: Array) -> Array:
    return np.asarray(0.5 * (deformation @ deformation.T - np.eye(3)))
