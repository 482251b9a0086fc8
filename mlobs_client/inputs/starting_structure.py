"""Read the structure that a run shall start from, in the form that i-PI needs.

i-PI wants a cell whose lattice vectors, as rows, are a lower triangle with a positive diagonal; it
wants one for a molecule, too. Constraints of ASE have no effect there unless they fix coordinates.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

import ase.io
import numpy as np
from ase import Atoms
from ase.constraints import FixCartesian

from mlobs_client.client.structure_file import split_constraints
from mlobs_client.errors import ConfigError
from mlobs_client.ipi.structure_formats import read_last
from mlobs_client.structure import Array, Integers, to_atoms
from mlobs_client.units import DALTON

Kind = Literal["molecule", "crystal", "slab", "liquid"]

MARGIN: Final = 10.0  # angstrom, on each side of the atoms, where a file has no lattice vector
LEAST_VACUUM: Final = 5.0  # angstrom; a slab needs as much
MUCH_VACUUM: Final = 8.0  # angstrom; a bulk material has no such gap
ORDINALS: Final = ("first", "second", "third")


@dataclass(frozen=True)
class Start:
    """A structure from which i-PI can start.

    Attributes:
        atoms: atoms of ASE with their masses; constraints are ``FixAtoms`` and ``FixCartesian``.
        kind: what the user says that it is, if anything.
        notes: sentences on what was changed, or may be meant otherwise.
    """

    atoms: Atoms
    kind: Kind | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def fixed(self) -> Integers:
        """Fixed coordinates ``3 I + i``, sorted, shape ``(n,)``."""
        return split_constraints(self.atoms.constraints)[0]

    @property
    def lightest(self) -> float:
        """Smallest mass of an atom, u."""
        return float(self.atoms.get_masses().min())

    @property
    def description(self) -> str:
        """The formula and the kind in words."""
        words = ("a molecule", "periodic along one vector", "a slab", self.kind or "periodic")
        formula = self.atoms.get_chemical_formula()
        return f"{formula} ({len(self.atoms)} atoms, {words[int(self.atoms.pbc.sum())]})"


def read_start(path: Path, kind: Kind | None = None) -> Start:
    """Read the last structure of a file.

    Args:
        path: any file that i-PI or ASE reads, also a trajectory or a RESTART.
        kind: decides on the periodicity; by default the file does.

    Raises:
        ConfigError: the file cannot be read, or i-PI cannot start from its structure.
    """
    if not path.is_file():
        what = "is a folder, and no file" if path.exists() else "does not exist"
        raise ConfigError(f"--structure {path} {what}; name the file with the atoms")
    content, n_frames = read_last(path)
    atoms = to_atoms(content.numbers, content.positions, content.cell, content.pbc)
    if content.masses is not None:
        atoms.set_masses(content.masses / DALTON)
    atoms.set_constraint(list(content.constraints))
    start = prepare(atoms, kind, str(path))
    if n_frames > 1:
        start.notes.insert(0, f"{path} has {n_frames} structures; the last one is taken.")
    return start


def prepare(atoms: Atoms, kind: Kind | None = None, name: str = "the structure") -> Start:
    """Bring atoms into the form that i-PI needs.

    Args:
        atoms: any atoms of ASE; they are copied.
        kind: decides on the periodicity; by default the atoms do.
        name: name of the structure in messages.

    Raises:
        ConfigError: i-PI cannot start from these atoms.
    """
    start = Start(_without_others(atoms), kind)
    _check_atoms(start, name)
    _set_periodicity(start, name)
    _complete_cell(start, name)
    _turn(start, name)
    return start


def _without_others(atoms: Atoms) -> Atoms:
    """Copy species, positions, cell, masses and constraints, but no tags, velocities or results."""
    masses = atoms.get_masses() if atoms.has("masses") else None
    return Atoms(
        atoms.numbers,
        atoms.positions,
        masses=masses,
        cell=atoms.cell,
        pbc=atoms.pbc,
        constraint=atoms.constraints,
    )


def _check_atoms(start: Start, name: str) -> None:
    if len(start.atoms) < 2:
        raise ConfigError(
            f"{name} has {len(start.atoms)} atoms, and i-PI keeps the centre of mass where it is, "
            "so nothing would move; name a file with more atoms, or repeat the cell"
        )
    if not np.isfinite(start.atoms.positions).all():
        raise ConfigError(f"{name} has positions that are not finite; correct them")
    if not start.atoms.numbers.all():
        atom = int(np.flatnonzero(start.atoms.numbers == 0)[0])
        raise ConfigError(f"{name}: atom {atom + 1} is of no element ('X'); remove it")
    _, others = split_constraints(start.atoms.constraints)
    if others:
        raise ConfigError(
            f"{name} has constraints that i-PI would ignore: {', '.join(others)}; remove them from "
            "the file (only FixAtoms and FixCartesian have a counterpart, <fixatoms>)"
        )


def _set_periodicity(start: Start, name: str) -> None:
    """Make the periodicity that of the kind; without a kind, point out vacuum."""
    atoms, pbc = start.atoms, start.atoms.pbc.copy()
    if start.kind is None:
        if pbc.all() and (gaps := find_gaps(atoms)).max() > MUCH_VACUUM:
            is_molecule = (gaps > MUCH_VACUUM).all()
            start.notes.append(
                f"{name} is periodic along all lattice vectors, with {gaps.max():.1f} angstrom of "
                f"vacuum along the {ORDINALS[int(gaps.argmax())]}; if that is not meant, say "
                f"'mlobs init {'molecule' if is_molecule else 'slab'} --structure ...'."
            )
        return
    if start.kind == "molecule":
        atoms.pbc = False
    elif start.kind == "slab" and pbc.all():
        gaps = find_gaps(atoms)
        if gaps.max() < LEAST_VACUUM:
            raise ConfigError(
                f"{name} has at most {gaps.max():.1f} angstrom of vacuum, and a slab needs "
                f"{LEAST_VACUUM:g}; make its cell longer, or say 'mlobs init crystal'"
            )
        atoms.pbc[int(gaps.argmax())] = False
    elif start.kind != "slab":
        atoms.pbc = True
    elif not pbc.any():
        raise ConfigError(
            f"{name} is not periodic, and a slab is; write its lattice vectors and pbc into the "
            'file (extended xyz: Lattice="..." pbc="T T F")'
        )
    if (atoms.pbc != pbc).any():
        start.notes.append(
            f"{name} says pbc = {pbc.tolist()}; a {start.kind} has {atoms.pbc.tolist()}."
        )


def find_gaps(atoms: Atoms) -> Array:
    """Return the widest layer without atoms across each lattice vector, angstrom, shape ``(3,)``.

    All are zero if the cell has no volume.
    """
    if atoms.cell.volume < 1e-6:
        return np.zeros(3)
    scaled = np.sort(np.linalg.solve(atoms.cell.array.T, atoms.positions.T).T % 1.0, axis=0)
    around = np.concatenate([scaled, scaled[:1] + 1.0])
    heights = 1.0 / np.linalg.norm(np.linalg.inv(atoms.cell.array), axis=0)
    return np.asarray(np.diff(around, axis=0).max(axis=0) * heights)


def _complete_cell(start: Start, name: str) -> None:
    """Add lattice vectors along which nothing repeats; i-PI wants them, but they act on nothing."""
    atoms = start.atoms
    missing = ~atoms.cell.array.any(axis=1)
    if (missing & atoms.pbc).any():
        axis = ORDINALS[int(np.flatnonzero(missing & atoms.pbc)[0])]
        raise ConfigError(
            f"{name} is periodic along its {axis} lattice vector, which is not there; write the "
            "lattice vectors into the file, or say 'mlobs init molecule' if it is one"
        )
    if np.linalg.matrix_rank(atoms.cell.array, tol=1e-6) < 3 - missing.sum():
        raise ConfigError(
            f"the lattice vectors of {name} have no volume: {atoms.cell.array.tolist()} angstrom; "
            "correct them in the file"
        )
    if not missing.any():
        return
    cell = atoms.cell.complete().array
    for axis in np.flatnonzero(missing):
        direction = cell[axis] / np.linalg.norm(cell[axis])
        cell[axis] = direction * (np.ptp(atoms.positions @ direction) + 2.0 * MARGIN)
    atoms.cell = cell
    lengths = " x ".join(f"{length:.1f}" for length in np.linalg.norm(cell[missing], axis=1))
    lacks = "no cell" if missing.all() else f"{3 - missing.sum()} of 3 lattice vectors"
    start.notes.append(
        f"{name} has {lacks}; i-PI gets {lengths} angstrom, which act on nothing, as the structure "
        "does not repeat there."
    )


def _turn(start: Start, name: str) -> None:
    """Turn cell and positions so that the lattice vectors are a lower triangle."""
    atoms = start.atoms
    if atoms.cell.handedness < 0:
        atoms.cell = -atoms.cell.array  # which span the same lattice
        start.notes.append(
            f"the lattice vectors of {name} are left-handed, so all three are reversed; the "
            "lattice is the same."
        )
    cell, rotation = atoms.cell.standard_form()
    is_turned = not np.allclose(rotation, np.eye(3), rtol=0.0, atol=1e-6)
    if is_turned and any(isinstance(one, FixCartesian) for one in atoms.constraints):
        raise ConfigError(
            f"{name} fixes single coordinates (FixCartesian), but i-PI needs the first lattice "
            "vector along x and the second in the xy plane; turn the structure before you fix them"
        )
    constraints, atoms.constraints = atoms.constraints, []
    atoms.positions = atoms.positions @ rotation.T if is_turned else atoms.positions
    atoms.cell = np.tril(cell.array)
    atoms.set_constraint(constraints)
    if is_turned:
        start.notes.append(
            f"{name} is turned as a whole, positions and cell, so that the first lattice vector is "
            "along x and the second in the xy plane, as i-PI needs; a field is in these axes."
        )


def render_structure(start: Start) -> str:
    """Return the structure as extended xyz, with masses of isotopes and fixed coordinates."""
    text = io.StringIO()
    ase.io.write(text, start.atoms, format="extxyz")
    return text.getvalue()
