"""A Morse molecule with a dipole that saturates, for anharmonic infrared spectra."""

from __future__ import annotations

import numpy as np

from mlobs_client.errors import EvaluationError
from mlobs_client.evaluate.jet import Jet, JetEvaluator, strain_derivative
from mlobs_client.structure import Structure
from mlobs_client.units import ANGSTROM, EV


class MorseMolecule(JetEvaluator):
    r"""A diatomic molecule of bond length :math:`r`, in Hartree atomic units.

    .. math::

        E = D\,(1 - e^{-a(r - r_0)})^2, \qquad \mu = q\,(R_2 - R_1)\, e^{-r/s}

    The defaults are those of an OH bond.

    Args:
        depth: well depth D, Eh.
        exponent: a, 1/bohr.
        bond_length: equilibrium bond length r_0, bohr.
        charge: q, e.
        screening_length: decay length s of the dipole, bohr.
    """

    provides = frozenset({"energy", "dipole", "born_charges"})

    def __init__(
        self,
        depth: float = 5.101744 * EV,
        exponent: float = 2.1930272 / ANGSTROM,
        bond_length: float = 0.96966 * ANGSTROM,
        charge: float = 1.0,
        screening_length: float = 3.0,
    ) -> None:
        self._depth = depth
        self._exponent = exponent
        self._bond_length = bond_length
        self._charge = charge
        self._screening_length = screening_length

    def _observe(self, structure: Structure) -> dict[str, Jet]:
        if structure.n_atoms != 2:
            raise EvaluationError(
                f"the Morse molecule has 2 atoms, the structure has {structure.n_atoms}; use "
                "another toy"
            )
        bond = structure.positions[1] - structure.positions[0]
        r = float(np.linalg.norm(bond))
        decay = np.exp(-self._exponent * (r - self._bond_length))
        slope = 2.0 * self._depth * self._exponent * (1.0 - decay) * decay
        gradient = slope / r * np.stack([-bond, bond])

        charge = self._charge * np.exp(-r / self._screening_length)
        by_bond = charge * (np.eye(3) - np.outer(bond, bond) / (r * self._screening_length))
        born_charges = np.stack([-by_bond, by_bond])
        by_positions = np.moveaxis(born_charges, 0, -2)

        R = structure.positions
        energy = np.asarray(self._depth * (1.0 - decay) ** 2)
        return {
            "energy": Jet(energy, gradient, strain_derivative(R, gradient)),
            "dipole": Jet(charge * bond, by_positions, strain_derivative(R, by_positions)),
            "born_charges": Jet(born_charges),
        }
