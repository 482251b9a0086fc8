"""Small systems that run at once, with nothing else to install: one for each kind of structure."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import ase.io
from ase import Atoms
from ase.build import bulk, fcc111, molecule
from ase.constraints import FixAtoms

from mlobs_client.inputs.client_toml import Models, ase_models, mace_dipole, mace_potential
from mlobs_client.inputs.starting_structure import Kind, Start

EMT: Final = "ase.calculators.emt.EMT"


def small_atoms(kind: Kind, water_box: Path) -> Atoms:
    """Return the atoms of the small system of a kind.

    Args:
        kind: of the structure.
        water_box: file with the liquid.
    """
    if kind == "molecule":
        return molecule("H2O", vacuum=10.0)
    if kind == "liquid":
        return ase.io.read(water_box)
    if kind == "crystal":
        return bulk("Cu", cubic=True) * (2, 2, 2)
    slab = fcc111("Cu", (2, 2, 4), vacuum=8.0, periodic=True)
    slab.pbc = (True, True, False)
    slab.set_constraint(FixAtoms(mask=slab.get_tags() > 2))
    return slab


def small_models(kind: Kind, start: Start, folder: Path) -> Models:
    """Return the models of the small system of a kind.

    Args:
        kind: of the structure.
        start: the small system.
        folder: of the client file.
    """
    if kind == "molecule":
        return Models({"kind": "toy", "name": "qtip4pf"}, extras=("dipole",))
    if kind == "liquid":
        potential, extras = mace_potential(["bundled:water/potential-*"], folder)
        numbers = {"O": -2, "H": 1}
        dipole = mace_dipole(["bundled:water/dipole-*"], folder, start, numbers)
        return Models(potential, dipole, ("dipole", *extras))
    return ase_models(EMT, {}, start)
