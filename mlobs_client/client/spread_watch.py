"""Warn of structures for which the spread far exceeds all spreads of the calibration.

Such a structure is unlike those of the calibration, for which alpha was determined. Spreads of
forces and virials are not compared; if the energies are not calibrated, a warning says so at the
start.
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
"""A warning is logged if a spread exceeds the largest one of the calibration by this factor. A run
has more structures than a calibration, and the spread of few members is noisy: with four members,
it sooner or later exceeds the largest spread of twenty structures, but exceeds twice that spread
only for one structure in a million."""


class SpreadWatch:
    """Warns, once for each quantity, of spreads far larger than those of the calibrations.

    Attributes:
        watched: alpha and card of the quantities for which there has been no warning yet.

    Args:
        alphas: calibration factors alpha of committee spreads, by quantity. Quantities without a
            card are not watched. A card for forces alone has no spreads of energies to compare
            with, which is logged as a warning.
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
                    "only; calibrate with labels of the %s to be warned of unfamiliar structures",
                    quantity, alpha.of, quantity,
                )  # fmt: skip

    def needs(self, evaluated: frozenset[str]) -> frozenset[str]:
        """Return the observables with the spreads to check; evaluating them takes no extra time.

        Args:
            evaluated: observables that are evaluated anyway; the energy always is.
        """
        return frozenset(
            _shown(QUANTITIES[quantity])
            for quantity in self.watched
            if quantity == "energy" or quantity in evaluated
        )

    def check(self, observables: Mapping[str, Array], n_atoms: int) -> None:
        """Warn if a spread far exceeds the largest one of the calibration.

        Args:
            observables: observables of one structure by name, with their shapes and Hartree atomic
                units; spreads and members are scaled by alpha.
            n_atoms: number of atoms of the structure.
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
                    "%s: the members differ by %.3g %s (without alpha, for %.0f atoms), but the "
                    "largest spread of the calibration was %.3g: structures like this one were "
                    "not in %s, and the true error may be many times the spread that is shown",
                    quantity, spread, card.unit, card.n_atoms, card.largest_spread, card.data,
                )  # fmt: skip


def _shown(row: Quantity) -> str:
    """Return the observable that contains the spread of a quantity."""
    return row.spread or row.members


def _pooled(row: Quantity, values: Array) -> float:
    """Return the spread of a structure, as in :class:`mlobs_client.analysis.calibration.Errors`."""
    if row.spread:
        return float(values)
    members = symmetric_components(values) if row.is_symmetric else values
    return float(np.sqrt(np.var(members, axis=0, ddof=1).mean()))
