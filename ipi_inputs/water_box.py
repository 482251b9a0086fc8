"""Make the small boxes of liquid water, init.xyz, that the inputs in this folder start from.

    python ipi_inputs/water_box.py

Molecules start on a body-centred lattice at the density of water, with random orientations; the
first of the bundled potentials relaxes them and runs 6 ps of Langevin dynamics at 300 K. Two
boxes are written: a cubic one, and a triclinic one for water-npt.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms, units
from ase.build import molecule
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution
from ase.optimize import FIRE

HERE = Path(__file__).parent
MODEL = files("mlobs_client") / "models" / "water" / "potential-0.model"
DENSITY = 0.997  # g/cm^3
TEMPERATURE = 300.0  # K
LENGTH = 2000.0  # fs
SEARCH = 4000.0  # fs
SHAPES = {
    "cubic": np.eye(3),
    "triclinic": np.array([[1.0, 0.0, 0.0], [0.15, 1.0, 0.0], [-0.1, 0.2, 1.0]]),
}


def pack(shape: np.ndarray, rng: np.random.Generator) -> Atoms:
    """Return 16 molecules on a body-centred lattice in a cell of this shape and the right size."""
    mass = 16 * molecule("H2O").get_masses().sum() * units._amu * 1e3  # g
    volume = mass / DENSITY * 1e24  # angstrom^3
    cell = shape * (volume / np.linalg.det(shape)) ** (1 / 3)
    corners = np.array([[i, j, k] for i in (0, 1) for j in (0, 1) for k in (0, 1)]) / 2
    return fill(cell, np.concatenate([corners, corners + 0.25]) @ cell, rng)


def fill(
    cell: np.ndarray, sites: np.ndarray, rng: np.random.Generator, n_trials: int = 100
) -> Atoms:
    """Return a periodic box with a molecule at each site, as far as possible from those before it.

    Args:
        cell: shape ``(3, 3)``, angstrom, lattice vectors are rows.
        sites: positions of the oxygens, shape ``(n_molecules, 3)``, angstrom.
        rng: random numbers for the orientations.
        n_trials: number of orientations that are tried for each molecule.
    """
    box = Atoms(cell=cell, pbc=True)
    for site in sites:
        trials = [box + turned_water(site, rng) for _ in range(n_trials)]
        box = max(trials, key=smallest_distance)
    return box


def turned_water(site: np.ndarray, rng: np.random.Generator) -> Atoms:
    """Return one molecule with its oxygen at a site, randomly oriented."""
    water = molecule("H2O")
    water.euler_rotate(*rng.uniform(0.0, 360.0, 3))
    water.translate(site - water.positions[0])
    return water


def smallest_distance(box: Atoms) -> float:
    """Return the smallest distance of the last molecule from the others."""
    if len(box) == 3:
        return 0.0
    distances = box.get_all_distances(mic=True)
    return float(distances[-3:, :-3].min())


def equilibrate(box: Atoms, rng: np.random.Generator) -> None:
    """Relax the packing, then melt it."""
    from mace.calculators import MACECalculator  # takes seconds, and to fill a box needs none

    box.calc = MACECalculator(model_paths=str(MODEL), device="cpu", default_dtype="float64")
    FIRE(box, logfile=None).run(fmax=0.5, steps=200)
    MaxwellBoltzmannDistribution(box, temperature_K=TEMPERATURE, rng=rng)
    dynamics = Langevin(
        box,
        timestep=0.5 * units.fs,
        temperature_K=TEMPERATURE,
        friction=0.02 / units.fs,
        rng=rng,
    )
    dynamics.run(int(LENGTH / 0.5))
    # 16 molecules have a large dipole by chance, and keep it for longer than a first run takes;
    # of the structures from now on, the one with the smallest is the best to start from.
    best = box.positions.copy()
    for _ in range(int(SEARCH / 20.0)):
        dynamics.run(40)
        if np.linalg.norm(dipole(box.numbers, box.positions)) < np.linalg.norm(
            dipole(box.numbers, best)
        ):
            best = box.positions.copy()
    box.positions = best
    check_molecules(box)


def dipole(numbers: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Return the dipole of ions O(2-) and H(+), proportional to that of the molecules."""
    return np.where(numbers == 8, -2.0, 1.0) @ positions


def check_molecules(box: Atoms) -> None:
    """Refuse a box in which the potential broke a molecule."""
    distances = box.get_all_distances(mic=True) + 9.0 * np.eye(len(box))
    oxygen = box.numbers == 8
    to_hydrogen = np.sort(distances[oxygen][:, ~oxygen], axis=1)
    if distances[oxygen][:, oxygen].min() < 2.3 or to_hydrogen[:, 1].max() > 1.25:
        raise SystemExit("a molecule has dissociated; start from another seed or potential")


def main() -> None:
    """Write init.xyz into each folder of inputs."""
    boxes = {}
    for name, shape in SHAPES.items():
        rng = np.random.default_rng(16)
        box = pack(shape, rng)
        equilibrate(box, rng)
        boxes[name] = Atoms(box.numbers, box.positions, cell=box.cell, pbc=True)
    for folder in sorted(path.parent for path in HERE.glob("*/input.xml")):
        box = boxes["triclinic" if folder.name.startswith("water-npt") else "cubic"]
        ase.io.write(folder / "init.xyz", box, format="extxyz")


if __name__ == "__main__":
    main()
