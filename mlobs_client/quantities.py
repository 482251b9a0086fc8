"""The table of all observables: names, shapes, units and meanings.

Everything that depends on an observable is derived from its row: the names of its members in a
committee, the column of a record, the key in extras, the derivatives that are compared with finite
differences, the unit and the components in a training report, and the table of a client file.

``wire_name`` is the key in the JSON extras of i-PI; it differs from our name if other programs
already read that key. Large quantities are written to the record, small ones may be in the extras.

Members are sent as in i-PI's ffcommittee, as mean + alpha (member - mean) with the calibration
factor ``alpha`` of their quantity, so that their standard deviation is the calibrated spread. An
ffcommittee that reads them would apply its own alpha in addition: leave its alpha at 1.
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
    """The definition of an observable as a derivative of another one.

    Attributes:
        of: name of the observable differentiated, of the same model.
        by: variable of the derivative: positions, whose axis of atoms is the first one (after that
            of the members, if any) and whose Cartesian axis is the last; or strain, whose two axes
            are the last.
        sign: sign of the derivative, -1 for forces and virials.
    """

    of: str
    by: Literal["positions", "strain"] = "positions"
    sign: int = 1


@dataclass(frozen=True)
class Quantity:
    """One row of the table.

    Attributes:
        name: our name of the quantity.
        unit: Hartree atomic unit; :data:`mlobs_client.units.USER_UNITS` has the one that users see.
        meaning: its meaning, with sign and index order.
        wire_name: key in the extras of i-PI.
        per: the object to which one value belongs: the structure, an atom, a bead or a grid point.
        axes: shape of one value.
        is_symmetric: True if the last two axes can be interchanged.
        derivative: relation to the observable whose derivative it is, if any.
        table: name of the table of its models in a client file; empty if it accompanies another
            observable.
        label: default key in data sets; empty if the user has to give one.
        members: name of the row of committee members; empty if there is none.
        spread: name of the row of the standard deviation over members; for scalars only.
        members_of: name of the quantity if this is the row of its members, which are then counted
            by the first axis.
        wire_order: our axes in the order of i-PI, which merges all but the last of them into one;
            empty if the order of i-PI is ours.
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
    wire_order: tuple[int, ...] = ()

    @property
    def shape(self) -> tuple[int | str, ...]:
        """Shape, with symbols such as ``"n_members"`` and ``"n_atoms"``."""
        of_members = ("n_members",) if self.members_of else ()
        return (*of_members, *_SIZES[self.per], *self.axes)

    @property
    def large(self) -> bool:
        """True if its values are too large for text extras at every step."""
        return self.per != "structure"

    @property
    def to_users(self) -> UserUnit:
        """The unit that users see, the same as in ASE, and its factor."""
        return USER_UNITS[self.unit]

    @property
    def components(self) -> dict[str, int]:
        """Index of each component of a flattened value, by name, without symmetric repetitions."""
        if not self.axes:
            return {self.name: 0}
        names = ("xyz" if size == 3 else map(str, range(size)) for size in self.axes)
        return {
            "".join(place): i
            for i, place in enumerate(product(*names))
            if not self.is_symmetric or place[-2] <= place[-1]
        }

    def to_wire(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return a value as extras have it: rows and columns if there is a ``wire_order``.

        Args:
            values: array of :attr:`shape`, Hartree atomic units.
        """
        if not self.wire_order:
            return values
        return values.transpose(self.wire_order).reshape(-1, values.shape[self.wire_order[-1]])

    def from_wire(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Undo :meth:`to_wire`.

        Args:
            values: rows and columns as in extras, Hartree atomic units.

        Raises:
            ValueError: rows are missing.
        """
        if not self.wire_order:
            return values
        sizes = [size if isinstance(size, int) else -1 for size in self.shape]
        sent = values.reshape([sizes[axis] for axis in self.wire_order])
        return sent.transpose(np.argsort(self.wire_order))


_COMMITTEE_KEYS: Final = {"energy": "committee_pot"}
"""Keys of i-PI's ffcommittee that are not ``committee_`` followed by the key of the quantity."""


def rows_of(row: Quantity) -> Iterator[Quantity]:
    """Yield a row, and the rows of its members and of their spread."""
    yield row
    if row.members:
        name = row.name.replace("_", " ")
        meaning = f"{name} of each member, with the deviations from the mean scaled by alpha"
        key = _COMMITTEE_KEYS.get(row.name, f"committee_{row.wire_name}")
        shape = (row.per, row.axes, row.is_symmetric)
        yield Quantity(row.members, row.unit, meaning, key, *shape, members_of=row.name)
    if row.spread:
        meaning = f"standard deviation (ddof=1) over {row.members}, which contain alpha"
        yield Quantity(row.spread, row.unit, meaning, row.spread)


_ROWS: Final = (
    Quantity(
        "energy", "Eh", "potential energy at zero field", "energy",
        table="potential", label="energy", members="committee_energies", spread="energy_spread",
    ),
    Quantity(
        "forces", "Eh/bohr",
        "-dE/dR with all terms of the client file, as sent to i-PI", "forces",
        per="atom", axes=(3,), label="forces",
    ),
    Quantity(
        "committee_forces", "Eh/bohr",
        "-dE_m/dR of each member, deviations from the mean scaled by the alpha of the energies",
        "committee_force", per="atom", axes=(3,),
        derivative=Derivative("committee_energies", "positions", -1), members_of="forces",
    ),
    Quantity(
        "committee_virials", "Eh",
        "-dE_m/d(strain) of each member, deviations from the mean scaled by the alpha of the "
        "energies",
        "committee_virial", axes=(3, 3), is_symmetric=True,
        derivative=Derivative("committee_energies", "strain", -1), members_of="virials",
    ),
    Quantity(
        "dipole", "e bohr", "dipole of the cell, modulo e x lattice vector", "dipole", axes=(3,),
        table="dipole", label="dipole", members="committee_dipoles",
    ),
    Quantity(
        "born_charges", "e", "[I,i,j] = d dipole_i/d R_Ij", "BEC", per="atom", axes=(3, 3),
        derivative=Derivative("dipole"), wire_order=(0, 2, 1),  # [3 I + j, i]
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
        "positions", "bohr", "unwrapped positions in full precision", "positions", per="atom",
        axes=(3,),
    ),
)  # fmt: skip

QUANTITIES: Final[dict[str, Quantity]] = {
    row.name: row for first in _ROWS for row in rows_of(first)
}
"""All observables, by name."""

OF_DATA_SETS: Final = (
    Quantity(
        "virials", "Eh", "-dE/d(strain)", "virials", axes=(3, 3), is_symmetric=True, label="virial"
    ),
    Quantity(
        "stress", "Eh/bohr^3", "-virials/V", "stress", axes=(3, 3), is_symmetric=True,
        label="stress",
    ),
)  # fmt: skip
"""Labels of data sets that are not observables of a client."""

IN_IPI: Final = frozenset({"energy", "forces", "positions"})
"""Quantities that i-PI has anyway, so that no client sends them in extras."""


def sent_as(key: str) -> Quantity | None:
    """Return the observable with this key in extras, if there is one."""
    return next((row for row in QUANTITIES.values() if row.wire_name == key), None)


def predicted() -> Iterator[Quantity]:
    """Yield the observables that models predict; each has a table in client files."""
    return (row for row in QUANTITIES.values() if row.table)


def labelled(name: str) -> Quantity:
    """Return the row with this name in data sets; it need not be an observable."""
    return next((row for row in OF_DATA_SETS if row.name == name), None) or QUANTITIES[name]


def of_members() -> dict[str, Quantity]:
    """Return the rows of members, by the name of their quantity."""
    return {row.members_of: row for row in QUANTITIES.values() if row.members_of}


def derivatives_of(name: str) -> frozenset[str]:
    """Return the names of the observables that are derivatives of an observable."""
    rows = QUANTITIES.values()
    return frozenset(row.name for row in rows if row.derivative and row.derivative.of == name)


def spread_by_alpha(row: Quantity) -> frozenset[str]:
    """Return the names of the observables that contain the alpha of a quantity."""
    return frozenset({row.members, row.spread} - {""}) | derivatives_of(row.members)


def of_one_committee(row: Quantity) -> frozenset[str]:
    """Return the names of all observables that a committee for one quantity gives."""
    return frozenset({row.name}) | spread_by_alpha(row) | derivatives_of(row.name)


def symmetric_components(tensors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return six components of symmetric tensors whose squares add up to those of all nine.

    Args:
        tensors: shape ``(..., 3, 3)``, any unit; the antisymmetric part is ignored.

    Returns:
        Components in the same unit, shape ``(..., 6)``: xx, yy, zz, sqrt(2) yz, sqrt(2) xz, sqrt(2)
        xy.
    """
    diagonal = np.diagonal(tensors, axis1=-2, axis2=-1)
    rows, columns = [1, 0, 0], [2, 2, 1]
    others = (tensors[..., rows, columns] + tensors[..., columns, rows]) / np.sqrt(2.0)
    return np.concatenate([diagonal, others], axis=-1)
