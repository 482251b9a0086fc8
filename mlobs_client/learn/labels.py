"""Read and check labelled structures, with labels in the units of model files."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any, Final

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from ase.stress import voigt_6_to_full_3x3_stress

from mlobs_client.errors import ConfigError, EvaluationError
from mlobs_client.evaluate.oxidation import OxidationNumbers
from mlobs_client.ipi.structure_formats import iterate_atoms
from mlobs_client.learn.branches import Quanta
from mlobs_client.learn.charges import Origin, about_positions, find_integers, read_numbers
from mlobs_client.quantities import labelled
from mlobs_client.structure import Array, Integers, Structure, from_atoms
from mlobs_client.units import ANGSTROM

WEIGHT: Final = "config_weight"
"""Key of the weight of a structure in its comment line, as in MACE; ``config_energy_weight`` and
others are weights of one label."""

THEORY: Final = "head"
"""Key of the level of theory in a comment line, as in MACE."""


@dataclass(frozen=True)
class Label:
    """The location of a label in a file.

    Attributes:
        key: name in the comment line or, for labels of atoms, of a column.
        unit: unit of the numbers, in e, angstrom and eV.
        transposed: True if Born charges are [j, i] = d dipole_i / d R_j in the file.
    """

    key: str
    unit: float = 1.0
    transposed: bool = False


@dataclass(frozen=True)
class LabelledStructure:
    """A structure with its labels.

    Attributes:
        index: index in its file, from 0.
        structure: the structure, atomic units.
        labels: labels by the names of :func:`mlobs_client.quantities.labelled`, with the shapes of
            that table, in e, angstrom and eV. The dipole is on any branch, symmetric tensors are
            symmetric, Born charges add up to the charge; virials are -dE/d(strain) = -V stress.
        oxidation_numbers: shape ``(n_atoms,)``; None if no dipole is learned.
        weights: weights of squared errors by the names of labels, which are 1 if not given.
        theory: name of the level of theory, at which energies have a common zero.
        group: name of the group, such as a trajectory; empty if no groups were asked for.
    """

    index: int
    structure: Structure
    labels: Mapping[str, Array]
    oxidation_numbers: Integers | None = None
    weights: Mapping[str, float] = field(default_factory=dict)
    theory: str = ""
    group: str = ""

    @property
    def quanta(self) -> Quanta:
        return Quanta.of(self.structure)

    @property
    def single_valued_dipole(self) -> Array:
        """Dipole minus e sum N_I R_I, on the branch of the label, shape ``(3,)``, e angstrom."""
        if self.oxidation_numbers is None:
            return self.labels["dipole"]
        return np.asarray(
            self.labels["dipole"] - self.oxidation_numbers @ self.structure.positions / ANGSTROM
        )

    def find(self, name: str) -> Array | None:
        """Return the label of an observable, None without it; virials may be given as stress."""
        if name == "virials" and "stress" in self.labels:
            return -self.structure.volume / ANGSTROM**3 * self.labels["stress"]
        return self.labels.get(name)

    @property
    def formula(self) -> str:
        """Composition, such as ``H128O64``."""
        return str(Atoms(self.structure.numbers).get_chemical_formula())


def read_labelled(
    path: Path | str,
    wanted: Mapping[str, Label],
    oxidation_numbers: OxidationNumbers | None = None,
    *,
    with_integers: bool = True,
    group_key: str = "",
    origin: Origin | None = None,
) -> list[LabelledStructure]:
    """Read all labelled structures of a file.

    Args:
        path: path of an extended xyz file, or of any file that ASE reads.
        wanted: labels to read, by the names of :func:`mlobs_client.quantities.labelled`.
        oxidation_numbers: oxidation numbers of the species; None for the columns ``oxn`` or ``Qs``.
        with_integers: False to leave out oxidation numbers, for comparison with models that have
            their own.
        group_key: key of the groups in the comment lines; empty for no groups.
        origin: origin of dipoles of charged structures in the file; None to refuse these.

    Raises:
        ConfigError: the file cannot be read, a label is missing or has a wrong shape, or oxidation
            numbers are missing, are not integers, or do not add up to zero without ``origin``.
    """
    path = Path(path)
    frames = list(iterate_atoms(path))
    labelled = _label(path, frames, wanted, oxidation_numbers, with_integers, origin)
    if not group_key:
        return list(labelled)
    return [
        replace(one, group=_group(atoms, group_key, f"{path}, structure {one.index}"))
        for one, atoms in zip(labelled, frames, strict=True)
    ]


def find_labels(path: Path, labels: Mapping[str, Label]) -> list[str]:
    """Return the names of the labels that the first structure of a file has.

    Raises:
        ConfigError: the file cannot be read.
    """
    atoms = _first(path)
    return [name for name, label in labels.items() if _value(atoms, name, label) is not None]


def known_keys(path: Path) -> list[str]:
    """Return the keys and columns of the first structure of a file that may be labels, sorted.

    Raises:
        ConfigError: the file cannot be read.
    """
    atoms = _first(path)
    return _keys(atoms.info, atoms.arrays, atoms.calc.results if atoms.calc is not None else {})


def _keys(*places: Mapping[str, Any]) -> list[str]:
    return sorted({str(key) for key in chain(*places)} - {"numbers", "positions"})


def _first(path: Path) -> Atoms:
    with contextlib.closing(iterate_atoms(path)) as frames:
        atoms = next(frames, None)
    if atoms is None:
        raise ConfigError(f"{path}: has no structures; name a file with labelled structures")
    return atoms


def species_of(labelled: Sequence[LabelledStructure]) -> tuple[int, ...]:
    """Return the atomic numbers of a data set, sorted."""
    return tuple(sorted({int(z) for one in labelled for z in one.structure.numbers}))


def numbers_by_species(labelled: Sequence[LabelledStructure]) -> dict[str, int] | None:
    """Return oxidation numbers of a data set by species; None if atoms of one species differ."""
    numbers: dict[int, int] = {}
    for one in labelled:
        integers = one.oxidation_numbers
        if integers is None:
            return None
        for z, n in zip(one.structure.numbers.tolist(), integers.tolist(), strict=True):
            if numbers.setdefault(z, n) != n:
                return None
    return {chemical_symbols[z]: n for z, n in sorted(numbers.items())}


def _label(
    path: Path,
    frames: Sequence[Atoms],
    wanted: Mapping[str, Label],
    oxidation_numbers: OxidationNumbers | None,
    with_integers: bool,
    origin: Origin | None,
) -> Iterator[LabelledStructure]:
    for index, atoms in enumerate(frames):
        where = f"{path}, structure {index} (counted from 0)"
        try:
            structure = Structure(*from_atoms(atoms))
        except EvaluationError as error:
            raise ConfigError(f"{where}: {error}") from error
        labels = {name: _find(atoms, name, label, where) for name, label in wanted.items()}
        integers = None
        if {"dipole", "born_charges"} & wanted.keys() and with_integers:
            integers = find_integers(atoms, structure, oxidation_numbers, where, origin)
            labels = _charged(labels, integers, atoms, origin)
        weights = _weights(atoms, wanted, where)
        theory = str(atoms.info.get(THEORY, ""))
        yield LabelledStructure(index, structure, labels, integers, weights, theory)


def _charged(
    labels: Mapping[str, Array], integers: Integers, atoms: Atoms, origin: Origin | None
) -> dict[str, Array]:
    """Return labels with dipoles from the origin of positions, and Born charges that add up."""
    charge, labels = int(integers.sum()), dict(labels)
    if charge and origin and "dipole" in labels:
        labels["dipole"] = about_positions(labels["dipole"], integers, atoms, origin)
    if charge and "born_charges" in labels:
        labels["born_charges"] = labels["born_charges"] + charge / len(atoms) * np.eye(3)
    return labels


def _weights(atoms: Atoms, wanted: Mapping[str, Label], where: str) -> dict[str, float]:
    """Return the weights that differ from 1, from the keys that MACE reads."""
    weights = {}
    for name in wanted:
        keys = (key for key in (WEIGHT, f"config_{name}_weight") if key in atoms.info)
        found = {key: float(read_numbers(atoms.info[key], (), f"{where}: {key!r}")) for key in keys}
        if negative := [key for key, value in found.items() if value < 0.0]:
            raise ConfigError(f"{where}: {negative[0]} is negative; give 0 or a positive number")
        if (weight := math.prod(found.values())) != 1.0:
            weights["virials" if name == "stress" else name] = weight
    return weights


def _group(atoms: Atoms, key: str, where: str) -> str:
    if key not in atoms.info:
        raise ConfigError(
            f"{where} (counted from 0): there is no {key!r} for --test-group; the comment line "
            f"has {', '.join(sorted(map(str, atoms.info))) or 'no keys'}"
        )
    return f"{key} = {atoms.info[key]}"


def _places(atoms: Atoms, name: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Return the mappings that may contain a label: ASE moves some keys into a calculator."""
    results: Mapping[str, Any] = atoms.calc.results if atoms.calc is not None else {}
    return (atoms.arrays if labelled(name).per == "atom" else atoms.info, results)


