"""The client for which models are made, and the oxidation numbers of dipoles of any family."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from mlobs_client.structure import Structure
from mlobs_client.tables import Table

if TYPE_CHECKING:
    from mlobs_client.evaluate.card import Alpha
    from mlobs_client.evaluate.evaluation import Evaluator
    from mlobs_client.evaluate.oxidation import OxidationNumbers

logger = logging.getLogger(__name__)


class ClientContext(NamedTuple):
    """The client for which models are made.

    Attributes:
        folder: folder of the client file, to which its paths are relative.
        structure: structure of the client file.
        alphas: calibration factors alpha of committee spreads, by quantity.
        compiles: True if networks are compiled.
        compile_after: time for which networks are used before they are compiled, s; None for about
            as long as a compilation takes.
        batch: number of structures that networks evaluate together; None lets them choose.
    """

    folder: Path
    structure: Structure
    alphas: Mapping[str, Alpha]
    compiles: bool = True
    compile_after: float | None = None
    batch: int | None = None


class OxidationTable(Table):
    """Oxidation numbers of a dipole, for each species or for each atom of the structure."""

    oxidation_numbers: dict[str, int] | tuple[int, ...] | Literal["none"] | None = None

    def integers(self, structure: Structure) -> OxidationNumbers | None:
        """Return the oxidation numbers; None if there are none.

        Args:
            structure: structure of the client file.
        """
        if self.oxidation_numbers is None or self.oxidation_numbers == "none":
            return None
        from mlobs_client.evaluate.oxidation import OxidationNumbers

        return OxidationNumbers(self.oxidation_numbers)

    def check_atoms(self, evaluator: Evaluator, structure: Structure) -> None:
        """Check that the dipole has a meaning for these species and this periodicity.

        Args:
            evaluator: evaluator of the dipole.
            structure: structure of the client file, or another one.

        Raises:
            ConfigError: a species, or an atom, has no oxidation number, but needs one.
        """
        if (numbers := self.integers(structure)) is not None:
            warn_of_charge(numbers, structure)


def warn_of_charge(numbers: OxidationNumbers, structure: Structure) -> None:
    """Warn of oxidation numbers that add up to a charge.

    Args:
        numbers: the oxidation numbers.
        structure: structure of the client file.
    """
    if charge := int(numbers.of(structure).sum()):
        logger.warning(
            "[dipole] oxidation_numbers add up to %+d e for this structure; if the cell is not "
            "charged, correct them",
            charge,
        )
