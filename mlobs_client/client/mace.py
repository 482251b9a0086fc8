"""Models with kind = "mace" in a client file: committees of MACE networks in one evaluator."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from mlobs_client.client.family import ClientContext, OxidationTable
from mlobs_client.client.precision import compare
from mlobs_client.errors import ConfigError, ModelError
from mlobs_client.evaluate.evaluation import Evaluator, Precision
from mlobs_client.quantities import QUANTITIES, Quantity, of_one_committee
from mlobs_client.structure import Structure
from mlobs_client.tables import Table

if TYPE_CHECKING:
    from mlobs_client.evaluate.committee import Committee
    from mlobs_client.evaluate.compile.background import Background
    from mlobs_client.evaluate.mace.evaluator import MaceEvaluator, Modules, Setting
    from mlobs_client.evaluate.oxidation import OxidationNumbers

logger = logging.getLogger(__name__)


class MaceTable(Table):
    """Settings that all MACE committees have: files, calibration, precision and device.

    ``alpha`` scales the deviations of the members from their mean, and so the spread (Imbalzano et
    al., J. Chem. Phys. 154, 074102 (2021)). By default, it is read from ``calibration.json``, which
    ``mlobs calibrate`` writes into the folder of the models; without this file, it is 1.
    """

    kind: Literal["mace"]
    models: tuple[str, ...] = Field(min_length=1)
    alpha: float | None = Field(default=None, gt=0.0)
    dtype: Precision = "float64"
    device: str = "cpu"

    def gives(self, row: Quantity) -> frozenset[str]:
        """Return the observables that models of this quantity may give."""
        return of_one_committee(row)


class MacePotential(MaceTable):
    """[potential] with kind = "mace": a committee of energy models."""

    def committee(
        self, networks: Modules, alpha: float, how: Setting, context: ClientContext
    ) -> Committee:
        """Make a committee of the networks, with this alpha."""
        from mlobs_client.evaluate.mace.evaluator import potential

        return potential(networks, alpha=alpha, setting=how)


class MaceDipole(OxidationTable, MaceTable):
    """[dipole] with kind = "mace": a committee of models of the (multi-valued) dipole.

    ``oxidation_numbers`` are integers for each species, or for each atom in the order of the
    structure. A periodic structure needs them, or "none" if no charge ever moves through the cell.
    """

    unit: Literal["e*angstrom", "debye", "atomic_unit"] = "e*angstrom"

    def integers(self, structure: Structure) -> OxidationNumbers | None:
        """Return the oxidation numbers; None if there are none, and none are needed.

        Args:
            structure: structure of the client file.

        Raises:
            ConfigError: a periodic structure needs them.
        """
        if self.oxidation_numbers is None and any(structure.pbc):
            raise ConfigError(
                "[dipole] of a periodic structure has no oxidation_numbers: without an integer for "
                "each atom, an ion that moves through the cell carries no charge, so a field does "
                "no work on it and spectra miss its current; write for example oxidation_numbers = "
                '{ O = -2, H = 1 }, or "none" if only neutral molecules move'
            )
        return super().integers(structure)

    def check_atoms(self, evaluator: Evaluator, structure: Structure) -> None:
        """Check that the dipole has a meaning for these species and this periodicity.

        A dipole that jumps by anything but its quanta has no meaning in a field or a spectrum.

        Args:
            evaluator: evaluator of the dipole.
            structure: structure of the client file, or another one.

        Raises:
            ConfigError: a species, or an atom, has no oxidation number, but needs one.
            ModelError: predictions change when atoms are moved by lattice vectors.
        """
        from mlobs_client.evaluate.oxidation import check_single_valued

        check_single_valued(evaluator, structure, self.integers(structure))
        super().check_atoms(evaluator, structure)

    def committee(
        self, networks: Modules, alpha: float, how: Setting, context: ClientContext
    ) -> Committee:
        """Make a committee of the networks, with this alpha."""
        from mlobs_client.evaluate.mace.evaluator import dipole

        numbers = self.integers(context.structure)
        return dipole(networks, alpha=alpha, unit=self.unit, oxidation_numbers=numbers, setting=how)


class MacePolarizability(MaceTable):
    """[polarizability] with kind = "mace": a committee of polarizability models."""

    unit: Literal["angstrom^3", "atomic_unit"] = "angstrom^3"

    def committee(
        self, networks: Modules, alpha: float, how: Setting, context: ClientContext
    ) -> Committee:
        """Make a committee of the networks, with this alpha."""
        from mlobs_client.evaluate.mace.evaluator import polarizability

        return polarizability(networks, alpha=alpha, unit=self.unit, setting=how)


AnyMace = MacePotential | MaceDipole | MacePolarizability


def mace_evaluators(tables: Mapping[str, AnyMace], context: ClientContext) -> list[Evaluator]:
    """Return one evaluator of all MACE models of a client, in a list; an empty list without any.

    The models share graphs and a backward pass.

    Args:
        tables: tables of the client file, by quantity.
        context: the client.

    Raises:
        ConfigError: settings do not fit the structure, or each other.
        EvaluationError: the models do not know a species.
        ModelError: a model file is missing, not trusted, corrupt or for other species.
    """
    if not tables:
        return []
    from mlobs_client.evaluate.compile.background import PATIENCE, Background
    from mlobs_client.evaluate.mace.evaluator import MaceEvaluator
    from mlobs_client.evaluate.memory import disable_malloc_trim
    from mlobs_client.evaluate.model_files import require_trust, resolve

    paths = [path for table in tables.values() for path in resolve(table.models, context.folder)]
    require_trust(list(dict.fromkeys(paths)))  # all that are not, before any is loaded
    disable_malloc_trim()
    background = Background(patience=math.inf) if context.compiles else None
    evaluator = MaceEvaluator(**_committees(tables, context, background), batch=context.batch)
    evaluator.check_species(context.structure)
    _report_precision(tables.get("energy"), context, evaluator)
    if isinstance(dipole := tables.get("dipole"), MaceDipole):
        dipole.check_atoms(evaluator, context.structure)
    if background is not None:  # not before: tests at the start need no programs
        background.patience = PATIENCE if context.compile_after is None else context.compile_after
    return [evaluator]


def _committees(
    tables: Mapping[str, AnyMace], context: ClientContext, background: Background | None
) -> dict[str, Any]:
    """Return the arguments of a ``MaceEvaluator``."""
    from mlobs_client.evaluate.mace import evaluator as mace

    def alpha(quantity: str) -> float:
        return context.alphas[quantity].value if quantity in context.alphas else 1.0

    found: dict[str, Any] = {}
    dipole, together = tables.get("dipole"), frozenset[str]()
    if isinstance(dipole, MaceDipole) and _share_networks(
        tables.get("energy"), dipole, context.folder
    ):
        together = frozenset({"energy", "dipole"})
        found["potential_and_dipole"] = mace.potential_and_dipole(
            _networks(dipole, context.folder),
            alpha=alpha("energy"),
            dipole_alpha=alpha("dipole"),
            unit=dipole.unit,
            oxidation_numbers=dipole.integers(context.structure),
            setting=mace.Setting(dipole.dtype, dipole.device, background),
        )
    for quantity, table in tables.items():
        if quantity not in together:
            how = mace.Setting(table.dtype, table.device, background)
            networks = _networks(table, context.folder)
            made = table.committee(networks, alpha(quantity), how, context)
            found[QUANTITIES[quantity].table] = made
    return found


def _networks(table: MaceTable, folder: Path) -> Modules:
    from mlobs_client.evaluate.model_files import digest, load, resolve

    by_content: dict[str, Path] = {}
    for path in resolve(table.models, folder):
        same = by_content.setdefault(digest(path), path)
        if same is not path:
            raise ModelError(
                f"models: {same} and {path} are the same network, and identical members have no "
                "spread; name it once"
            )
    return {str(path): load(path) for path in by_content.values()}


def _share_networks(potential: MaceTable | None, dipole: MaceTable, folder: Path) -> bool:
    """Return whether the same networks give energy and dipole."""
    from mlobs_client.evaluate.model_files import resolve

    if potential is None or resolve(potential.models, folder) != resolve(dipole.models, folder):
        return False
    for name in ("dtype", "device"):
        first, second = getattr(potential, name), getattr(dipole, name)
        if first != second:
            raise ConfigError(
                f"[potential] and [dipole] name the same models, but with {name} = {first!r} and "
                f"{second!r}; use the same value in both"
            )
    return True


def _report_precision(
    table: MaceTable | None, context: ClientContext, single: MaceEvaluator
) -> None:
    """Log how much single precision changes the forces."""
    if table is None or table.dtype != "float32" or not logger.isEnabledFor(logging.INFO):
        return
    from mlobs_client.evaluate.mace import evaluator as mace
    from mlobs_client.evaluate.model_files import quiet_third_parties

    with quiet_third_parties():
        double = mace.MaceEvaluator(mace.potential(_networks(table, context.folder)))
    difference, largest_force = compare(double, single, context.structure)
    logger.info(
        "potential: single precision changes the forces on the structure of the client file by at "
        "most %.2g meV/angstrom; the largest is %.2g eV/angstrom",
        1e3 * difference,
        largest_force,
    )
