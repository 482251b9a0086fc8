"""Make template/init.xyz and template/water.data: liquid q-TIP4P/F water, for i-PI and for LAMMPS.

``python water_box.py`` takes 32 molecules, ``python water_box.py 64`` another number of them.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms, units
from ase.build import molecule

from mlobs_client.errors import LaunchError
from mlobs_client.launch import find_program
from mlobs_client.templates.water_box import fill

HERE = Path(__file__).parent
DENSITY = 0.997  # g/cm^3
M_CHARGE = -1.1128  # e, of q-TIP4P/F; in LAMMPS the oxygen has it
HEAD = """q-TIP4P/F water, atoms in the order of init.xyz

{atoms} atoms
{bonds} bonds
{angles} angles
2 atom types
1 bond types
1 angle types
0 {length:.8f} xlo xhi
0 {length:.8f} ylo yhi
0 {length:.8f} zlo zhi

Masses

1 15.9994
2 1.0080

Atoms
"""


def pack(n_molecules: int) -> Atoms:
    """Return molecules on a cubic lattice, each oriented far from those before it."""
    rng = np.random.default_rng(32)
    mass = n_molecules * molecule("H2O").get_masses().sum() * units._amu * 1e3  # g
    length = (mass / DENSITY * 1e24) ** (1 / 3)  # angstrom
    n = int(np.ceil(n_molecules ** (1 / 3)))
    sites = np.stack(np.meshgrid(*3 * [np.arange(n)], indexing="ij"), axis=-1).reshape(-1, 3)
    chosen = sites[np.sort(rng.permutation(len(sites))[:n_molecules])]
    return fill(length * np.eye(3), chosen * length / n, rng, n_trials=50)


def write_data(path: Path, box: Atoms) -> None:
    """Return a LAMMPS data file (atom_style full) of molecules O H H in a cubic cell."""
    oxygens = range(1, len(box), 3)
    bonds = [(oxygen, oxygen + k) for oxygen in oxygens for k in (1, 2)]
    counts = {"atoms": len(box), "bonds": len(bonds), "angles": len(oxygens)}
    lines = [HEAD.format(length=box.cell.lengths()[0], **counts)]
    wrapped = box.get_positions(wrap=True)
    for i, (number, position) in enumerate(zip(box.numbers, wrapped, strict=True)):
        kind, charge = (1, M_CHARGE) if number == 8 else (2, -M_CHARGE / 2)
        x, y, z = position
        lines.append(f"{i + 1} {i // 3 + 1} {kind} {charge} {x:.8f} {y:.8f} {z:.8f}")
    lines.append("\nBonds\n")
    lines += [f"{i} 1 {oxygen} {hydrogen}" for i, (oxygen, hydrogen) in enumerate(bonds, start=1)]
    lines.append("\nAngles\n")
    lines += [f"{i} 1 {o + 1} {o} {o + 2}" for i, o in enumerate(oxygens, start=1)]
    path.write_text("\n".join(lines) + "\n")


def equilibrate(box: Atoms, lmp: str) -> Atoms:
    """Melt the lattice with LAMMPS; return whole molecules."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_data(folder / "water.data", box)
        shutil.copy(HERE / "template" / "water.in", folder)
        shutil.copy(HERE / "equilibrate.in", folder)
        subprocess.run([lmp, "-in", "equilibrate.in"], cwd=folder, check=True)
        liquid = ase.io.read(folder / "liquid.lammpstrj")
    positions = liquid.get_positions(wrap=True)
    for oxygen in range(0, len(box), 3):
        hydrogens = [oxygen + 1, oxygen + 2]
        bonds = liquid.get_distances(oxygen, hydrogens, mic=True, vector=True)
        positions[hydrogens] = positions[oxygen] + bonds
    return Atoms(box.numbers, positions, cell=box.cell, pbc=True)


def main(n_molecules: int = 32) -> None:
    """Write both files."""
    try:
        lmp = find_program("lmp", "lammps[mpi]")
    except LaunchError as error:
        raise SystemExit(str(error)) from None
    box = pack(n_molecules)
    write_data(HERE / "template" / "water.data", box)
    ase.io.write(HERE / "template" / "init.xyz", equilibrate(box, lmp), format="extxyz")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