def _value(atoms: Atoms, name: str, label: Label) -> Any:
    return next((place[label.key] for place in _places(atoms, name) if label.key in place), None)


def _option(name: str) -> str:
    """Return the option of ``mlobs train`` that names a label."""
    return "--key" if name in {"dipole", "polarizability"} else f"--{name.replace('_', '-')}-key"


def _find(atoms: Atoms, name: str, label: Label, where: str) -> Array:
    value = _value(atoms, name, label)
    if value is None:
        known = _keys(*_places(atoms, name))
        raise ConfigError(
            f"{where}: there is no {label.key!r} for the {name}; it has {', '.join(known)}; give "
            f"{_option(name)} (mlobs calibrate: --key {name}=KEY)"
        )
    if name == "stress" and np.size(value) == 6:
        value = voigt_6_to_full_3x3_stress(value)
    row = labelled(name)
    shape = (len(atoms), *row.axes) if row.per == "atom" else row.axes
    array = np.asarray(label.unit * read_numbers(value, shape, f"{where}: {label.key!r}"))
    if row.is_symmetric:
        return np.asarray(0.5 * (array + array.swapaxes(-1, -2)))
    if name == "born_charges":
        array = array.swapaxes(1, 2) if label.transposed else array
        return np.asarray(array - array.mean(axis=0))
    return array
