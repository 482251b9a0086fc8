"""Find the alpha that scales the spread of each committee of a client.

An alpha in the client file takes precedence over that of the calibration card; without either, it
is 1. Energy, forces and virials of members have the same alpha, as with i-PI's ffcommittee, since
the forces of a member must be the derivative of its energy. It is the alpha of the energies, whose
spread is shown, or that of the forces if no energies were calibrated.
"""

from __future__ import annotations

import logging
from collections.abc import Container, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mlobs_client.client.mace import MaceTable
from mlobs_client.evaluate.card import FILE, Alpha, read_card
from mlobs_client.quantities import QUANTITIES, spread_by_alpha

if TYPE_CHECKING:
    from mlobs_client.client.config import ClientConfig

logger = logging.getLogger(__name__)


def committees(config: ClientConfig, folder: Path) -> Iterator[tuple[str, MaceTable, list[Path]]]:
    """Yield each committee of a client: quantity, table in the client file, and model files.

    Args:
        config: the client file.
        folder: folder of the client file.

    Raises:
        ModelError: a model file is missing.
    """
    from mlobs_client.evaluate.model_files import resolve

    for quantity, table in config.models.items():
        if isinstance(table, MaceTable):
            yield quantity, table, resolve(table.models, folder)


def read_alphas(config: ClientConfig, folder: Path) -> dict[str, Alpha]:
    """Read the alpha of each committee with at least two members, by quantity.

    Args:
        config: the client file.
        folder: folder of the client file.

    Raises:
        ConfigError: a card is damaged.
        ModelError: a model file is missing.
    """
    found = {}
    for quantity, table, paths in committees(config, folder):
        if len(paths) < 2:
            continue
        card = read_card(paths)
        of = calibrated_by(quantity, card)
        known = card.get(of)
        value = table.alpha or (1.0 if known is None else known.alpha)
        found[quantity] = Alpha(value, table.alpha is not None, known, of)
    return found


def calibrated_by(quantity: str, found: Container[str]) -> str:
    """Return the quantity whose alpha scales a committee: its own, or forces if energies have none.

    Args:
        quantity: quantity of the committee.
        found: quantities that were calibrated.
    """
    return "forces" if quantity == "energy" and "energy" not in found else quantity


def report_alphas(alphas: Mapping[str, Alpha], wanted: frozenset[str]) -> None:
    """Log the calibration factors that are used, and warn of spreads that are not calibrated.

    Args:
        alphas: calibration factors alpha of committee spreads, by quantity.
        wanted: names of the observables that are sent, recorded or limited.
    """
    for quantity, alpha in alphas.items():
        row = QUANTITIES[quantity]
        if not wanted & spread_by_alpha(row):
            continue
        if alpha.is_set:
            logger.info("%s: alpha = %g, from the client file", quantity, alpha.value)
        elif alpha.card is not None:
            logger.info(
                "%s: alpha = %.3g +- %.2g, from %s (%s of %d structures of %s)", quantity,
                alpha.value, alpha.card.error, FILE, alpha.of, alpha.card.n_frames, alpha.card.data,
            )  # fmt: skip
        else:
            logger.warning(
                "the spread of [%s] is not calibrated, alpha = 1; mlobs calibrate determines alpha "
                "from labelled structures, or you can set it in this table",
                row.table,
            )
