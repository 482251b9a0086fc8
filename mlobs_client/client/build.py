"""From a client file to evaluators and terms: the one place that knows all families of models."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from mlobs_client.client.alphas import Alpha, committees, read_alphas
from mlobs_client.client.config import (
    AseModel,
    ClientConfig,
    MaceDipole,
    MaceTable,
    ToyDipole,
    ToyModel,
)
from mlobs_client.client.precision import compare
from mlobs_client.client.structure_file import how_to_make_periodic, read_structure
from mlobs_client.client.total_energy import observe
from mlobs_client.errors import ConfigError, ModelError
from mlobs_client.evaluate.evaluation import Evaluator, Restricted
from mlobs_client.structure import Structure
from mlobs_client.terms.displacement import FOUR_PI, FixedDisplacement
from mlobs_client.terms.field import UniformField, UnwrappedPositions
from mlobs_client.terms.sum_rule import AcousticSumRule
from mlobs_client.terms.term import Term
from mlobs_client.units import VOLT_PER_ANGSTROM

if TYPE_CHECKING:
    from mlobs_client.evaluate.compile.background import Background
    from mlobs_client.evaluate.mace.evaluator import MaceEvaluator, Modules
    from mlobs_client.evaluate.oxidation import OxidationNumbers

logger = logging.getLogger(__name__)

LARGE_FIELD: Final = 1.0
"""V/angstrom; water dissociates at about a third of it."""


@dataclass(frozen=True)
class Assembly:
    """What a client is made of.

    Attributes:
        structure: species, their order, and periodicity, which i-PI does not send; its positions
            serve for tests at start-up only.
        evaluators: models, sharing graphs where they can.
        terms: extra force terms over the shared predictions.
        alphas: of the spreads of committees, by quantity.
    """

    structure: Structure
    evaluators: tuple[Evaluator, ...]
    terms: tuple[Term, ...]
    alphas: Mapping[str, Alpha] = field(default_factory=dict)


def build(config: ClientConfig, folder: Path, compile_after: float | None = None) -> Assembly:
    """Load the structure and the models of a client file.

    Args:
        config: the client file.
        folder: where it lies; its paths are relative to this.
        compile_after: seconds of use before networks are compiled; None waits until it pays.

    Raises:
        ConfigError: the structure cannot be read, or settings do not fit it.
        ModelError: a model file is missing, not trusted, corrupt or for other species.
    """
    structure = read_structure(config, folder)
    evaluators: list[Evaluator] = []
    alphas = read_alphas(config, folder)
    tables = (config.potential, config.dipole, config.polarizability)
    if any(isinstance(table, MaceTable) for table in tables):
        evaluators.append(_mace(config, folder, structure, alphas, compile_after))
    for table in (config.potential, config.dipole):
        if isinstance(table, AseModel | ToyModel):
            evaluators.append(_analytic(table, config, structure))
    terms = _terms(config, folder, structure)
    for term in terms:
        if isinstance(term, FixedDisplacement):
            _report_field(term, evaluators, structure)
    return Assembly(structure, tuple(evaluators), terms, alphas)


def model_files(config: ClientConfig, folder: Path) -> list[Path]:
    """All model files that a client file names, each once.

    Raises:
        ModelError: one is missing.
    """
    paths = [path for _, _, models in committees(config, folder) for path in models]
    return list(dict.fromkeys(paths))


def _mace(
    config: ClientConfig,
    folder: Path,
    structure: Structure,
    alphas: Mapping[str, Alpha],
    compile_after: float | None,
) -> MaceEvaluator:
    """All MACE models of the client in one evaluator, for they share graphs and backward pass."""
    from mlobs_client.evaluate.compile.background import PATIENCE, Background
    from mlobs_client.evaluate.mace.evaluator import MaceEvaluator
    from mlobs_client.evaluate.memory import keep_freed_memory
    from mlobs_client.evaluate.model_files import require_trust
    from mlobs_client.evaluate.oxidation import check_single_valued

    require_trust(model_files(config, folder))  # all that are not, before any is loaded
    keep_freed_memory()
    background = Background(patience=math.inf) if config.compile else None
    dipole = config.dipole if isinstance(config.dipole, MaceTable) else None
    numbers = None if dipole is None else _oxidation_numbers(dipole, structure)
    evaluator = MaceEvaluator(
        **_committees(config, folder, numbers, alphas, background), batch=config.batch
    )
    evaluator.check_species(structure)
    if (
        isinstance(config.potential, MaceTable)
        and config.potential.dtype == "float32"
        and logger.isEnabledFor(logging.INFO)
    ):
        _report_precision(config.potential, folder, evaluator, structure)
    # A dipole that jumps by anything but its quanta has no meaning in a field or a spectrum.
    if dipole is not None:
        check_single_valued(evaluator, structure, numbers)
    if numbers is not None:
        _say_charge(numbers, structure)
    if background is not None:  # not before: tests at the start need no programs
        background.patience = PATIENCE if compile_after is None else compile_after
    return evaluator


def _oxidation_numbers(
    dipole: MaceDipole | ToyDipole, structure: Structure
) -> OxidationNumbers | None:
    """The integers of a client file; None if it has none and may have none."""
    said = dipole.oxidation_numbers
    if said is None and any(structure.pbc) and isinstance(dipole, MaceDipole):
        raise ConfigError(
            "[dipole] of a periodic structure has no oxidation_numbers: without an integer for "
            "each atom, an ion that moves through the cell carries no charge, so a field does no "
            "work on it and spectra miss its current; write for example oxidation_numbers = "
            '{ O = -2, H = 1 }, or "none" if only neutral molecules move'
        )
    if said is None or said == "none":
        return None
    from mlobs_client.evaluate.oxidation import OxidationNumbers

    return OxidationNumbers(said)


def _say_charge(numbers: OxidationNumbers, structure: Structure) -> None:
    if charge := int(numbers.of(structure).sum()):
        logger.warning(
            "[dipole] oxidation_numbers add up to %+d e for this structure; if the cell is not "
            "charged, correct them",
            charge,
        )


def _committees(
    config: ClientConfig,
    folder: Path,
    numbers: OxidationNumbers | None,
    alphas: Mapping[str, Alpha],
    background: Background | None,
) -> dict[str, Any]:
    """The arguments of a ``MaceEvaluator``."""
    from mlobs_client.evaluate.mace import evaluator as mace

    def alpha(quantity: str) -> float:
        return alphas[quantity].value if quantity in alphas else 1.0

    def setting(table: MaceTable) -> mace.Setting:
        return mace.Setting(table.dtype, table.device, background)

    found: dict[str, Any] = {}
    potential = config.potential if isinstance(config.potential, MaceTable) else None
    dipole = config.dipole if isinstance(config.dipole, MaceTable) else None
    polarizability = config.polarizability
    if potential is not None and dipole is not None and _are_one(potential, dipole, folder):
        found["potential_and_dipole"] = mace.potential_and_dipole(
            _networks(potential, folder),
            alpha=alpha("energy"),
            dipole_alpha=alpha("dipole"),
            unit=dipole.unit,
            oxidation_numbers=numbers,
            setting=setting(potential),
        )
        potential = dipole = None
    if potential is not None:
        found["potential"] = mace.potential(
            _networks(potential, folder), alpha=alpha("energy"), setting=setting(potential)
        )
    if dipole is not None:
        found["dipole"] = mace.dipole(
            _networks(dipole, folder),
            alpha=alpha("dipole"),
            unit=dipole.unit,
            oxidation_numbers=numbers,
            setting=setting(dipole),
        )
    if polarizability is not None:
        found["polarizability"] = mace.polarizability(
            _networks(polarizability, folder),
            alpha=alpha("polarizability"),
            unit=polarizability.unit,
            setting=setting(polarizability),
        )
    return found


def _networks(table: MaceTable, folder: Path) -> Modules:
    from mlobs_client.evaluate.model_files import digest, load, resolve

    by_content: dict[str, Path] = {}
    for path in resolve(table.models, folder):
        same = by_content.setdefault(digest(path), path)
        if same is not path:
            raise ModelError(
                f"models: {same} and {path} are the same network; a committee of copies would "
                "be sure of everything: name it once"
            )
    return {str(path): load(path) for path in by_content.values()}


def _are_one(potential: MaceTable, dipole: MaceTable, folder: Path) -> bool:
    """Whether the same networks give energy and dipole."""
    from mlobs_client.evaluate.model_files import resolve

    if resolve(potential.models, folder) != resolve(dipole.models, folder):
        return False
    for name in ("dtype", "device"):
        first, second = getattr(potential, name), getattr(dipole, name)
        if first != second:
            raise ConfigError(
                f"[potential] and [dipole] name the same models, but with {name} = {first!r} and "
                f"{second!r}; say the same in both"
            )
    return True


def _report_precision(
    table: MaceTable, folder: Path, single: MaceEvaluator, structure: Structure
) -> None:
    """Say what single precision does to the forces."""
    from mlobs_client.evaluate.mace import evaluator as mace
    from mlobs_client.evaluate.model_files import quiet_third_parties

    with quiet_third_parties():
        double = mace.MaceEvaluator(mace.potential(_networks(table, folder)))
    difference, largest_force = compare(double, single, structure)
    logger.info(
        "potential: single precision changes the forces on the structure of the client file by at "
        "most %.2g meV/angstrom, of at most %.2g eV/angstrom",
        1e3 * difference,
        largest_force,
    )


def _analytic(table: AseModel | ToyModel, config: ClientConfig, structure: Structure) -> Evaluator:
    from mlobs_client.evaluate.ase import AseEvaluator
    from mlobs_client.evaluate.toys import make_toy

    if isinstance(table, AseModel):
        evaluator: Evaluator = AseEvaluator.from_import_path(table.calculator, table.parameters)
    elif isinstance(table, ToyDipole) and (numbers := _oxidation_numbers(table, structure)):
        _say_charge(numbers, structure)
        evaluator = _with_formal_charges(table, numbers)
    else:
        evaluator = make_toy(table.name, table.parameters)
    return _restricted(evaluator, table, config)


def _with_formal_charges(table: ToyDipole, numbers: OxidationNumbers) -> Evaluator:
    from mlobs_client.evaluate.formal_charges import FormalCharges, WithFormalCharges
    from mlobs_client.evaluate.toys import make_toy

    if not table.name:
        return FormalCharges(numbers)
    return WithFormalCharges(make_toy(table.name, table.parameters), numbers)


def _restricted(
    evaluator: Evaluator, table: AseModel | ToyModel, config: ClientConfig
) -> Evaluator:
    """Leave out what another table of the client file gives."""
    dipole = {"dipole", "born_charges"}
    polarizability = {"polarizability", "polarizability_gradient"}
    if table is config.dipole:
        return Restricted(evaluator, evaluator.provides & dipole)
    left = evaluator.provides
    if config.dipole is not None:
        left -= dipole
    if config.polarizability is not None:
        left -= polarizability
    return Restricted(evaluator, left)


def _terms(config: ClientConfig, folder: Path, structure: Structure) -> tuple[Term, ...]:
    field = _field(config, folder, structure)
    terms: list[Term] = [] if field is None else [field, UnwrappedPositions()]
    if config.observables.sum_rule is not None:
        numbers = None if config.dipole is None else _oxidation_numbers(config.dipole, structure)
        terms.append(AcousticSumRule(0 if numbers is None else int(numbers.of(structure).sum())))
    return tuple(terms)


def _field(config: ClientConfig, folder: Path, structure: Structure) -> Term | None:
    """What acts on the dipole."""
    table = config.coupling
    if table is None:
        return None
    if not all(structure.pbc) and (table.reduced or config.displacement is not None):
        reason = " reduced = true" if config.displacement is None else ""
        raise ConfigError(
            f"{config.coupling_table}{reason} needs a structure that is periodic in all "
            f"directions, but pbc is {list(structure.pbc)}; "
            f"{how_to_make_periodic(config, folder, structure)}"
        )
    cell = structure.cell if table.reduced else None
    vector = table.atomic_units
    if config.displacement is None:
        return UniformField(vector, table.second_order, cell)
    return FixedDisplacement(vector, table.second_order, cell, config.displacement.is_fixed)


def _report_field(
    term: FixedDisplacement, evaluators: Sequence[Evaluator], structure: Structure
) -> None:
    """Say which field a displacement begins with: that of another branch ruins a run."""
    if not term.needs <= frozenset[str]().union(*(one.provides for one in evaluators)):
        return  # which is an error of its own
    (values,) = observe([structure], evaluators, term.needs)
    field = term.field(structure, values) / VOLT_PER_ANGSTROM
    said = "[displacement]: the field on the structure of the client file is %s V/angstrom"
    if np.linalg.norm(field) < LARGE_FIELD:
        logger.info(said, field.round(4).tolist())
        return
    logger.warning(
        f"{said}, which few materials bear; make molecules whole that the boundary has split, or "
        "choose a vector nearer to D = 4 pi P = %s V/angstrom",
        field.round(4).tolist(),
        (FOUR_PI * values["dipole"] / structure.volume / VOLT_PER_ANGSTROM).round(4).tolist(),
    )
