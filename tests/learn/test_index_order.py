"""Which index of Born charges is that of the dipole is found, or said to be unknown."""

from __future__ import annotations

import re
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from polarizable_ions import CHARGES, dipole_and_born_charges, lithium_niobate, zinc_oxide

from mlobs_client.learn.index_order import find_index_order
from mlobs_client.structure import Structure
from mlobs_client.units import ANGSTROM

WATER = Path(__file__).parents[3] / "shared" / "data" / "liquid_water" / "born_charges.extxyz"
Labelled = tuple[list[Structure], list[np.ndarray], np.ndarray]


def as_structure(atoms: Atoms) -> Structure:
    return Structure(atoms.numbers, atoms.positions * ANGSTROM, atoms.cell.array * ANGSTROM)


def labelled(crystal: Atoms, displacement: float, n_structures: int) -> Labelled:
    """Ions that polarize each other, displaced; labels less those of the charges."""
    random = np.random.default_rng(0)
    structures, born_charges, dipoles = [], [], []
    charges = np.array([CHARGES[z] for z in crystal.numbers])
    for _ in range(n_structures):
        atoms = crystal.copy()
        atoms.positions += random.normal(0.0, displacement, atoms.positions.shape)
        dipole, born = dipole_and_born_charges(atoms)
        structures.append(as_structure(atoms))
        born_charges.append(born - charges[:, None, None] * np.eye(3))
        dipoles.append(dipole - charges @ atoms.positions)
    return structures, born_charges, np.array(dipoles)


@pytest.fixture(scope="module")
def ions() -> Labelled:
    return labelled(lithium_niobate(), 0.1, 20)


def transposed(born_charges: list[np.ndarray]) -> list[np.ndarray]:
    return [one.swapaxes(1, 2) for one in born_charges]


@pytest.mark.parametrize("with_dipoles", [True, False])
def test_the_order_of_lithium_niobate_is_found(ions: Labelled, with_dipoles: bool) -> None:
    structures, born_charges, dipoles = ions
    known = dipoles if with_dipoles else None
    right = find_index_order(structures, born_charges, known)
    assert right.correlation > 0.8
    assert not right.reason
    assert not right.is_wrong
    wrong = find_index_order(structures, transposed(born_charges), known)
    assert wrong.is_wrong
    assert wrong.correlation == pytest.approx(-right.correlation)


def test_born_charges_that_are_nearly_symmetric_tell_nothing() -> None:
    structures, born_charges, dipoles = labelled(zinc_oxide(), 0.03, 30)
    found = find_index_order(structures, transposed(born_charges), dipoles)
    assert not found.is_wrong
    assert re.search(r"antisymmetric parts, 0\.000\d+ e, are small compared with", found.reason)
    symmetric = [0.5 * (one + one.swapaxes(1, 2)) for one in born_charges]
    assert find_index_order(structures, symmetric, dipoles).correlation == 0.0


def test_born_charges_of_no_dipole_tell_nothing(ions: Labelled) -> None:
    structures, born_charges, dipoles = ions
    random = np.random.default_rng(0)
    unphysical = [random.normal(size=one.shape) for one in born_charges]
    found = find_index_order(structures, unphysical, dipoles)
    assert not found.is_wrong
    assert "of their symmetric parts" in found.reason


def test_few_structures_tell_nothing(ions: Labelled) -> None:
    structures, born_charges, _ = ions
    found = find_index_order(structures[:3], transposed(born_charges[:3]))
    assert not found.is_wrong
    assert "90 numbers are too few to fit 468 for 3 species" in found.reason
    assert found.as_json() == {"correlation": None, "cannot_tell": found.reason}


@pytest.mark.skipif(not WATER.exists(), reason="the Born charges of liquid water are not there")
def test_the_coordinate_comes_first_in_the_file_of_liquid_water() -> None:
    frames = ase.io.read(WATER, ":2")
    structures, born_charges = [], []
    for atoms in frames:
        integers = np.where(atoms.numbers == 8, -2, 1)
        born = atoms.arrays["apt"].reshape(-1, 3, 3)
        born_charges.append(born - born.mean(axis=0) - integers[:, None, None] * np.eye(3))
        structures.append(as_structure(atoms))
    assert find_index_order(structures, born_charges).correlation < -0.4
    assert find_index_order(structures, transposed(born_charges)).correlation > 0.4
