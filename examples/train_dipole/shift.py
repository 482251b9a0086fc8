"""Shift dipole labels by random quanta, as a Berry-phase code might have given them.

Usage: ``python shift.py --data DIR [--work DIR]``. Writes to the work folder:

=========================  ====================================================================
liquid.extxyz              64 waters: ``dipole`` (e angstrom) on one smooth branch for the positions
                           as they are: -2 sum(Wannier displacements) + e sum N R
liquid_shifted.extxyz      the same, each label moved by random quanta
wire.extxyz                40 waters in a wire: ``dipole`` as labelled, ``Qs`` per atom
wire_shifted.extxyz        the same, each label moved by random quanta
=========================  ====================================================================
"""

import argparse
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms

from mlobs_client.learn import Quanta

HERE = Path(__file__).resolve().parent
OXIDATION_NUMBERS = {8: -2, 1: +1}
LARGEST_SHIFT = 3  # quanta along each lattice vector


def read_liquid(data: Path) -> list[Atoms]:
    """Return labels on one branch; modulo quanta, they are those of the file."""
    frames = []
    for source in ase.io.iread(data / "liquid_water" / "dielectric.extxyz"):
        atoms = Atoms(source.symbols, source.positions, cell=source.cell, pbc=True)
        numbers = np.array([OXIDATION_NUMBERS[z] for z in atoms.numbers])
        dipole = numbers @ atoms.positions - 2 * source.info["wc_displacement_sum_A"]
        difference = Quanta(atoms.cell.array, atoms.pbc).fold(source.info["dipole_eA"] - dipole)
        np.testing.assert_allclose(difference, 0.0, atol=1e-4)  # digits of the file
        atoms.info["dipole"] = dipole
        frames.append(atoms)
    return frames


def read_wire(data: Path) -> list[Atoms]:
    """Return structures with the labels and oxidation numbers of the file."""
    frames = []
    for source in ase.io.iread(data / "water_wire" / "water_wire.extxyz"):
        atoms = Atoms(source.symbols, source.positions, cell=source.cell, pbc=True)
        atoms.arrays["Qs"] = source.arrays["Qs"]
        atoms.info["dipole"] = source.info["MACE_dipole"]
        frames.append(atoms)
    return frames


def shifted(frames: list[Atoms], random: np.random.Generator) -> list[Atoms]:
    """Return copies with each label on a random branch."""
    moved = []
    for source in frames:
        atoms = source.copy()
        quanta = random.integers(-LARGEST_SHIFT, LARGEST_SHIFT + 1, size=3)
        atoms.info["dipole"] = source.info["dipole"] + quanta @ atoms.cell.array
        moved.append(atoms)
    return moved


def main() -> None:
    """Write the four files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--work", type=Path, default=HERE / "work", help="folder to write to")
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(2026)
    for name, read in {"liquid": read_liquid, "wire": read_wire}.items():
        frames = read(arguments.data)
        ase.io.write(arguments.work / f"{name}.extxyz", frames)
        ase.io.write(arguments.work / f"{name}_shifted.extxyz", shifted(frames, random))


if __name__ == "__main__":
    main()
