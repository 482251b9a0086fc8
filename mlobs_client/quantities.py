"""THE table of observables: what each is called, its shape, unit and meaning.

All else that depends on an observable is read from its row: the names of its members in a
committee, the column of a record, the key in extras, which derivatives are compared with
differences, the unit and the components in a report of training, and the table of a client file.

``wire_name`` is the key in the JSON extras of i-PI; where it differs from ours, other programs
already read that key. Large quantities go to the record, small ones may travel in the extras.

Members are sent as i-PI's ffcommittee writes them, mean + alpha (member - mean), with the
calibration ``alpha`` of their quantity, so that their standard deviation is the calibrated spread.
An ffcommittee that reads them has an alpha of its own, which comes on top: leave it at 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from mlobs_client.units import USER_UNITS, UserUnit

Per = Literal["structure", "atom", "bead", "grid point"]

_SIZES: Final[dict[Per, tuple[str, ...]]] = {
    "structure": (),
    "atom": ("n_atoms",),
    "bead": ("n_beads",),
    "grid point": ("n_points",),
}


@dataclass(frozen=True)
class Derivative:
    """The claim of an observable to be the derivative of another.

    Attributes:
        of: the name of another observable of the same model.
        by: of R, whose Cartesian axis is the last one and whose atom is the first one behind the
            members, or of the strain, whose two axes are the last ones.
        sign: -1 for forces and virials.
    """

    of: str
    by: Literal["positions", "strain"] = "positions"
    sign: int = 1


@dataclass(frozen=True)
class Quantity:
    """One row of the table.

    Attributes:
        name: our name.
        unit: Hartree atomic units, written out; :data:`mlobs_client.units.USER_UNITS` has the same
            for users.
        meaning: with sign and index order.
        wire_name: key in the extras of i-PI.
        per: what there is one value of it for.
        axes: sizes of one value.
        is_symmetric: whether its last two axes can be exchanged.
        derivative: what it is the derivative of, if it is one.
        table: of its models in a client file; empty for what comes along with another observable.
        label: where data sets have it, if nothing else is said; empty if that has to be said.
        members: the name of the same of each member of a committee; empty if there is no such row.
        spread: the name of the standard deviation over the members; of single numbers only.
        members_of: what this is of each member; their axis is then the first one.
    """

    name: str
    unit: str
    meaning: str
    wire_name: str
    per: Per = "structure"
    axes: tuple[int, ...] = ()
    is_symmetric: bool = False
    derivative: Derivative | None = None
    table: str = ""
    label: str = ""
    members: str = ""
    spread: str = ""
    members_of: str = ""

    @property
    def shape(self) -> tuple[int | str, ...]:
        """Sizes, with ``"n_members"``, ``"n_atoms"``, ... as symbols."""
        of_members = ("n_members",) if self.members_of else ()
        return (*of_members, *_SIZES[self.per], *self.axes)

    @property
    def large(self) -> bool:
        """True for what is too large for text extras at every step."""
        return self.per != "structure"

    @property
    def to_users(self) -> UserUnit:
        """The unit that users and ASE have, and its factor."""
        return USER_UNITS[self.unit]

    @property
    def components(self) -> dict[str, int]:
        """Where the components of one value stand, flattened, by name; a symmetric one once."""
        if not self.axes:
            return {self.name: 0}
        names = ("xyz" if size == 3 else map(str, range(size)) for size in self.axes)
        return {
            "".join(place): i
            for i, place in enumerate(product(*names))
            if not self.is_symmetric or place[-2] <= place[-1]
        }


_COMMITTEE_KEYS: Final = {"energy": "committee_pot"}
"""Where i-PI's ffcommittee has another key than ``committee_`` and that of the quantity."""


def rows_of(row: Quantity) -> Iterator[Quantity]:
    """A row, and those that follow from it: of its members, and of their spread."""
    yield row
    if row.members:
        said = row.name.replace("_", " ")
        meaning = f"{said} of each member, spread out by alpha about the mean"
        key = _COMMITTEE_KEYS.get(row.name, f"committee_{row.wire_name}")
        one = (row.per, row.axes, row.is_symmetric)
        yield Quantity(row.members, row.unit, meaning, key, *one, members_of=row.name)
    if row.spread:
        meaning = f"std(ddof=1) of {row.members}: alpha is in it"
        yield Quantity(row.spread, row.unit, meaning, row.spread)


