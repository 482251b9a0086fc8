"""From a client file to evaluators and terms: the one place that knows all families of models."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mlobs_client.config import AseModel, ClientConfig, MaceDipole, MacePotential, ToyModel
from mlobs_client.errors import ConfigError
from mlobs_client.evaluate.evaluation import Evaluator
from mlobs_client.structure import Structure
from mlobs_client.terms.term import Term
from mlobs_client.units import ANGSTROM

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Assembly:
    """What a client is made of.

    Attributes:
        structure: species, their order, and periodicity, which i-PI does not send; its positions
            serve for tests at start-up only.
        evaluators: models, sharing graphs where they can.
        terms: extra force terms over the shared predictions.
    """

    structure: Structure
    evaluators: tuple[Evaluator, ...]
    terms: tuple[Term, ...]


def build(config: ClientConfig, folder: Path) -> Assembly:
    """Load the structure and the models of a client file.

    Args:
        config: the client file.
        folder: where it lies; its paths are relative to this.

    Raises:
        ConfigError: the structure cannot be read, or settings do not fit it.
        ModelError: a model file is missing, corrupt or for other species.
    """
    structure = read_structure(config, folder)
    evaluators = [
        *_mace(config, folder, structure),
        *(_analytic(table) for table in (config.potential, config.dipole)
          if isinstance(table, AseModel | ToyModel)),
    ]
    return Assembly(structure, tuple(evaluators), _terms(config))


def read_structure(config: ClientConfig, folder: Path) -> Structure:
    """Read species, order and periodicity (and a sample of positions) of a client file.

    Raises:
        ConfigError: the file is missing or unreadable, or the periodicity is not known.
    """
    import ase.io

    path = folder / config.structure
    if not path.exists():
        raise ConfigError(f"structure = {config.structure!r}: {path} does not exist")
    try:
        atoms = ase.io.read(path)
    except Exception as error:  # ASE's readers raise anything
        raise ConfigError(f"{path}: ASE cannot read a structure from it: {error}") from error
    pbc = config.pbc or tuple(bool(periodic) for periodic in atoms.pbc)
    return Structure(
        numbers=np.asarray(atoms.numbers, dtype=np.int64),
        positions=atoms.positions * ANGSTROM,
        cell=np.asarray(atoms.cell) * ANGSTROM,
        pbc=(pbc[0], pbc[1], pbc[2]),
    )
