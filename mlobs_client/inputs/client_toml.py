"""Write a client file for a structure, with comments on what to change."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mlobs_client.client.total_energy import observe, predict
from mlobs_client.errors import ConfigError, EvaluationError, ModelError
from mlobs_client.evaluate.model_files import BUNDLED, resolve
from mlobs_client.inputs.settings import Ensemble, Settings
from mlobs_client.inputs.starting_structure import Start
from mlobs_client.structure import Structure, from_atoms


@dataclass(frozen=True)
class Models:
    """The models of a client file.

    Attributes:
        potential: content of ``[potential]``.
        dipole: content of ``[dipole]``; None without one.
        extras: observables that the models give and that i-PI shall write.
        has_virial: True if the potential has a strain derivative.
        field: static field, V/angstrom; None without one.
    """

    potential: Mapping[str, Any]
    dipole: Mapping[str, Any] | None = None
    extras: tuple[str, ...] = ()
    has_virial: bool = True
    field: tuple[float, float, float] | None = None


Numbers = dict[str, int] | Literal["none"] | None


def mace_potential(patterns: Sequence[str], folder: Path) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return ``[potential]`` of one MACE file or of a committee, and the observables it gives.

    Args:
        patterns: files or patterns, relative to the current folder.
        folder: of the client file.

    Raises:
        ConfigError: a pattern matches no file.
    """
    extras = ("energy_spread",) if len(_files(patterns)) > 1 else ()
    return {"kind": "mace", "models": _from(folder, patterns)}, extras


def mace_dipole(
    patterns: Sequence[str], folder: Path, start: Start, numbers: Numbers
) -> dict[str, Any]:
    """Return ``[dipole]`` of one MACE file or of a committee.

    Args:
        patterns: files or patterns, relative to the current folder.
        folder: of the client file.
        start: the structure.
        numbers: oxidation numbers by species, or "none"; None for a molecule.

    Raises:
        ConfigError: a periodic structure needs oxidation numbers, or a pattern matches no file.
    """
    _files(patterns)
    if numbers is None and start.atoms.pbc.any():
        species = ",".join(f"{symbol}=..." for symbol in dict.fromkeys(start.atoms.symbols))
        raise ConfigError(
            "the dipole of a periodic structure needs oxidation numbers; give --oxidation-numbers "
            f"{species}, with those that the models were trained with, or none if they had none"
        )
    table = {"kind": "mace", "models": _from(folder, patterns), "unit": "e*angstrom"}
    return table if numbers is None else {**table, "oxidation_numbers": numbers}


def ase_models(path: str, parameters: Mapping[str, Any], start: Start) -> Models:
    """Return the models of an ASE calculator, which is evaluated once to see what it gives.

    Args:
        path: module and class.
        parameters: of the calculator.
        start: the structure; dipoles of periodic ones are left out, as they jump.

    Raises:
        ConfigError: there is no such calculator, or it does not take these parameters.
        EvaluationError: it gives no energy or no forces for the structure.
    """
    from mlobs_client.evaluate.ase import AseEvaluator

    evaluator = AseEvaluator.from_import_path(path, parameters)
    structure = Structure(*from_atoms(start.atoms))
    (found,) = predict([structure], [evaluator])
    extras: tuple[str, ...] = ()
    if not start.atoms.pbc.any() and "dipole" in evaluator.provides:
        try:
            observe([structure], [evaluator], frozenset({"dipole"}))
            extras = ("dipole",)
        except EvaluationError as error:
            start.notes.append(f"the dipole is left out: {error}.")
    table: dict[str, Any] = {"kind": "ase", "calculator": path}
    if parameters:
        table["parameters"] = dict(parameters)
    return Models(table, extras=extras, has_virial=found.virial is not None)


def render_client(start: Start, models: Models, settings: Settings, address: str) -> str:
    """Return the TOML.

    Args:
        start: the structure, which is that of ``init.xyz``.
        models: its models.
        settings: of the run; npt needs a virial.
        address: of the unix socket.

    Raises:
        ConfigError: the run needs a virial, or a dipole, that the models do not give.
    """
    _check(models, settings.ensemble)
    needs_word = start.atoms.pbc.any() and not models.has_virial
    virial = 'virial = "none"   # the potential has no stress: constant volume only'
    lines = [
        f"# Models and observables of {start.description}.",
        "# Change here: the models and their settings (device, dtype), the [field], and what i-PI",
        "# writes (extras). Every setting: the reference of client files in the documentation.",
        "# Then: mlobs check input.xml client.toml",
        'structure = "init.xyz"   # the atoms of input.xml, in the same order',
        *([virial] if needs_word else []),
        *_table("socket", {"mode": "unix", "address": address}),
        *_table("potential", models.potential),
    ]
    if models.dipole is not None:
        lines += _table("dipole", models.dipole)
    if models.field is not None:
        lines += ["", "# static, H = H0 - mu.E; never together with driven_dynamics"]
        lines += _table("field", {"vector": list(models.field), "unit": "V/angstrom"})[1:]
    if models.extras:
        lines += _table("observables", {"extras": list(models.extras)})
    if models.dipole is not None and models.field is None and settings.stride > 1:
        lines += [
            "# the dipole takes time: only at the steps at which input.xml writes it",
            f"stride = {{ dipole = {settings.stride} }}",
        ]
    return "\n".join(lines) + "\n"


def _check(models: Models, ensemble: Ensemble) -> None:
    if ensemble == "npt" and not models.has_virial:
        raise ConfigError(
            "--ensemble npt needs a virial, and the calculator gives no stress for this structure; "
            "use --ensemble nvt, or another calculator"
        )
    if models.field is not None and "dipole" not in models.extras:
        raise ConfigError("--field acts on a dipole, and there is none; add --dipole FILE")


def _files(patterns: Sequence[str]) -> list[Path]:
    try:
        return resolve(patterns, Path.cwd())
    except ModelError as error:  # which is right for a client file
        raise ConfigError(str(error).replace("the client file", "the current folder")) from error


def _from(folder: Path, patterns: Sequence[str]) -> list[str]:
    """Return patterns as the client file names them: relative if they lie in its folder."""
    return [_one_from(folder.absolute(), pattern) for pattern in patterns]


def _one_from(folder: Path, pattern: str) -> str:
    if pattern.startswith(BUNDLED):
        return pattern
    path = Path.cwd() / Path(pattern).expanduser()
    return str(path.relative_to(folder) if path.is_relative_to(folder) else path)


def _table(name: str, content: Mapping[str, Any]) -> list[str]:
    return ["", f"[{name}]", *(f"{key} = {to_toml(value)}" for key, value in content.items())]


def to_toml(value: Any) -> str:
    """Write a value as TOML, tables inline.

    Args:
        value: text, number, truth value, or a list or a table of those.
    """
    if isinstance(value, Mapping):
        inside = ", ".join(f"{_key(key)} = {to_toml(one)}" for key, one in value.items())
        return f"{{ {inside} }}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(to_toml, value))}]"
    return json.dumps(value, ensure_ascii=False)  # text, numbers and truth values are the same


def _key(key: str) -> str:
    return (
        key if key.replace("_", "").replace("-", "").isalnum() and key.isascii() else to_toml(key)
    )
