"""A static, uniform electric field, and a check that positions stay unwrapped in it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

import numpy as np

from mlobs_client.errors import EvaluationError, MissingObservable
from mlobs_client.evaluate.evaluation import Gradient, Values
from mlobs_client.structure import Array, Structure
from mlobs_client.terms.term import Coupling


@dataclass(frozen=True)
class UniformField:
    r"""The energy of the cell in a static, uniform field F.

    .. math::

        E = E_0 - \mu \cdot F - \tfrac12 F \cdot \alpha F

    The last term is included only with ``second_order``, and then in energy, forces and virial
    alike: if the forces lacked the gradient of :math:`\alpha`, the energy would not be conserved.
    Only the symmetric part of :math:`\alpha` contributes to the energy, so only this part induces a
    dipole.

    At second order, ``dipole`` and ``born_charges`` become those in the field,
    :math:`\mu + \alpha F` and its gradient. The dipoles of committee members remain those at zero
    field.

    There are two conditions, which differ under strain: the vector F is fixed or, with a
    ``reference_cell``, the voltages :math:`F \cdot a_i` along the lattice vectors, as with
    electrodes that move with the cell; then F follows the cell. At fixed F, an ion that has moved
    through the cell by a lattice vector changes the virial by the work on its quantum, because its
    path becomes longer under strain; at fixed voltages it does not. The first condition gives the
    "improper", the second the "proper" piezoelectric response.

    Attributes:
        field: shape ``(3,)``, Eh/(e bohr).
        second_order: True if the field polarizes the electrons.
        reference_cell: shape ``(3, 3)``, bohr, lattice vectors are rows; the voltages that
            ``field`` has along them are fixed. None fixes the vector.
    """

    field: Array
    second_order: bool = False
    reference_cell: Array | None = None

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"dipole", "polarizability"} if self.second_order else {"dipole"})

    def __call__(self, structure: Structure, values: Values) -> Coupling:
        """Return the energy and its derivatives for one structure.

        Args:
            structure: the structure, atomic units.
            values: its ``dipole``, shape ``(3,)``, e bohr; with ``second_order`` also its
                ``polarizability``, shape ``(3, 3)``, bohr^3.

        Raises:
            MissingObservable: Born charges in the field need the gradient of the polarizability.
        """
        field = self._field(structure)
        energy = -float(values["dipole"] @ field)
        cotangents = {"dipole": -field}
        if not self.second_order:
            return Coupling(energy, cotangents, self._explicit(structure, values["dipole"]))
        induced = _symmetric(values["polarizability"]) @ field
        energy -= 0.5 * float(induced @ field)
        cotangents["polarizability"] = -0.5 * field[:, None] * field
        dipole = values["dipole"] + induced
        updated = {"dipole": dipole}
        if "born_charges" in values:
            updated["born_charges"] = values["born_charges"] + _induced_charges(values, field)
        return Coupling(energy, cotangents, self._explicit(structure, dipole), updated)

    def _field(self, structure: Structure) -> Array:
        if self.reference_cell is None:
            return self.field
        return np.asarray(np.linalg.solve(structure.cell, self.reference_cell @ self.field))

    def _explicit(self, structure: Structure, dipole: Array) -> Gradient | None:
        """Return the part of the gradient that is due to the change of the field with the cell."""
        if self.reference_cell is None:
            return None
        strain = dipole[:, None] * self._field(structure)
        return Gradient(np.zeros_like(structure.positions), strain)


def _induced_charges(values: Values, field: Array) -> Array:
    if "polarizability_gradient" not in values:
        raise MissingObservable(
            "born_charges with second_order need polarizability_gradient; add it to "
            "[observables], or remove born_charges from there"
        )
    gradient = _symmetric(values["polarizability_gradient"], axes=(1, 2))
    return np.asarray(np.einsum("Iikj,k->Iij", gradient, field))


def _symmetric(tensor: Array, axes: tuple[int, int] = (0, 1)) -> Array:
    return 0.5 * (tensor + np.swapaxes(tensor, *axes))


SAME_TRAJECTORY: Final = 1.0
"""Largest root mean square displacement of atoms between steps or beads of one trajectory, bohr."""

JUMP_TOLERANCE: Final = 0.25
"""Largest deviation of a jump from a whole lattice vector, in lattice vectors."""


class UnwrappedPositions:
    """Refuse structures whose atoms were wrapped back into the cell.

    A multi-valued dipole jumps by e N a when an atom of oxidation number N crosses a face of the
    cell and comes back in on the other side, and the energy in a field jumps with it. i-PI wraps
    positions unless the forcefield has ``pbc='False'``; the protocol does not say whether it did.

    This is a term without energy. It remembers the latest structure of each trajectory. A new
    structure belongs to the trajectory from which it differs by a small motion and whole lattice
    vectors of its atoms; if there are such lattice vectors, atoms were wrapped in between. Beads of
    one ring polymer are as close as two steps, so it matters neither in which order they come nor
    whether other clients answer some of them. Structures of other replicas are too far away to be
    compared, and start a trajectory of their own.

    The check cannot see that positions are wrapped before the first atom crosses a face, but until
    then wrapping does no harm.

    Args:
        memory: number of trajectories to remember, at least the number of replicas that this client
            answers.
    """

    needs: frozenset[str] = frozenset()

    def __init__(self, memory: int = 32) -> None:
        self._latest: deque[Array] = deque(maxlen=memory)  # fractional, last seen first

    def __call__(self, structure: Structure, values: Values) -> Coupling:
        """Check one structure; the energy is zero.

        Args:
            structure: the structure, atomic units.
            values: not used.

        Raises:
            EvaluationError: an atom jumped by about a lattice vector.
        """
        if any(structure.pbc):
            fractional = structure.positions @ np.linalg.pinv(structure.cell)
            for trajectory, latest in enumerate(self._latest):
                if _continues(latest, fractional, structure):
                    del self._latest[trajectory]
                    break
            self._latest.appendleft(fractional)
        return Coupling(0.0, {})


def _continues(latest: Array, fractional: Array, structure: Structure) -> bool:
    """Return whether ``structure`` follows ``latest``; raise if atoms jumped in between."""
    if latest.shape != fractional.shape:
        return False
    change = fractional - latest
    images = np.round(change) * structure.pbc
    motion = (change - images) @ structure.cell
    if np.mean(np.sum(motion**2, axis=1)) > SAME_TRAJECTORY**2:
        return False
    jumped = np.argwhere((images != 0) & (np.abs(change - images) < JUMP_TOLERANCE))
    if len(jumped):
        atom, vector = (int(index) for index in jumped[0])
        raise EvaluationError(
            f"atom {atom} jumped by {images[atom, vector]:+.0f} lattice vector {vector}: i-PI or "
            "you wrapped the positions, but the dipole needs them unwrapped; write pbc='False' on "
            "the <ffsocket> of this client, or in ASE call calc.reset() after atoms.wrap()"
        )
    return True
