"""Ions that polarize each other: their Born charges are not symmetric, and known from autograd."""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
from ase import Atoms
from ase.build import bulk
from ase.neighborlist import neighbor_list
from ase.spacegroup import crystal

CHARGES: Final = {3: 1.0, 41: 5.0, 8: -2.0, 30: 2.0}
POLARIZABILITIES: Final = {3: 0.03, 41: 0.3, 8: 1.2, 30: 0.3}  # angstrom^3
CUTOFF: Final = 6.0  # angstrom
DAMPING: Final = 1.6  # angstrom


def lithium_niobate() -> Atoms:
    """The ten atoms of its primitive cell, angstrom."""
    places = [(0, 0, 0.2787), (0, 0, 0), (0.0492, 0.3446, 0.0647)]
    edges = [5.148, 5.148, 13.863, 90, 90, 120]
    return crystal(
        ["Li", "Nb", "O"], places, spacegroup=161, cellpar=edges, primitive_cell=True
    )  # fmt: skip


def zinc_oxide() -> Atoms:
    """Wurtzite, whose Born charges are nearly symmetric; angstrom."""
    return bulk("ZnO", "wurtzite", a=3.25, c=5.207)


def dipole_and_born_charges(atoms: Atoms) -> tuple[np.ndarray, np.ndarray]:
    """Of the cell, e angstrom, and [I, i, j] = d dipole_i / d R_Ij, e."""
    senders, receivers, images = neighbor_list("ijS", atoms, CUTOFF)
    places = torch.tensor(senders), torch.tensor(receivers)
    shifts = torch.tensor(images @ atoms.cell.array)
    charges = torch.tensor([CHARGES[z] for z in atoms.numbers.tolist()])
    inverse = torch.tensor([1.0 / POLARIZABILITIES[z] for z in atoms.numbers.tolist()]).double()
    unit, n_atoms = torch.eye(3, dtype=torch.float64), len(atoms)

    def dipole(positions: torch.Tensor) -> torch.Tensor:
        vectors = positions[places[1]] + shifts - positions[places[0]]
        r = vectors.norm(dim=1)
        strength = (1 - (r / CUTOFF) ** 2) ** 2 * (1 - torch.exp(-((r / DAMPING) ** 3))) / r**3
        of_charges = -(charges[places[1]] * strength)[:, None] * vectors
        fields = torch.zeros(n_atoms, 3).double().index_add(0, places[0], of_charges)
        outer = vectors[:, :, None] * vectors[:, None] / (r**2)[:, None, None]
        blocks = torch.zeros(n_atoms, n_atoms, 3, 3).double()
        couplings = strength[:, None, None] * (3 * outer - unit)
        blocks = blocks.index_put(places, couplings, accumulate=True)
        matrix = torch.diag(inverse.repeat_interleave(3))
        matrix = matrix - blocks.transpose(1, 2).reshape(3 * n_atoms, 3 * n_atoms)
        induced = torch.linalg.solve(matrix, fields.reshape(-1))
        return (charges[:, None] * positions).sum(dim=0) + induced.reshape(-1, 3).sum(dim=0)

    positions = torch.tensor(atoms.positions)
    slopes = torch.autograd.functional.jacobian(dipole, positions)
    return dipole(positions).numpy(), slopes.transpose(0, 1).numpy()
