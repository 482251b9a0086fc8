"""Make the evaluators and terms of a client from the tables of its file."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from mlobs_client.client.alphas import committees, read_alphas
from mlobs_client.client.config import ClientConfig
from mlobs_client.client.family import ClientContext, OxidationTable
from mlobs_client.client.mace import MaceTable, mace_evaluators
from mlobs_client.client.structure_file import how_to_make_periodic, read_structure
from mlobs_client.client.total_energy import observe
from mlobs_client.errors import ConfigError
from mlobs_client.evaluate.card import Alpha
from mlobs_client.evaluate.evaluation import Evaluator, Restricted, provided_by
from mlobs_client.quantities import QUANTITIES, of_one_committee
from mlobs_client.structure import Structure
from mlobs_client.terms.displacement import FOUR_PI, FixedDisplacement
from mlobs_client.terms.field import UnwrappedPositions
from mlobs_client.terms.sum_rule import AcousticSumRule
from mlobs_client.terms.term import Term
from mlobs_client.units import VOLT_PER_ANGSTROM

logger = logging.getLogger(__name__)

LARGE_FIELD: Final = 1.0
"""A field above the breakdown field of most materials, V/angstrom; water dissociates at 0.3."""


@dataclass(frozen=True)
class ClientModels:
    """The structure, models and terms of a client.

    Attributes:
        structure: structure of the client file, which gives the species, their order and the
            periodicity, since i-PI does not send them; its positions are used only for tests at the
            start.
        evaluators: evaluators of the models; they share neighbour lists where they can.
        terms: extra force terms.
        alphas: calibration factors alpha of committee spreads, by quantity.
    """

    structure: Structure
    evaluators: tuple[Evaluator, ...]
    terms: tuple[Term, ...]
    alphas: Mapping[str, Alpha] = field(default_factory=dict)


def assemble(
    config: ClientConfig, folder: Path | str, compile_after: float | None = None
) -> ClientModels:
    """Load the structure and the models of a client file.

    Args:
        config: the client file.
        folder: folder of the client file, to which its paths are relative.
        compile_after: time for which networks are used before they are compiled, s; None for about
            as long as a compilation takes.

    Raises:
        ConfigError: the structure cannot be read, settings do not fit it, or a model does not give
            the quantity of its table.
        ModelError: a model file is missing, not trusted, corrupt or for other species.

    Example:
        Forces on a water molecule in an analytic potential::

            >>> import tempfile
            >>> from pathlib import Path
            >>> from ase.build import molecule
            >>> from mlobs_client import load_config
            >>> from mlobs_client.client import assemble, predict
            >>> with tempfile.TemporaryDirectory() as name:
            ...     folder = Path(name)
            ...     molecule("H2O").write(folder / "init.xyz")
            ...     length = (folder / "client.toml").write_text('''
            ...         structure = "init.xyz"
            ...         pbc = [false, false, false]
            ...         [potential]
            ...         kind = "toy"
            ...         name = "qtip4pf"
            ...     ''')
            ...     client = assemble(load_config(folder / "client.toml"), folder)
            >>> [water] = predict([client.structure], client.evaluators, client.terms)
            >>> water.forces.shape
            (3, 3)
            >>> bool(abs(water.forces.sum(axis=0)).max() < 1e-9)
            True
    """
    folder = Path(folder)
    structure = read_structure(config, folder)
    alphas = read_alphas(config, folder)
    context = ClientContext(folder, structure, alphas, config.compile, compile_after, config.batch)
    tables = config.models
    together = {name: table for name, table in tables.items() if isinstance(table, MaceTable)}
    evaluators = mace_evaluators(together, context)
    for name, table in tables.items():
        if not isinstance(table, MaceTable):
            evaluators.append(_restricted(table.evaluator(context), name, tables))
    _check_periodic(config, folder, structure)
    terms = _terms(config, structure, structure)
    for term in terms:
        if isinstance(term, FixedDisplacement):
            _report_field(term, evaluators, structure)
    return ClientModels(structure, tuple(evaluators), terms, context.alphas)


def terms_for(
    structure: Structure, assembly: ClientModels, config: ClientConfig
) -> tuple[Term, ...]:
    """Make the terms for atoms other than those of the client file.

    The cell of ``reduced`` remains that of the client file.

    Args:
        structure: the structure; the terms depend on its species and its periodicity.
        assembly: models of the client file.
        config: the client file.

    Raises:
        ConfigError: a setting of the client file does not fit these atoms.
        ModelError: the dipole of the models has no meaning for these atoms.
    """
    if not all(structure.pbc) and any(t.needs_cell is not None for t in config.terms.values()):
        raise ConfigError(
            f"{config.coupling_table} of the client file needs atoms that are periodic in all "
            f"directions, but their pbc is {list(structure.pbc)}; set atoms.cell and atoms.pbc"
        )
    if config.dipole is not None:
        _check_order(config.dipole, assembly.structure, structure)
        giver = next(one for one in assembly.evaluators if "dipole" in one.provides)
        config.dipole.check_atoms(giver, structure)
    return _terms(config, assembly.structure, structure)


def model_files(config: ClientConfig, folder: Path) -> list[Path]:
    """Return all model files that a client file names, each once.

    Args:
        config: the client file.
        folder: folder of the client file.

    Raises:
        ModelError: a model file is missing.
    """
    paths = [path for _, _, models in committees(config, folder) for path in models]
    return list(dict.fromkeys(paths))


def files_of_client(config: ClientConfig, path: Path) -> list[Path]:
    """Return a client file, its structure and its model files, each once.

    Args:
        config: the client file.
        path: path of the client file.

    Raises:
        ModelError: a model file is missing.
    """
    folder = path.parent
    return [path, folder / config.structure, *model_files(config, folder)]


def _restricted(evaluator: Evaluator, quantity: str, tables: Mapping[str, object]) -> Evaluator:
    """Leave out observables that another table of the client file gives.

    A potential keeps those that have no table; the others give their own quantity only.

    Raises:
        ConfigError: the model does not give the quantity of its table.
    """
    row = QUANTITIES[quantity]
    if quantity not in evaluator.provides:
        raise ConfigError(
            f"[{row.table}]: this model gives no {quantity}, only "
            f"{', '.join(sorted(evaluator.provides))}; name another one, or remove the table"
        )
    own = of_one_committee(row)
    if quantity != "energy":
        return Restricted(evaluator, evaluator.provides & own)
    others = (of_one_committee(QUANTITIES[name]) for name in tables if name != "energy")
    return Restricted(evaluator, evaluator.provides.difference(*others))


def _check_periodic(config: ClientConfig, folder: Path, structure: Structure) -> None:
    for name, table in config.terms.items():
        if (reason := table.needs_cell) is not None and not all(structure.pbc):
            raise ConfigError(
                f"[{name}]{reason} needs a structure that is periodic in all directions, but pbc "
                f"is {list(structure.pbc)}; {how_to_make_periodic(config, folder, structure)}"
            )


def _check_order(table: OxidationTable, known: Structure, structure: Structure) -> None:
    """Refuse oxidation numbers by atom if the species of an atom is not that in the client file.

    A different number of atoms is an error that the oxidation numbers raise.
    """
    by_atom = isinstance(table.oxidation_numbers, tuple) and known.n_atoms == structure.n_atoms
    if by_atom and (known.numbers != structure.numbers).any():
        from ase.data import chemical_symbols

        atom = int(np.flatnonzero(known.numbers != structure.numbers)[0])
        is_now, was = (chemical_symbols[one.numbers[atom]] for one in (structure, known))
        raise ConfigError(
            f"[dipole] oxidation_numbers are by atom, but atom {atom} is {is_now} here and {was} "
            "in the client file; write them by species, for example { O = -2, H = 1 }"
        )


def _terms(config: ClientConfig, reference: Structure, structure: Structure) -> tuple[Term, ...]:
    """Make the terms of a structure; the cell of ``reduced`` is that of the reference."""
    terms: list[Term] = [table.term(reference) for table in config.terms.values()]
    if terms:
        terms.append(UnwrappedPositions())
    if config.observables.sum_rule is not None:
        numbers = None if config.dipole is None else config.dipole.integers(structure)
        terms.append(AcousticSumRule(0 if numbers is None else int(numbers.of(structure).sum())))
    return tuple(terms)


def _report_field(
    term: FixedDisplacement, evaluators: Sequence[Evaluator], structure: Structure
) -> None:
    """Log the field at the start, since a field from the wrong branch of the dipole ruins a run."""
    if not term.needs <= provided_by(evaluators):
        return  # which is another error
    (values,) = observe([structure], evaluators, term.needs)
    field = term.field(structure, values) / VOLT_PER_ANGSTROM
    said = "[displacement]: the field on the structure of the client file is %s V/angstrom"
    if np.linalg.norm(field) < LARGE_FIELD:
        logger.info(said, field.round(4).tolist())
        return
    logger.warning(
        f"{said}, above the breakdown field of most materials; make whole any molecules that are "
        "split by the boundary, or choose a vector closer to D = 4 pi P = %s V/angstrom",
        field.round(4).tolist(),
        (FOUR_PI * values["dipole"] / structure.volume / VOLT_PER_ANGSTROM).round(4).tolist(),
    )
