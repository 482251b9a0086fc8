"""The dipole of a charged structure is learned from any origin, and none is guessed."""

from __future__ import annotations

from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms

from mlobs_client.errors import ConfigError
from mlobs_client.evaluate.oxidation import OxidationNumbers
from mlobs_client.learn.labels import Label, LabelledStructure, read_labelled

NUMBERS = OxidationNumbers({"O": -2, "H": 1})
CHARGES = np.array([-0.8, 0.6, 0.6, 0.6])  # e, which add up to 1
POSITIONS = np.array([[0.1, 0.2, 0.3], [1.0, 0.4, 0.2], [-0.3, 1.1, 0.5], [-0.2, -0.5, 1.0]])


def hydronium(origin: str, moved: float = 0.0) -> Atoms:
    """Point charges, with a dipole about this origin."""
    atoms = Atoms("OH3", POSITIONS + moved)
    centre = {
        "mass": atoms.get_center_of_mass(),
        "charge": atoms.numbers @ atoms.positions / atoms.numbers.sum(),
        "positions": np.zeros(3),
    }[origin]
    atoms.info["mu"] = CHARGES @ (atoms.positions - centre)
    atoms.arrays["apt"] = CHARGES[:, None] * np.eye(3).ravel()
    return atoms


def read(path: Path, atoms: Atoms, **options: object) -> LabelledStructure:
    ase.io.write(path / "frames.extxyz", atoms)
    labels = {"dipole": Label("mu"), "born_charges": Label("apt")}
    (one,) = read_labelled(path / "frames.extxyz", labels, **options)  # type: ignore[arg-type]
    return one


@pytest.mark.parametrize("origin", ["mass", "charge", "positions"])
def test_the_learned_part_is_the_same_from_any_origin_and_anywhere(origin, tmp_path: Path) -> None:
    for moved in (0.0, 7.0):
        one = read(tmp_path, hydronium(origin, moved), oxidation_numbers=NUMBERS, origin=origin)
        np.testing.assert_allclose(one.labels["dipole"], CHARGES @ (POSITIONS + moved), atol=1e-6)
        learned = (CHARGES - [-2, 1, 1, 1]) @ POSITIONS
        np.testing.assert_allclose(one.single_valued_dipole, learned, atol=1e-6)  # digits of a file


def test_born_charges_of_a_charged_structure_add_up_to_its_charge(tmp_path: Path) -> None:
    one = read(tmp_path, hydronium("mass"), oxidation_numbers=NUMBERS, origin="mass")
    expected = CHARGES[:, None, None] * np.eye(3)
    np.testing.assert_allclose(one.labels["born_charges"], expected, atol=1e-7)


def test_a_charge_without_an_origin_and_an_origin_without_a_charge_are_refused(
    tmp_path: Path,
) -> None:
    atoms = hydronium("mass")
    with pytest.raises(ConfigError, match=r"add up to \+1 e; .* name the origin with --origin"):
        read(tmp_path, atoms, oxidation_numbers=NUMBERS)
    with pytest.raises(ConfigError, match="--origin needs oxidation numbers"):
        read(tmp_path, atoms, origin="mass")
    atoms.cell, atoms.pbc = 9.0 * np.eye(3), True
    with pytest.raises(ConfigError, match="a centre of mass that depends on the images of atoms"):
        read(tmp_path, atoms, oxidation_numbers=NUMBERS, origin="mass")
    read(tmp_path, atoms, oxidation_numbers=NUMBERS, origin="positions")
