"""Compute the charge that goes around a periodic wire of water with a proton.

``python grotthuss.py`` makes a wire of its own; ``python grotthuss.py WIRE.extxyz`` takes the first
frame of a file with one hydrogen between any two neighbours of a ring of oxygens along x.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms

from mlobs_client import Structure, load_config
from mlobs_client.analysis import curve_along_path, wind
from mlobs_client.client import assemble, observe_batch
from mlobs_client.plot import write
from mlobs_client.results import Result
from mlobs_client.units import ANGSTROM

BOND = 0.98  # angstrom
PHASES = ("hops", "turns", "hops again")


def make_wire(n_molecules: int = 6, distance: float = 2.75) -> Atoms:
    """Return molecules in a row, each with a hydrogen bond to the next, in a triclinic cell."""
    row = np.arange(n_molecules)
    oxygens = np.stack([distance * row, 0.3 * (-1.0) ** row, 0.0 * row], axis=1)
    bonds = BOND * np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [-0.25, 0.0, 0.968]])
    cell = [[n_molecules * distance, 0.0, 0.0], [1.5, 12.0, 0.0], [-1.0, 2.0, 13.0]]
    positions = (oxygens[:, None] + bonds).reshape(-1, 3)
    return Atoms("OHH" * n_molecules, positions, cell=cell, pbc=True)


def find_ring(wire: Atoms) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return oxygens along x, the vectors between them, the hydrogens there, and which are near."""
    oxygens = np.flatnonzero(wire.numbers == 8)
    oxygens = oxygens[np.argsort(wire.positions[oxygens, 0])]
    following, gap = np.roll(oxygens, -1), np.arange(len(oxygens))
    vectors = wire.get_all_distances(mic=True, vector=True)[oxygens, following]
    hydrogens = np.flatnonzero(wire.numbers == 1)
    distances = wire.get_all_distances(mic=True)[:, hydrogens]
    between = np.argmin(distances[oxygens] + distances[following], axis=1)
    near = distances[oxygens[gap], between] < distances[following[gap], between]
    return oxygens, vectors, hydrogens[between], near


def follow(wire: Atoms, n_images: int) -> tuple[np.ndarray, list[int]]:
    """Return positions along the path, (t, n_atoms, 3), and the indices where its phases end.

    One after the other, hydrogens hop to the far side of their gap; each turns about its new
    oxygen into the next gap; and where the gap's own hydrogen had been far, it hops once more.
    """
    oxygens, gaps, chain, near = find_ring(wire)
    units = gaps / np.linalg.norm(gaps, axis=1)[:, None]
    hops = gaps - 2.0 * BOND * units
    path, ends = [wire.positions.copy()], []
    path[0][chain] = wire.positions[oxygens] + BOND * units + np.where(near[:, None], 0.0, hops)
    s = np.linspace(0.0, 1.0, n_images + 1)[1:, None]
    for phase in PHASES:
        for k, atom in enumerate(chain):
            after = (k + 1) % len(chain)
            if phase == "turns":
                aside = 2.0 * np.cross(units[k], [0.0, 0.0, 1.0])
                arc = -((1 - s) ** 2) * units[k] + s * (1 - s) * aside + s**2 * units[after]
                steps = BOND * (arc / np.linalg.norm(arc, axis=1)[:, None] + units[k])
            elif near[k] if phase == "hops" else not near[after]:
                steps = s * hops[k if phase == "hops" else after]
            else:
                continue
            begin = path[-1]
            for step in steps:
                path.append(begin.copy())
                path[-1][atom] += step
        ends.append(len(path) - 1)
    return np.array(path), ends


def main(folder: Path, wire: Atoms, n_images: int = 6) -> dict[str, object]:
    """Evaluate the dipole along the path, put it on random branches, and follow it."""
    positions, ends = follow(wire, n_images)
    ase.io.write(folder / "wire.xyz", wire, format="extxyz", columns=["symbols", "positions"])
    assembly = assemble(load_config(Path(__file__).with_name("client.toml")), folder)
    cell = wire.cell.array * ANGSTROM
    structures = [Structure(wire.numbers, image * ANGSTROM, cell) for image in positions]
    values = observe_batch(structures, assembly.evaluators, (), ("dipole",))
    jumps = np.random.default_rng(0).integers(-3, 4, (len(values), 3))
    found = wind(np.array([one["dipole"] for one in values]) + jumps @ cell, cell)
    along = curve_along_path(found.quanta[:, 0], "from molecule to molecule")
    write(Result("charge along a wire", (along,)), folder / "wire", integers=True)
    parts = np.diff(found.quanta[ends, 0], prepend=0.0).round(4).tolist()
    charge = {"charge (e), along x, y, z": found.turns.tolist(), "images": len(values)}
    return charge | dict(zip(PHASES, parts, strict=True))


if __name__ == "__main__":
    chosen = ase.io.read(sys.argv[1], 0) if sys.argv[1:] else make_wire()
    print(json.dumps(main(Path(), chosen), indent=1))
