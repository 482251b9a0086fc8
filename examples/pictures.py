"""Draw the system of each example: ``system.png`` beside its README.

    python examples/pictures.py [--data DIR]

DIR is that of ``train_water/prepare.py``; without it, the picture of these data is left as it is.
"""

from __future__ import annotations

import argparse
import runpy
from importlib.resources import files
from pathlib import Path

import ase.io
import matplotlib as mpl
import numpy as np
from ase import Atoms
from ase.visualize.plot import plot_atoms
from matplotlib.figure import Figure

from mlobs_client.plot import STYLE

HERE = Path(__file__).parent
WATER_BOX = files("mlobs_client") / "templates" / "water-nve" / "init.xyz"
WIDTH = 2.0  # inch
VIEW = "-80x,15y,3z"
BONDED, IONS = 0.9, 0.4  # sizes of the circles, in covalent radii: bonds touch, ions leave a view


def double_well() -> Atoms:
    """Return the cell of the proton, with one proton in each of its two places."""
    path = HERE / "constant_displacement" / "template" / "init.xyz"
    cell = [float(path.read_text().split('"')[1].split()[0])] * 3
    places = [[1.056, 0.0, 0.0], [-1.056, 0.0, 0.0]]  # angstrom, the minima of the double well
    return centred(Atoms("H2", places, cell=cell, pbc=True))


def centred(atoms: Atoms) -> Atoms:
    """Return atoms whose mean position is the centre of the cell."""
    moved = atoms.copy()
    moved.translate(0.5 * atoms.cell.array.sum(axis=0) - atoms.positions.mean(axis=0))
    return moved


def whole(water: Atoms) -> Atoms:
    """Return molecules, in the order O H H, with their oxygens in the cell."""
    oxygens = np.repeat(np.flatnonzero(water.numbers == 8), 3)
    inside = water.get_positions(wrap=True)
    bonds = [water.get_distance(o, i, mic=True, vector=True) for i, o in enumerate(oxygens)]
    moved = water.copy()
    moved.positions = inside[oxygens] + bonds
    return moved


def systems() -> dict[str, tuple[Atoms, float]]:
    """Return structure and size of circles of the examples whose data are part of the project."""
    water = whole(ase.io.read(str(WATER_BOX))), BONDED
    lammps_water = ase.io.read(HERE / "linear_response" / "template" / "init.xyz")
    crystal = runpy.run_path(str(HERE / "train_dipole" / "crystal.py"))["make_structures"]
    wire = runpy.run_path(str(HERE / "water_wire" / "grotthuss.py"))["make_wire"]
    return {
        "constant_displacement": (double_well(), IONS),
        "dielectric": (ase.io.read(HERE / "dielectric" / "init.xyz"), BONDED),
        "field_scan": water,
        "ionic_crystal": (ase.io.read(HERE / "ionic_crystal" / "init.xyz") * (2, 2, 2), IONS),
        "linear_response": (whole(lammps_water), BONDED),
        "pulse": water,
        "train_dipole": (crystal(np.random.default_rng(2026))[0] * (2, 2, 2), IONS),
        "water_in_field": water,
        "water_wire": (centred(wire()), BONDED),
    }


def draw(atoms: Atoms, size: float, path: Path) -> None:
    """Draw atoms as circles in the colours of ASE, in their cell."""
    with mpl.rc_context({**STYLE, "patch.linewidth": 0.4}):  # type: ignore[arg-type]
        figure = Figure(figsize=(WIDTH, WIDTH))
        axes = figure.subplots()
        plot_atoms(atoms, axes, radii=size, rotation=VIEW, show_unit_cell=2)
        axes.set_axis_off()
        figure.savefig(path, dpi=140, pil_kwargs={"optimize": True})


def main() -> None:
    """Draw all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder of the data of train_water")
    data = parser.parse_args().data
    found = systems()
    if data is not None:
        frame = ase.io.read(data / "liquid_water" / "dielectric.extxyz", 0)
        found["train_water"] = (whole(frame), BONDED)
    for name, (atoms, size) in found.items():
        draw(atoms, size, HERE / name / "system.png")


if __name__ == "__main__":
    main()
