"""Test each potential in short classical molecular dynamics at high temperature.

Usage: ``python stability.py [--work DIR]``. 64 molecules start from a held-out frame: 1 ps at
330 K, then 0.3 ps at 600 K, whose O-H bonds are stretched nearly as in a path integral.
"""

import argparse
from pathlib import Path

import numpy as np
from ase import Atoms, units
from ase.geometry import get_distances
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution
from evaluate import N_MEMBERS, unseen_frames
from mace.calculators import MACECalculator
from prepare import WORK

TIMESTEP = 0.5 * units.fs
STAGES = ((330.0, 2000), (600.0, 600))  # kelvin, steps
LONGEST_BOND = 1.6  # angstrom: beyond it a molecule has come apart


def oh_lengths(atoms: Atoms) -> np.ndarray:
    """Return the distance of every hydrogen from its nearest oxygen, angstrom."""
    hydrogens, oxygens = atoms.positions[atoms.numbers == 1], atoms.positions[atoms.numbers == 8]
    return get_distances(hydrogens, oxygens, cell=atoms.cell, pbc=atoms.pbc)[1].min(axis=1)


def main() -> None:
    """Run all members and print what happened."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, default=WORK, help="folder that train.sh filled")
    parser.add_argument("--members", type=int, nargs="*", default=list(range(N_MEMBERS)))
    arguments = parser.parse_args()
    for member in arguments.members:
        path = arguments.work / f"potential-{member}.model"
        atoms = unseen_frames(arguments.work, "potential")[member].copy()
        atoms.calc = MACECalculator(model_paths=[str(path)], default_dtype="float32")
        random = np.random.RandomState(member)
        for temperature, steps in STAGES:
            MaxwellBoltzmannDistribution(atoms, temperature_K=temperature, rng=random)
            dynamics = Langevin(
                atoms, TIMESTEP, temperature_K=temperature, friction=0.01 / units.fs, rng=random
            )
            longest, kelvin = 0.0, []
            for _ in range(steps // 20):
                dynamics.run(20)
                longest = max(longest, oh_lengths(atoms).max())
                kelvin.append(atoms.get_temperature())
            verdict = "whole" if longest < LONGEST_BOND else "BROKEN"
            mean = np.mean(kelvin[len(kelvin) // 2 :])
            print(
                f"potential-{member}, {temperature:.0f} K: mean {mean:.0f} K, "
                f"longest O-H {longest:.2f} A, {verdict}",
                flush=True,
            )


if __name__ == "__main__":
    main()
