"""Make the files of a run from what a user says about a structure and its models."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from mlobs_client.errors import ConfigError
from mlobs_client.inputs.checked_files import CLIENT, INPUT
from mlobs_client.inputs.client_toml import (
    Models,
    Numbers,
    ase_models,
    mace_dipole,
    mace_potential,
    render_client,
)
from mlobs_client.inputs.input_xml import render_input
from mlobs_client.inputs.settings import Ensemble, choose
from mlobs_client.inputs.small_systems import small_atoms, small_models
from mlobs_client.inputs.starting_structure import (
    Kind,
    Start,
    prepare,
    read_start,
    render_structure,
)

STRUCTURE: Final = "init.xyz"
NAMES: Final = (CLIENT, STRUCTURE, INPUT)


@dataclass(frozen=True)
class Choices:
    """The choices of a user; see ``mlobs init --help``.

    Attributes:
        structure: file with the atoms; None for the small system of a kind.
        models: MACE potentials, files or patterns.
        calculator: module and class of an ASE calculator.
        parameters: of the calculator.
        dipoles: MACE dipole models, files or patterns.
        oxidation_numbers: of the dipole of a periodic structure.
        field: V/angstrom.
        ensemble: nve, nvt, npt or trpmd.
        temperature: K.
        beads: None for the usual number.
        timestep: fs; None for the usual one.
    """

    structure: Path | None = None
    models: tuple[str, ...] = ()
    calculator: str | None = None
    parameters: tuple[tuple[str, Any], ...] = ()
    dipoles: tuple[str, ...] = ()
    oxidation_numbers: Numbers = None
    field: tuple[float, float, float] | None = None
    ensemble: Ensemble = "nvt"
    temperature: float = 300.0
    beads: int | None = None
    timestep: float | None = None


def make_files(
    kind: Kind | None, folder: Path, choices: Choices, water_box: Path
) -> tuple[dict[str, str], list[str]]:
    """Make the files of a run; nothing is written.

    Args:
        kind: of the structure; None for what its file says.
        folder: where they will lie.
        choices: choices of the user; without a structure, the small system of the kind is taken.
        water_box: structure of the small liquid.

    Returns:
        The files by name, and sentences on what was changed in the structure.

    Raises:
        ConfigError: the choices exclude each other or do not fit, or a file is missing.
        EvaluationError: the calculator gives no energy or no forces for the structure.
    """
    start = _start(kind, choices, water_box)
    settings = choose(start, choices.ensemble, choices.temperature, choices.beads, choices.timestep)
    models = _models(start, folder, choices)
    address = _address(folder)
    client = render_client(start, models, settings, address)
    xml = render_input(start, settings, models.extras, address)
    return {STRUCTURE: render_structure(start), CLIENT: client, INPUT: xml}, start.notes


def _start(kind: Kind | None, choices: Choices, water_box: Path) -> Start:
    if choices.structure is not None:
        return read_start(choices.structure, kind)
    if kind is None:
        raise ConfigError("there is no structure; give --structure FILE")
    return prepare(small_atoms(kind, water_box), kind, "the small system")


def _models(start: Start, folder: Path, choices: Choices) -> Models:
    """Return the models that are named, or those of the small system."""
    potential = _potential(start, folder, choices)
    if not choices.dipoles:
        if choices.oxidation_numbers is not None:
            raise ConfigError("--oxidation-numbers are those of a --dipole, and there is none")
        return replace(potential, field=choices.field)
    dipole = mace_dipole(choices.dipoles, folder, start, choices.oxidation_numbers)
    extras = tuple(dict.fromkeys(("dipole", *potential.extras)))
    return replace(potential, dipole=dipole, extras=extras, field=choices.field)


def _potential(start: Start, folder: Path, choices: Choices) -> Models:
    if choices.models and choices.calculator is not None:
        raise ConfigError("--model and --calculator are two potentials; give one of them")
    if choices.parameters and choices.calculator is None:
        raise ConfigError("--parameter belongs to --calculator, and there is none")
    if choices.models:
        table, extras = mace_potential(choices.models, folder)
        return Models(table, extras=extras)
    if choices.calculator is not None:
        return ase_models(choices.calculator, dict(choices.parameters), start)
    if choices.structure is None and start.kind is not None:
        return small_models(start.kind, start, folder)
    raise ConfigError(
        "a structure needs a potential; give --model FILE, --calculator MODULE.CLASS, or, to try, "
        "--calculator ase.calculators.emt.EMT"
    )


def _address(folder: Path) -> str:
    """Return the name of the folder as an address: two runs on one machine need two."""
    word = re.sub(r"[^A-Za-z0-9]+", "-", folder.absolute().name).strip("-")
    return word[:40] or "mlobs"
