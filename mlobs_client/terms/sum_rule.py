"""Restore the acoustic sum rule for Born charges, which few models obey exactly."""

from __future__ import annotations

import logging
from typing import Final

import numpy as np

from mlobs_client.evaluate.evaluation import Values
from mlobs_client.structure import Structure
from mlobs_client.terms.term import Coupling

logger = logging.getLogger(__name__)

LARGE: Final = 0.01
"""Smallest correction that rounding alone does not explain, e per atom."""


class AcousticSumRule:
    r"""Subtract from all Born charges the mean deviation from the acoustic sum rule.

    .. math::

        Z_I \to Z_I - \frac1n \Big(\sum_J Z_J - Q\, 1\Big)

    When all n atoms move together, the dipole changes by the charge Q times the displacement.
    Models in single precision, and those that depend on absolute positions, violate this slightly;
    i-PI's ``driven_dynamics`` then stops, or the field accelerates the centre of mass.

    This is a term without energy. It logs the correction of its first structure.

    Args:
        charge: Q, the sum of the oxidation numbers, e.
    """

    needs: frozenset[str] = frozenset()

    def __init__(self, charge: int = 0) -> None:
        self._charge = charge
        self._has_spoken = False

    def __call__(self, structure: Structure, values: Values) -> Coupling:
        """Correct ``born_charges`` if they are evaluated; the energy is zero.

        Args:
            structure: the structure, atomic units.
            values: its ``born_charges``, shape ``(n_atoms, 3, 3)``, e; or none.
        """
        if "born_charges" not in values:
            return Coupling(0.0, {})
        born_charges = values["born_charges"]
        excess = born_charges.mean(axis=0) - self._charge / structure.n_atoms * np.eye(3)
        if not self._has_spoken:
            self._say(float(np.abs(excess).max()))
        return Coupling(0.0, {}, updated={"born_charges": born_charges - excess})

    def _say(self, moved: float) -> None:
        self._has_spoken = True
        logger.log(
            logging.WARNING if moved > LARGE else logging.INFO,
            "sum_rule: elements of the Born charges change by at most %.2g e to add up to %d e; "
            "later structures are corrected in the same way",
            moved,
            self._charge,
        )