_ROWS: Final = (
    Quantity(
        "energy", "Eh", "potential energy at zero field", "energy",
        table="potential", label="energy", members="committee_energies", spread="energy_spread",
    ),
    Quantity(
        "forces", "Eh/bohr",
        "-dE/dR with all that the client file has, also a field: what i-PI gets", "forces",
        per="atom", axes=(3,), label="forces",
    ),
    Quantity(
        "committee_forces", "Eh/bohr", "-dE_m/dR of each member, with the alpha of the energies",
        "committee_force", per="atom", axes=(3,),
        derivative=Derivative("committee_energies", "positions", -1), members_of="forces",
    ),
    Quantity(
        "committee_virials", "Eh", "-dE_m/d(strain) of each member, with the alpha of the energies",
        "committee_virial", axes=(3, 3), is_symmetric=True,
        derivative=Derivative("committee_energies", "strain", -1), members_of="virials",
    ),
    Quantity(
        "dipole", "e bohr", "of the cell, modulo e x lattice vector", "dipole", axes=(3,),
        table="dipole", label="dipole", members="committee_dipoles",
    ),
    Quantity(
        "born_charges", "e", "[I,i,j] = d dipole_i/d R_Ij", "BEC", per="atom", axes=(3, 3),
        derivative=Derivative("dipole"),
    ),
    Quantity(
        "polarizability", "bohr^3", "[i,k] = d dipole_i/d E_k", "polarizability", axes=(3, 3),
        is_symmetric=True, table="polarizability", label="polarizability",
        members="committee_polarizabilities",
    ),
    Quantity(
        "polarizability_gradient", "bohr^2", "[I,i,k,j] = d alpha_ik/d R_Ij",
        "polarizability_gradient", per="atom", axes=(3, 3, 3),
        derivative=Derivative("polarizability"),
    ),
    Quantity(
        "positions", "bohr", "unwrapped, in full precision", "positions", per="atom", axes=(3,)
    ),
)  # fmt: skip

QUANTITIES: Final[dict[str, Quantity]] = {
    row.name: row for given in _ROWS for row in rows_of(given)
}

OF_DATA_SETS: Final = (
    Quantity(
        "virials", "Eh", "-dE/d(strain)", "virials", axes=(3, 3), is_symmetric=True, label="virial"
    ),
    Quantity(
        "stress", "Eh/bohr^3", "-virials/V", "stress", axes=(3, 3), is_symmetric=True,
        label="stress",
    ),
)  # fmt: skip
"""Labels of data sets that a client has under no name."""

IN_IPI: Final = frozenset({"energy", "forces", "positions"})
"""What i-PI has anyway, so that no client sends it in extras."""


def sent_as(key: str) -> Quantity | None:
    """The observable with this key in extras, if there is one."""
    return next((row for row in QUANTITIES.values() if row.wire_name == key), None)


def predicted() -> Iterator[Quantity]:
    """The rows that models predict: those that have a table in a client file."""
    return (row for row in QUANTITIES.values() if row.table)


def labelled(name: str) -> Quantity:
    """The row that data sets call by this name, an observable or not."""
    return next((row for row in OF_DATA_SETS if row.name == name), None) or QUANTITIES[name]


def of_members() -> dict[str, Quantity]:
    """The rows of members, by what they are of each member."""
    return {row.members_of: row for row in QUANTITIES.values() if row.members_of}


def derivatives_of(name: str) -> frozenset[str]:
    """Names of the observables that are derivatives of an observable."""
    rows = QUANTITIES.values()
    return frozenset(row.name for row in rows if row.derivative and row.derivative.of == name)


def spread_by_alpha(row: Quantity) -> frozenset[str]:
    """Names of the observables that have the alpha of a quantity in them."""
    return frozenset({row.members, row.spread} - {""}) | derivatives_of(row.members)


def of_one_committee(row: Quantity) -> frozenset[str]:
    """Names of all observables that a committee for one quantity gives."""
    return frozenset({row.name}) | spread_by_alpha(row) | derivatives_of(row.name)


def symmetric_components(tensors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Six components of symmetric tensors whose squares add up to those of all nine.

    Args:
        tensors: shape ``(..., 3, 3)``; of others, the symmetric part is taken.

    Returns:
        Shape ``(..., 6)``: xx, yy, zz, sqrt(2) yz, sqrt(2) xz, sqrt(2) xy.
    """
    diagonal = np.diagonal(tensors, axis1=-2, axis2=-1)
    rows, columns = [1, 0, 0], [2, 2, 1]
    others = (tensors[..., rows, columns] + tensors[..., columns, rows]) / np.sqrt(2.0)
    return np.concatenate([diagonal, others], axis=-1)
