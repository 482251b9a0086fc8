"""THE table of observables: what each is called, its shape, unit and meaning.

Shapes use ``n_atoms`` and ``n_members``. ``wire_name`` is the key in the JSON extras of i-PI;
where it differs from ours, other programs already read that key. Large quantities go to the
record, small ones may travel in the extras.

Members are sent as i-PI's ffcommittee writes them, mean + alpha (member - mean), with the
calibration ``alpha`` of their quantity, so that their standard deviation is the calibrated spread.
An ffcommittee that reads them has an alpha of its own, which comes on top: leave it at 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Quantity:
    """One row of the table.

    Attributes:
        name: our name.
        shape: sizes, with ``"n_atoms"`` and ``"n_members"`` as symbols.
        unit: Hartree atomic units, written out.
        meaning: with sign and index order.
        wire_name: key in the extras of i-PI.
        large: too large for text extras at every step.
    """

    name: str
    shape: tuple[int | str, ...]
    unit: str
    meaning: str
    wire_name: str
    large: bool = False


_M, _N = "n_members", "n_atoms"

_ROWS = (
    Quantity("energy", (), "Eh", "potential energy at zero field", "energy"),
    Quantity(
        "forces",
        (_N, 3),
        "Eh/bohr",
        "-dE/dR with all that the client file has, also a field: what i-PI gets",
        "forces",
        large=True,
    ),
    Quantity(
        "committee_energies",
        (_M,),
        "Eh",
        "E_m: energy of each member, spread out by alpha about the mean",
        "committee_pot",
    ),
    Quantity("energy_spread", (), "Eh", "std(ddof=1) of the E_m: alpha is in it", "energy_spread"),
    Quantity(
        "committee_forces",
        (_M, _N, 3),
        "Eh/bohr",
        "-dE_m/dR, with the alpha of the energies",
        "committee_force",
        large=True,
    ),
    Quantity(
        "committee_virials",
        (_M, 3, 3),
        "Eh",
        "-dE_m/d(strain), with the alpha of the energies",
        "committee_virial",
    ),
    Quantity("dipole", (3,), "e bohr", "of the cell, modulo e x lattice vector", "dipole"),
    Quantity(
        "committee_dipoles",
        (_M, 3),
        "e bohr",
        "dipole of each member, spread out by alpha about the mean",
        "committee_dipole",
    ),
    Quantity("born_charges", (_N, 3, 3), "e", "[I,i,j] = d dipole_i/d R_Ij", "BEC", large=True),
    Quantity("polarizability", (3, 3), "bohr^3", "[i,k] = d dipole_i/d E_k", "polarizability"),
    Quantity(
        "committee_polarizabilities",
        (_M, 3, 3),
        "bohr^3",
        "polarizability of each member, spread out by alpha about the mean",
        "committee_polarizability",
    ),
    Quantity(
        "polarizability_gradient",
        (_N, 3, 3, 3),
        "bohr^2",
        "[I,i,k,j] = d alpha_ik/d R_Ij",
        "polarizability_gradient",
        large=True,
    ),
    Quantity("positions", (_N, 3), "bohr", "unwrapped, in full precision", "positions", large=True),
)

QUANTITIES: Final[dict[str, Quantity]] = {row.name: row for row in _ROWS}

IN_IPI: Final = frozenset({"energy", "forces", "positions"})
"""What i-PI has anyway, so that no client sends it in extras."""


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
