"""Label pairs of q-TIP4P/F molecules with energies, forces and dipoles, to compare networks.

Usage: ``python clusters.py write [--work DIR]`` writes ``clusters.extxyz``;
``python clusters.py train energy-dipole ...`` is ``mlobs train energy-dipole ...`` without the
dipole: a separate potential of the same size.
"""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms

from mlobs_client import Structure
from mlobs_client.cli import main
from mlobs_client.client import predict
from mlobs_client.evaluate.toys import make_toy
from mlobs_client.learn import DataSet, training
from mlobs_client.units import ANGSTROM, EV

HERE = Path(__file__).resolve().parent
N_STRUCTURES = 200
MOLECULE = np.array([[0.0, 0, 0], [0.94, 0, 0], [-0.28, 0.9, 0]])  # angstrom


def make_pair(random: np.random.Generator) -> Atoms:
    """Return two distorted molecules, randomly oriented, 2.7 to 4 angstrom apart."""
    axis = random.normal(size=3)
    apart = random.uniform(2.7, 4.0) * axis / np.linalg.norm(axis)
    molecules = []
    for place in (0.0, apart):
        rotation = np.linalg.qr(random.normal(size=(3, 3)))[0]
        molecules.append(MOLECULE @ rotation + place + 0.03 * random.normal(size=(3, 3)))
    return Atoms("OH2OH2", np.concatenate(molecules))


def write(path: Path) -> None:
    """Write labelled pairs that do not overlap."""
    random, toy, pairs = np.random.default_rng(2026), make_toy("qtip4pf", {}), []
    while len(pairs) < N_STRUCTURES:
        atoms = make_pair(random)
        if atoms.get_all_distances()[:3, 3:].min() < 1.7:
            continue
        structure = Structure(
            atoms.numbers, atoms.positions * ANGSTROM, np.zeros((3, 3)), (False, False, False)
        )
        (found,) = predict([structure], [toy], wanted=frozenset({"dipole"}))
        atoms.info["REF_energy"] = found.energy / EV
        atoms.info["REF_dipole"] = found.observables["dipole"] / ANGSTROM
        atoms.arrays["REF_forces"] = found.forces * ANGSTROM / EV
        pairs.append(atoms)
    ase.io.write(path, pairs)


def without_dipole(read: Callable[..., DataSet]) -> Callable[..., DataSet]:
    """Train without the errors of the dipole in the loss."""

    def read_data_set(*arguments: object) -> DataSet:
        data_set = read(*arguments)
        return replace(data_set, scales={**data_set.scales, "dipole": 1e9})

    return read_data_set


if __name__ == "__main__":
    if sys.argv[1] == "write":
        work = Path(sys.argv[3]) if len(sys.argv) > 3 else HERE / "work"
        work.mkdir(parents=True, exist_ok=True)
        write(work / "clusters.extxyz")
    else:
        training.read_data_set = without_dipole(training.read_data_set)
        main()
