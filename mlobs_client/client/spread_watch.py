"""A warning where members differ by more than they ever did on the structures of a calibration.

There alpha was never tested: the structure is unlike those that the committee was calibrated on.
Forces and virials are not compared: where energies are not calibrated, this is said at the start.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Final

import numpy as np

from mlobs_client.evaluate.card import Alpha
from mlobs_client.quantities import QUANTITIES, Quantity, symmetric_components
from mlobs_client.structure import Array

logger = logging.getLogger(__name__)

MARGIN: Final = 2.0
"""Times the largest spread of the calibration. A run has more structures than a calibration, and
the spread of few members is noisy: that of four would exceed the largest of twenty sooner or
later, but twice of it in one of a million structures."""


class SpreadWatch:
    """Compares spreads with those of the calibrations, and warns once for each quantity.

    Attributes:
        watched: alpha and card of the quantities that were not warned of yet.

    Args:
        alphas: of a client; quantities without a card are not watched. A card of forces alone
            does not tell how large spreads of energies may be: it is warned of here.
    """

    def __init__(self, alphas: Mapping[str, Alpha]) -> None:
        self.watched = {
            quantity: (alpha.value, alpha.card)
            for quantity, alpha in alphas.items()
            if alpha.card is not None and alpha.of == quantity
        }
        for quantity, alpha in alphas.items():
            if alpha.card is not None and alpha.of != quantity:
                logger.warning(
                    "%s: spreads are not compared with those of the calibration, which had %s "
                    "only; calibrate with labels of the %s to be warned of structures unlike them",
                    quantity, alpha.of, quantity,
                )  # fmt: skip

    def needs(self, evaluated: frozenset[str]) -> frozenset[str]:
        """Observables to evaluate as well: they cost nothing where the quantity is evaluated.

        Args:
            evaluated: observables that are evaluated anyway; the energy always is.
        """
        return frozenset(
            _shown(QUANTITIES[quantity])
            for quantity in self.watched
            if quantity == "energy" or quantity in evaluated
        )

    def check(self, observables: Mapping[str, Array], n_atoms: int) -> None:
        """Warn where a spread is far beyond the largest one that was seen.

        Args:
            observables: of one structure, atomic units, with alpha in them.
            n_atoms: of the structure.
        """
        for quantity, (alpha, card) in list(self.watched.items()):
            row = QUANTITIES[quantity]
            name = _shown(row)
            if name not in observables:
                continue
            spread = _pooled(row, observables[name]) / (row.to_users.factor * alpha)
            spread *= np.sqrt(card.n_atoms / n_atoms)
            if spread > MARGIN * card.largest_spread:
                del self.watched[quantity]
                logger.warning(
                    "%s: the members differ by %.3g %s (alpha not in it, for %.0f atoms), where "
                    "the largest spread of the calibration was %.3g: structures like this one were "
                    "not in %s, and the true error may be many times the spread that is shown",
                    quantity, spread, card.unit, card.n_atoms, card.largest_spread, card.data,
                )  # fmt: skip


def _shown(row: Quantity) -> str:
    """The observable that has the spread of a quantity."""
    return row.spread or row.members


def _pooled(row: Quantity, values: Array) -> float:
    """Spread of one structure, as in :class:`mlobs_client.analysis.calibration.Errors`."""
    if row.spread:
        return float(values)
    members = symmetric_components(values) if row.is_symmetric else values
    return float(np.sqrt(np.var(members, axis=0, ddof=1).mean()))
