"""The acoustic sum rule of Born charges, restored where a model does not obey it exactly."""

from __future__ import annotations

import logging
from typing import Final

import numpy as np

from mlobs_client.evaluate.evaluation import Values
from mlobs_client.structure import Structure
from mlobs_client.terms.term import Coupling

logger = logging.getLogger(__name__)

LARGE: Final = 0.01
"""e per atom: what rounding does not do."""


class AcousticSumRule:
    r"""Take off what the Born charges add up to beyond the charge of the cell.

    .. math::

        Z_I \to Z_I - \frac1n \Big(\sum_J Z_J - Q\, 1\Big)

    When all n atoms move together, the dipole changes by the charge Q times the way. Models in
    single precision, and those that know absolute positions, miss this a little; i-PI's
    ``driven_dynamics`` then stops, or the field accelerates the centre of mass.

    This is a term without energy. It says once, of its first structure, how much it has moved.

    Args:
        charge: Q in e, what the oxidation numbers add up to.
    """

    needs: frozenset[str] = frozenset()

    def __init__(self, charge: int = 0) -> None:
        self._charge = charge
        self._has_spoken = False

    def __call__(self, structure: Structure, values: Values) -> Coupling:
        """Change ``born_charges``, where they are evaluated; no energy."""
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
            "sum_rule: elements of the Born charges are moved by at most %.2g e to add up to %d e; "
            "later structures are treated alike",
            moved,
            self._charge,
        )
