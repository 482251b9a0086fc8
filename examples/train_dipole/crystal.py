"""Write structures of a triclinic ionic crystal whose multi-valued dipole is a formula.

Usage: ``python crystal.py [--work DIR]`` writes ``crystal.extxyz`` with labels on random branches.

Four formula units MgO, atoms displaced by 0.12 angstrom, cells strained by 3 %. With the vectors r
from each Mg to the O around it, s_I = sum_J f(r_IJ) r_IJ and f(r) = a exp(-(r / b)^2),

    dipole = e sum_I N_I R_I + sum_I (1 + c |s_I|^2) s_I        N: Mg +2, O -2.

So the Born charges are not integers, not symmetric, differ from atom to atom and add up to zero.
"""

import argparse
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms
from ase.neighborlist import neighbor_list

WORK = Path(__file__).resolve().parent / "work"
OXIDATION_NUMBERS = {"Mg": 2, "O": -2}
CELL = np.array([[4.3, 0.3, -0.2], [0.9, 4.5, 0.1], [-0.5, 0.7, 4.1]])  # angstrom
PLACES = {
    "Mg": [[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]],
    "O": [[0.5, 0, 0], [0, 0.5, 0], [0, 0, 0.5], [0.5, 0.5, 0.5]],
}
STRENGTH, WIDTH, NONLINEARITY = 2.5, 1.8, 0.05  # e, angstrom, 1/(e angstrom)^2
REACH = 8.0  # angstrom; f is 1e-9 there
N_STRUCTURES = 100
LARGEST_SHIFT = 3  # quanta


def dipole(atoms: Atoms) -> np.ndarray:
    """Return the dipole of the cell on the branch of these positions, e angstrom."""
    numbers = np.array([OXIDATION_NUMBERS[symbol] for symbol in atoms.symbols])
    senders, receivers, lengths, vectors = neighbor_list("ijdD", atoms, REACH)
    kept = (atoms.numbers[senders] == 12) & (atoms.numbers[receivers] == 8)
    pulls = STRENGTH * np.exp(-((lengths[kept] / WIDTH) ** 2))[:, None] * vectors[kept]
    sums = np.zeros((len(atoms), 3))
    np.add.at(sums, senders[kept], pulls)
    squares = (sums**2).sum(axis=1, keepdims=True)
    return numbers @ atoms.positions + ((1 + NONLINEARITY * squares) * sums).sum(axis=0)


def born_charges(atoms: Atoms, step: float = 1e-3) -> np.ndarray:
    """Return central differences of the dipole, [I, i, j] = d dipole_i / d R_Ij, e."""
    charges = np.zeros((len(atoms), 3, 3))
    for atom in range(len(atoms)):
        for j in range(3):
            ends = []
            for sign in (1, -1):
                moved = atoms.copy()
                moved.positions[atom, j] += sign * step
                ends.append(dipole(moved))
            charges[atom, :, j] = (ends[0] - ends[1]) / (2 * step)
    return charges


def make_structures(random: np.random.Generator) -> list[Atoms]:
    """Return displaced atoms in strained cells, each label on a random branch."""
    symbols = [symbol for symbol, places in PLACES.items() for _ in places]
    places = np.concatenate([np.array(places) for places in PLACES.values()])
    structures = []
    for _ in range(N_STRUCTURES):
        cell = CELL @ (np.eye(3) + 0.03 * random.normal(size=(3, 3)))
        positions = places @ cell + 0.12 * random.normal(size=places.shape)
        atoms = Atoms(symbols, positions, cell=cell, pbc=True)
        quanta = random.integers(-LARGEST_SHIFT, LARGEST_SHIFT + 1, size=3)
        atoms.info["dipole"] = dipole(atoms) + quanta @ cell
        structures.append(atoms)
    return structures


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, default=WORK, help="folder to write to")
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    structures = make_structures(np.random.default_rng(2026))
    ase.io.write(arguments.work / "crystal.extxyz", structures)


if __name__ == "__main__":
    main()
