r"""Charge carried around a closed path: how far the dipole winds, and what it says of an atom.

Where a path ends in the structure where it began, the dipole has changed by whole quanta, e times
lattice vectors. If one atom alone has moved, by a lattice vector, the integer is its oxidation
number; if several have changed places, it is the charge that has gone around. Both need no
partition of the electrons, and a path on which the system stays an insulator.

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
"""How far a number of quanta may be from an integer: far from one half, and above the noise of
labels and of ends that meet within :data:`CLOSED`."""

CLOSED: Final = 0.01 * ANGSTROM
"""How far an atom may be from where it has to be at the end of a path, bohr."""

MORE_IMAGES: Final = "put more images on the path"


@dataclass(frozen=True)
class Winding:
    """The dipole along a closed path.

    Attributes:
        quanta: shape ``(t, 3)``, from the start, in e x lattice vectors, without jumps.
        turns: shape ``(3,)``, the integers at the end: charge times how often it has gone around
            along each lattice vector.
    """

    quanta: Array
    turns: Integers


@dataclass(frozen=True)
class OxidationNumber:
    """What the path of one atom into its periodic image says.

    Attributes:
        atom: which one, counted from 0.
        value: the oxidation number.
        before_rounding: the same as the labels have it.
        images: shape ``(3,)``, by how many lattice vectors of each kind the atom has moved.
        along: shape ``(t,)``, the dipole from the start of the path in quanta, e times that
            lattice vector: from 0 to the oxidation number.
    """

    atom: int
    value: int
    before_rounding: float
    images: Integers
    along: Array


def curve_along_path(along: Array, label: str, quantum: str = "e a") -> Curve:
    """The dipole along a path as a curve, against the fraction of the path.

    Args:
        along: shape ``(t,)``, the dipole from the start of the path, in quanta.
        label: name in the legend of a figure.
        quantum: what one quantum is.

    Raises:
        RecordError: fewer than two images.
    """
    fraction = np.linspace(0.0, 1.0, len(along))
    return Curve.of_one_series(
        "dipole from the start", quantum, "fraction of the path", "1", fraction, along, label
    )


def wind(dipoles: Array, cell: Array, tolerance: float = TOLERANCE) -> Winding:
    """Follow the dipole along a closed path, whatever the branch of each label.

    Args:
        dipoles: shape ``(t, 3)``, e bohr, in the order of the path; the last structure is the
            first again, up to lattice vectors and the order of equal atoms.
        cell: shape ``(3, 3)``, bohr, lattice vectors are rows.
        tolerance: how far the number of quanta may be from integers.

    Raises:
        RecordError: a step is too large to tell a jump of branch from motion, or the change is
            not one of whole quanta: the path is not closed, or the system was a metal on it.
    """
    _check_tolerance(tolerance)
    continuous = unwrap_dipole(dipoles, cell, remedy=MORE_IMAGES)
    quanta = in_quanta(continuous - continuous[0], cell)
    turns = np.rint(quanta[-1])
    if np.abs(quanta[-1] - turns).max() > tolerance:
        raise RecordError(
            f"the dipole changes by {_vector(quanta[-1])} quanta (e x lattice vectors) along the "
            f"path: these are not integers within {tolerance:g}; the path is not closed, or the "
            "labels are not of one insulating state (or not in the unit that you say)"
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
    """Return the oxidation number of an atom from its path into a periodic image of itself.

    Args:
        positions: shape ``(t, n_atoms, 3)``, bohr, wrapped or not; the others may move as they
            like, but return.
        dipoles: shape ``(t, 3)``, e bohr, each on any branch.
        cell: shape ``(3, 3)``, bohr, lattice vectors are rows; the same along the path.
        atom: which one has moved, counted from 0.
        tolerance: how far the number may be from an integer.
        closed: how far atoms may be from where they have to be at the end, bohr.

    Raises:
        ConfigError: there is no such atom.
        RecordError: the path is not closed or ends where it began, has too few images, or the
            change of the dipole is not an integer times e times the lattice vector by which the
            atom has moved.
    """
    images = find_images(positions, cell, atom, closed)
    if len(dipoles) != len(positions):
        raise RecordError(f"{len(positions)} images on the path have {len(dipoles)} dipoles")
    _check_tolerance(tolerance)
    continuous = unwrap_dipole(dipoles, cell, remedy=MORE_IMAGES)
    quanta = in_quanta(continuous - continuous[0], cell)
    along = quanta @ images / (images @ images)
    across = quanta[-1] - along[-1] * images
    moved = _vector(images, 0)
    if np.abs(across).max() > tolerance:
        raise RecordError(
            f"the dipole changes by {_vector(quanta[-1])} quanta (e x lattice vectors) while atom "
            f"{atom} moves by {moved} lattice vectors: this is no multiple of the other; something "
            "else carries charge along this path"
        )
    number = int(np.rint(along[-1]))
    if abs(along[-1] - number) > tolerance:
        raise RecordError(
            f"the dipole changes by {along[-1]:.3f} e times the lattice vector by which atom "
            f"{atom} moves: not an integer within {tolerance:g}; the labels are not of one "
            "insulating state, not of a multi-valued model, or not in the unit that you say"
        )
    return OxidationNumber(atom, number, float(along[-1]), images, np.asarray(along))


def find_images(positions: Array, cell: Array, atom: int, closed: float = CLOSED) -> Integers:
    """Return by how many lattice vectors of each kind an atom has moved along a closed path.

    Args:
        positions: shape ``(t, n_atoms, 3)``, bohr, wrapped or not.
        cell: shape ``(3, 3)``, bohr, lattice vectors are rows.
        atom: counted from 0.
        closed: how far atoms may be from where they have to be at the end, bohr.

    Returns:
        Shape ``(3,)``, not all zero.

    Raises:
        ConfigError: there is no such atom.
        RecordError: the path is not closed, or ends where it began, or its steps are too large to
            follow.
    """
    checked = check_series(positions, "positions of the path")
    if checked.ndim != 3 or checked.shape[-1] != 3:
        raise RecordError(f"positions must have shape (t, n_atoms, 3), got {checked.shape}")
    if not 0 <= atom < checked.shape[1]:
        raise ConfigError(
            f"there is no atom {atom}: the path has {checked.shape[1]}, counted from 0"
        )
    fractional = in_quanta(checked, cell)
    steps = np.diff(fractional, axis=0)
    steps -= np.rint(steps)  # wrapped positions jump
    if np.abs(steps).max() > 0.4:
        t, which, _ = np.unravel_index(int(np.abs(steps).argmax()), steps.shape)
        raise RecordError(
            f"atom {which} moves by {_vector(steps[t, which])} lattice vectors from image {t} to "
            f"{t + 1}: which way it goes cannot be told; {MORE_IMAGES}"
        )
    moved = steps.sum(axis=0)  # [I, lattice vector]
    _check_closed(moved, cell, atom, closed)
    return np.asarray(np.rint(moved[atom]), dtype=np.int64)


def _check_closed(moved: Array, cell: Array, atom: int, closed: float) -> None:
    images = np.rint(moved[atom])
    left = moved.copy()
    left[atom] -= images
    distances = np.linalg.norm(left @ cell, axis=1)
    if distances[atom] > closed:
        raise RecordError(
            f"the path is not closed: atom {atom} moves by {_vector(moved[atom])} lattice vectors, "
            f"which is {distances[atom] / ANGSTROM:.3g} angstrom from an image of where it began"
        )
    if not images.any():
        others = np.flatnonzero(np.rint(moved).any(axis=1))
        hint = f"; atom {others[0]} does" if len(others) else ", as no atom does"
        raise RecordError(
            f"atom {atom} ends where it began, so it carries no charge through the cell and has no "
            f"oxidation number on this path; it has to end in another image of itself{hint}"
        )
    worst = int(np.argmax(distances))
    if distances[worst] > closed:
        raise RecordError(
            f"the path is not closed: atom {worst} ends {distances[worst] / ANGSTROM:.3g} angstrom "
            f"from where it began ({_vector(moved[worst])} lattice vectors); all but atom {atom} "
            "have to return, and not in another image"
        )


def _check_tolerance(tolerance: float) -> None:
    if not 0.0 < tolerance < 0.5:
        raise ConfigError(f"tolerance = {tolerance}: must lie between 0 and 0.5 quanta")


def _vector(values: Array | Integers, decimals: int = 3) -> str:
    # adding zero takes the sign of what is rounded to zero
    return "(" + ", ".join(f"{round(value, decimals) + 0.0:.{decimals}f}" for value in values) + ")"
