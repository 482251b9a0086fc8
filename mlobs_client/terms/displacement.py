"""A fixed electric displacement, as in an open circuit; a closed circuit fixes the field."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from mlobs_client.evaluate.evaluation import Gradient, Values
from mlobs_client.structure import Array, Structure
from mlobs_client.terms.field import UniformField
from mlobs_client.terms.term import Coupling

FOUR_PI: Final = 4.0 * np.pi


@dataclass(frozen=True)
class FixedDisplacement:
    r"""The enthalpy at a fixed electric displacement D, with the polarization :math:`P = \mu/V`.

    .. math::

        U(D, R, h) = E_0(R, h) + \frac{V}{8\pi} |D - 4\pi P|^2

    Units are Hartree atomic units with the Gaussian D, :math:`D = E + 4\pi P`, which is the D of SI
    divided by :math:`\epsilon_0`: D has the unit of a field, and without polarization it equals the
    field. The field that acts on the atoms, :math:`E = D - 4\pi P`, follows their dipole, and the
    forces are those of :class:`UniformField` at this E.

    With ``second_order`` the electrons screen as well: :math:`P = (\mu + \alpha E)/V`, so that
    :math:`E = (1 + 4\pi\alpha/V)^{-1} (D - 4\pi\mu/V)`, and

    .. math::

        U = E_0 + \frac{V}{8\pi} E \cdot (D - 4\pi\mu/V).

    ``dipole`` and ``born_charges`` are then those in the field E, as in :class:`UniformField`.

    P is computed from the positions as they are. An ion that moves through the cell by a lattice
    vector a has carried the charge N e from one side to the other: P changes by e N a/V, and E with
    it. Other branches of the dipole are therefore different states, with different forces. The
    branch is that of the first structure, and the positions have to stay unwrapped; the term has no
    memory.

    There are two conditions, which differ under strain: the vector D is fixed or, with a
    ``reference_cell``, the flux of D through the faces of the cell, which is the free charge on the
    plates of a capacitor that is deformed. Then D = (V_0/V) D_0 h_0^{-1} h, with the lattice
    vectors as rows of h.

    Attributes:
        displacement: shape ``(3,)``, D in atomic units of a field, Eh/(e bohr).
        second_order: True if the field polarizes the electrons.
        reference_cell: shape ``(3, 3)``, bohr, lattice vectors are rows; the flux that
            ``displacement`` has through the faces of this cell is fixed. None fixes the vector.
        is_fixed: for each Cartesian axis, True if D is fixed along it; E is zero along the others.
            With a ``reference_cell`` all are True.

    Source:
        Stengel, Spaldin, Vanderbilt, Nature Physics 5, 304 (2009); for molecular dynamics Zhang and
        Sprik, Phys. Rev. B 93, 144201 (2016).
    """

    displacement: Array
    second_order: bool = False
    reference_cell: Array | None = None
    is_fixed: tuple[bool, bool, bool] = (True, True, True)

    @property
    def needs(self) -> frozenset[str]:
        return UniformField(self.displacement, self.second_order).needs

    def __call__(self, structure: Structure, values: Values) -> Coupling:
        """Return the energy and its derivatives for one structure, which has to be periodic.

        Args:
            structure: the structure, atomic units.
            values: its ``dipole``, shape ``(3,)``, e bohr; with ``second_order`` also its
                ``polarizability``, shape ``(3, 3)``, bohr^3.

        Raises:
            MissingObservable: Born charges in the field need the gradient of the polarizability.
        """
        volume = structure.volume
        displacement = self._displacement(structure)
        field = self.field(structure, values)
        in_field = UniformField(field, self.second_order)(structure, values)
        # Legendre: U + mu.E + E.alpha.E/2 is a function of the cell only, where E is stationary
        squared = volume / (2.0 * FOUR_PI) * float(field @ field)
        work = volume / FOUR_PI * np.outer(displacement, field)
        strain = -squared * np.eye(3)
        strain += np.eye(3) * np.trace(work) if self.reference_cell is None else work
        return Coupling(
            in_field.energy + float(np.trace(work)) - squared,
            in_field.cotangents,
            Gradient(np.zeros_like(structure.positions), strain),
            in_field.updated,
        )

    def field(self, structure: Structure, values: Values) -> Array:
        """Return the field E that acts on the atoms, shape ``(3,)``, Eh/(e bohr).

        Args:
            structure: as for a call.
            values: as for a call.
        """
        per_volume = FOUR_PI / structure.volume
        field = self._displacement(structure) - per_volume * values["dipole"]
        axes = np.flatnonzero(self.is_fixed)
        if self.second_order:
            alpha = values["polarizability"]
            screening = np.eye(3) + per_volume * 0.5 * (alpha + alpha.T)
            field[axes] = np.linalg.solve(screening[np.ix_(axes, axes)], field[axes])
        return np.where(self.is_fixed, field, 0.0)

    def _displacement(self, structure: Structure) -> Array:
        reference = self.reference_cell
        if reference is None:
            return self.displacement
        flux = abs(np.linalg.det(reference)) * np.linalg.solve(reference.T, self.displacement)
        return np.asarray(flux @ structure.cell / structure.volume)
