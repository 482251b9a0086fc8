r"""Charge transported along a closed path, and oxidation numbers.

If a path ends in the structure in which it started, the dipole has changed by whole quanta, e times
lattice vectors. If one atom alone has moved by a lattice vector, the integer is its oxidation
number; if several have exchanged places, it is the transported charge. Neither needs a partition of
the electrons, but the system must be an insulator along the whole path.

Source:
    Jiang, Levchenko, Rappe, PRL 108, 166403 (2012).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from mlobs_client.analysis.branches import in_quanta, unwrap_dipole
from mlobs_client.errors import ConfigError, RecordError
from mlobs_client.results.curve import Curve
from mlobs_client.results.estimate import check_series
from mlobs_client.structure import Array, Integers
from mlobs_client.units import ANGSTROM

TOLERANCE: Final = 0.05
"""Largest deviation of quanta from an integer: far below one half, and above the noise of labels
and of ends that agree within :data:`CLOSED`."""

CLOSED: Final = 0.01 * ANGSTROM
"""Largest distance of an atom from its expected position at the end of a path, bohr."""

MORE_IMAGES: Final = "put more images on the path"


@dataclass(frozen=True)
class Winding:
    """The dipole along a closed path.

    Attributes:
        quanta: change of the dipole from the start, without jumps, shape ``(t, 3)``, quanta (e x
            lattice vector).
        turns: integers at the end, shape ``(3,)``, the charge that has crossed the cell along each
            lattice vector, e.
    """

    quanta: Array
    turns: Integers


@dataclass(frozen=True)
class OxidationNumber:
    """The oxidation number of an atom, from its path to a periodic image.

    Attributes:
        atom: index of the atom, from 0.
        value: the oxidation number.
        before_rounding: the number before rounding to an integer.
        images: displacement of the atom, shape ``(3,)``, lattice vectors.
        along: change of the dipole along the path in quanta, e times the displacement, shape
            ``(t,)``: from 0 to the oxidation number.
    """

    atom: int
    value: int
    before_rounding: float
    images: Integers
    along: Array


def curve_along_path(along: Array, label: str, quantum: str = "e a") -> Curve:
    """Return the dipole along a path as a function of the fraction of the path.

    Args:
        along: change of the dipole from the start of the path, shape ``(t,)``, quanta.
        label: label in the legend of a figure.
        quantum: unit that equals one quantum.

    Raises:
        RecordError: there are fewer than two images.
    """
    fraction = np.linspace(0.0, 1.0, len(along))
    return Curve.of_one_series(
        "dipole from the start", quantum, "fraction of the path", "1", fraction, along, label
    )


def wind(dipoles: Array, cell: Array, tolerance: float = TOLERANCE) -> Winding:
    """Follow the dipole along a closed path, with labels on any branch.

    Args:
        dipoles: dipoles in the order of the path, shape ``(t, 3)``, e bohr; the last structure is
            the first one, up to lattice vectors and permutations of equal atoms.
        cell: shape ``(3, 3)``, bohr, lattice vectors are rows.
        tolerance: largest deviation from integers, quanta.

    Raises:
        ConfigError: the tolerance is invalid.
        RecordError: a step is too large to tell a jump to another branch from motion, or the change
            is not a whole number of quanta: the path is not closed, or the system was metallic on
            it.
    """
    _check_tolerance(tolerance)
    continuous = unwrap_dipole(dipoles, cell, remedy=MORE_IMAGES)
    quanta = in_quanta(continuous - continuous[0], cell)
    turns = np.rint(quanta[-1])
    if np.abs(quanta[-1] - turns).max() > tolerance:
        raise RecordError(
            f"the dipole changes by {_vector(quanta[-1])} quanta (e x lattice vectors) along the "
            f"path: these are not integers within {tolerance:g}; the path is not closed, or the "
            "labels are not of one insulating state, or not in the given unit"
        )
    return Winding(quanta, turns.astype(np.int64))


def oxidation_number(
    positions: Array,
    dipoles: Array,
    cell: Array,
    atom: int,
    *,
    tolerance: float = TOLERANCE,
    closed: float = CLOSED,
) -> OxidationNumber:
    """Return the oxidation number of an atom from its path to a periodic image of itself.

    Args:
        positions: positions along the path, wrapped or not, shape ``(t, n_atoms, 3)``, bohr; all
            other atoms may move, but must return.
        dipoles: shape ``(t, 3)``, e bohr, each on any branch.
        cell: shape ``(3, 3)``, bohr, lattice vectors are rows; constant along the path.
        atom: index of the atom that moves, from 0.
        tolerance: largest deviation of the number from an integer.
        closed: largest distance of an atom from its expected position at the end, bohr.

    Raises:
        ConfigError: there is no such atom, or the tolerance is invalid.
        RecordError: the path is not closed, ends where it started, or has too few images, or the
            change of the dipole is not an integer times e times the displacement of the atom.
    """
    images = find_images(positions, cell, atom, closed)
    if len(dipoles) != len(positions):
        raise RecordError(
            f"the path has {len(positions)} images, but {len(dipoles)} dipoles; give one for each"
        )
    _check_tolerance(tolerance)
    continuous = unwrap_dipole(dipoles, cell, remedy=MORE_IMAGES)
    quanta = in_quanta(continuous - continuous[0], cell)
    along = quanta @ images / (images @ images)
    across = quanta[-1] - along[-1] * images
    moved = _vector(images, 0)
    if np.abs(across).max() > tolerance:
        raise RecordError(
            f"the dipole changes by {_vector(quanta[-1])} quanta (e x lattice vectors) while atom "
            f"{atom} moves by {moved} lattice vectors: the first is no multiple of the second; "
            "other atoms carry charge along this path"
        )
    number = int(np.rint(along[-1]))
    if abs(along[-1] - number) > tolerance:
        raise RecordError(
            f"the dipole changes by {along[-1]:.3f} e times the lattice vector by which atom "
            f"{atom} moves: not an integer within {tolerance:g}; the labels are not of one "
            "insulating state, not of a multi-valued model, or not in the given unit"
        )
    return OxidationNumber(atom, number, float(along[-1]), images, np.asarray(along))


def find_images(positions: Array, cell: Array, atom: int, closed: float = CLOSED) -> Integers:
    """Return the displacement of an atom along a closed path, in lattice vectors.

    Args:
        positions: positions along the path, wrapped or not, shape ``(t, n_atoms, 3)``, bohr.
        cell: shape ``(3, 3)``, bohr, lattice vectors are rows.
        atom: index of the atom, from 0.
        closed: largest distance of an atom from its expected position at the end, bohr.

    Returns:
        Integers, shape ``(3,)``, not all zero.

    Raises:
        ConfigError: there is no such atom.
        RecordError: the path is not closed, ends where it started, or has steps that are too
            large.
    """
    checked = check_series(positions, "positions of the path")
    if checked.ndim != 3 or checked.shape[-1] != 3:
        raise RecordError(f"positions must have shape (t, n_atoms, 3), got {checked.shape}")
    if not 0 <= atom < checked.shape[1]:
        raise ConfigError(
            f"there is no atom {atom}: the path has {checked.shape[1]} atoms, counted from 0"
        )
    fractional = in_quanta(checked, cell)
    steps = np.diff(fractional, axis=0)
    steps -= np.rint(steps)  # wrapped positions jump
    if np.abs(steps).max() > 0.4:
        t, which, _ = np.unravel_index(int(np.abs(steps).argmax()), steps.shape)
        raise RecordError(
            f"atom {which} moves by {_vector(steps[t, which])} lattice vectors from image {t} to "
            f"{t + 1}: its direction cannot be determined; {MORE_IMAGES}"
        )
    moved = steps.sum(axis=0)  # [I, lattice vector]
    _check_closed(moved, cell, atom, closed)
    return np.asarray(np.rint(moved[atom]), dtype=np.int64)


def _check_closed(moved: Array, cell: Array, atom: int, closed: float) -> None:
    images = np.rint(moved[atom])
    remainders = moved.copy()
    remainders[atom] -= images
    distances = np.linalg.norm(remainders @ cell, axis=1)
    if distances[atom] > closed:
        raise RecordError(
            f"the path is not closed: atom {atom} moves by {_vector(moved[atom])} lattice vectors, "
            f"which is {distances[atom] / ANGSTROM:.3g} angstrom from an image of where it started"
        )
    if not images.any():
        others = np.flatnonzero(np.rint(moved).any(axis=1))
        hint = f"; atom {others[0]} does" if len(others) else ", as no atom does"
        raise RecordError(
            f"atom {atom} ends where it started, so it carries no charge through the cell and has "
            f"no oxidation number on this path; it has to end at another image of itself{hint}"
        )
    worst = int(np.argmax(distances))
    if distances[worst] > closed:
        raise RecordError(
            f"the path is not closed: atom {worst} ends {distances[worst] / ANGSTROM:.3g} angstrom "
            f"from where it started ({_vector(moved[worst])} lattice vectors); all but atom {atom} "
            "have to return, and not to another image"
        )


def _check_tolerance(tolerance: float) -> None:
    if not 0.0 < tolerance < 0.5:
        raise ConfigError(f"tolerance = {tolerance}: must lie between 0 and 0.5 quanta")


def _vector(values: Array | Integers, decimals: int = 3) -> str:
    # adding zero removes the sign of a negative zero
    return "(" + ", ".join(f"{round(value, decimals) + 0.0:.{decimals}f}" for value in values) + ")"
