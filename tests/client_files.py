"""Client files of water, and what is made of them."""

from __future__ import annotations

from pathlib import Path

import ase.io
from ase.build import molecule

from mlobs_client.client.build import ClientModels, assemble
from mlobs_client.client.config import load_config

WATER = """
structure = "init.xyz"
[potential]
kind = "mace"
models = ["bundled:water/potential-[01]"]
"""
DIPOLE = """
[dipole]
kind = "mace"
models = ["bundled:water/dipole-0"]
oxidation_numbers = { O = -2, H = 1 }
"""
NONE = 'oxidation_numbers = "none"\n'
FORMAL = """
structure = "init.xyz"
[potential]
kind = "toy"
name = "qtip4pf"
[dipole]
kind = "toy"
oxidation_numbers = { O = -2, H = 1 }
"""


def assembled(folder: Path, text: str, name: str = "H2O", box: float | None = 9.0) -> ClientModels:
    atoms = molecule(name)
    if box is not None:
        atoms.set_cell([[box, 0.2, 0.1], [0.0, box, 0.3], [-0.1, 0.0, box]])
        atoms.pbc = True
    ase.io.write(folder / "init.xyz", atoms, format="extxyz")
    (folder / "client.toml").write_text(text)
    return assemble(load_config(folder / "client.toml"), folder)
