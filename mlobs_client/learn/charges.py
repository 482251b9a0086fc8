"""Find the oxidation numbers of labelled structures, and the origin of dipoles of charged ones."""

from __future__ import annotations

from textwrap import shorten
from typing import Any, Final, Literal

import numpy as np
from ase import Atoms

from mlobs_client.errors import ConfigError
from mlobs_client.evaluate.oxidation import OxidationNumbers
from mlobs_client.structure import Array, Integers, Structure

INTEGER_ARRAYS: Final = ("oxn", "Qs")
"""Names of the columns with oxidation numbers in data sets."""

Origin = Literal["mass", "charge", "positions"]
"""Origin of dipoles of charged structures: the centre of mass, the centre of nuclear charges, or
the origin of the positions."""


def find_integers(
    atoms: Atoms,
    structure: Structure,
    numbers: OxidationNumbers | None,
    where: str,
    origin: Origin | None,
) -> Integers:
    """Return the oxidation number of each atom, shape ``(n_atoms,)``.

    Args:
        atoms: the structure, with its columns.
        structure: the same.
        numbers: oxidation numbers of the species; None for those of the columns.
        where: place of the structure, for errors.
        origin: origin of dipoles of charged structures; None to refuse these.

    Raises:
        ConfigError: oxidation numbers are missing or are not integers, or the structure is charged
            and its dipole has no origin.
    """
    if numbers is None:
        integers = _of_column(atoms, any(structure.pbc), where, origin)
    else:
        integers = numbers.of(structure)
    charge = int(integers.sum())
    if charge and origin is None:
        raise ConfigError(
            f"{where}: the oxidation numbers add up to {charge:+d} e; the dipole of a charged "
            "structure depends on the origin: correct --oxidation-numbers, or the column, or name "
            "the origin with --origin"
        )
    if charge and origin != "positions" and any(structure.pbc):
        raise ConfigError(
            f"{where}: it is periodic and has the charge {charge:+d} e, and a centre of {origin} "
            "that depends on the images of atoms; give dipoles for --origin positions"
        )
    return integers


def _of_column(atoms: Atoms, is_periodic: bool, where: str, origin: Origin | None) -> Integers:
    column = next((name for name in INTEGER_ARRAYS if name in atoms.arrays), None)
    if column is None and origin is not None:
        raise ConfigError(
            f"{where}: --origin needs oxidation numbers, whose sum is the charge; give "
            "--oxidation-numbers O=-2,H=1, or add a column oxn with one number per atom"
        )
    if column is None and not is_periodic:
        return np.zeros(len(atoms), dtype=np.int64)
    if column is None:
        raise ConfigError(
            f"{where}: a periodic dipole is known only modulo quanta, so it needs oxidation "
            "numbers; give --oxidation-numbers O=-2,H=1, or add a column oxn with one number "
            "per atom"
        )
    values = read_numbers(atoms.arrays[column], (len(atoms),), f"{where}: the column {column}")
    broken = np.flatnonzero(values != np.round(values))
    if len(broken):
        raise ConfigError(
            f"{where}: the column {column} has numbers that are not integers: "
            f"{values[broken[0]]:g} for atom {broken[0]}"
        )
    return np.array(values, dtype=np.int64)


def about_positions(label: Array, integers: Integers, atoms: Atoms, origin: Origin) -> Array:
    """Return a dipole with the origin of the positions, shape ``(3,)``, e angstrom.

    Args:
        label: dipole with another origin, shape ``(3,)``, e angstrom.
        integers: oxidation numbers, which add up to the charge, shape ``(n_atoms,)``.
        atoms: the structure.
        origin: origin of the label.
    """
    if origin == "positions":
        return label
    weights = atoms.get_masses() if origin == "mass" else atoms.numbers
    centre = weights @ atoms.positions / weights.sum()
    return np.asarray(label + integers.sum() * centre)


def read_numbers(value: Any, shape: tuple[int, ...], what: str) -> Array:
    """Return finite numbers with this shape.

    Raises:
        ConfigError: they are something else; the message begins with ``what``.
    """
    wanted = f"{what} must be {f'{shape} finite numbers' if shape else 'one finite number'}"
    try:
        array = np.array(value, dtype=np.float64).reshape(shape)
    except (TypeError, ValueError) as error:  # text, or another number of them
        raise ConfigError(f"{wanted}, got {shorten(repr(value), 80)}") from error
    if not np.isfinite(array).all():
        first = np.argwhere(~np.isfinite(array))[0]
        place = f" at {first.tolist()}" if shape else ""
        raise ConfigError(f"{wanted}, got {array[tuple(first)]}{place}")
    return array
