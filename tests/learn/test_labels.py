"""Labels are found under their keys, in our units, with oxidation numbers that make sense."""

from __future__ import annotations

import re
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from mlobs_client.errors import ConfigError
from mlobs_client.evaluate.oxidation import OxidationNumbers
from mlobs_client.learn.labels import (
    Label,
    find_labels,
    numbers_by_species,
    read_labelled,
    species_of,
)
from mlobs_client.units import ANGSTROM

WATER = OxidationNumbers({"O": -2, "H": 1})
DIPOLE = {"dipole": Label("mu")}


def molecule(**info: object) -> Atoms:
    positions = [[0.0, 0, 0], [0.95, 0, 0], [-0.24, 0.92, 0]]
    atoms = Atoms("OH2", positions, cell=[[5.0, 0, 0], [1, 6, 0], [-1, 2, 7]], pbc=True)
    atoms.info.update(info)
    return atoms


@pytest.fixture
def write(tmp_path: Path):
    def write(*frames: Atoms) -> Path:
        ase.io.write(tmp_path / "frames.extxyz", frames)
        return tmp_path / "frames.extxyz"

    return write


def test_the_remainder_is_the_label_less_the_integer_part(write) -> None:
    atoms = molecule(mu=[0.3, 0.2, 0.1])
    (one,) = read_labelled(write(atoms), DIPOLE, WATER)
    expected = np.array([0.3, 0.2, 0.1]) - (0.95 - 0.24) * np.eye(3)[0] - 0.92 * np.eye(3)[1]
    np.testing.assert_allclose(one.single_valued_dipole, expected, atol=1e-7)  # digits of the file
    np.testing.assert_allclose(one.structure.cell[2], np.array([-1, 2, 7]) * ANGSTROM)
    assert one.formula == "H2O"


def test_units_are_converted_and_keys_that_ase_takes_away_are_found(write) -> None:
    atoms = molecule(dipole=[1.0, 2.0, 3.0], alpha=np.arange(9.0))
    wanted = {"dipole": Label("dipole", 0.5), "polarizability": Label("alpha")}
    (one,) = read_labelled(write(atoms), wanted, WATER)
    np.testing.assert_allclose(one.labels["dipole"], [0.5, 1.0, 1.5])
    symmetric = [[0, 2, 4], [2, 4, 6], [4, 6, 8]]
    np.testing.assert_allclose(one.labels["polarizability"], symmetric)


def test_stresses_are_found_as_six_numbers_and_as_nine(write) -> None:
    nine = np.array([[1.0, 0.1, 0.2], [0.1, 2.0, 0.3], [0.2, 0.3, 3.0]])
    atoms = molecule(REF_stress=nine.ravel())
    atoms.calc = SinglePointCalculator(atoms, stress=[1.0, 2.0, 3.0, 0.3, 0.2, 0.1])
    for key in ("stress", "REF_stress"):
        (one,) = read_labelled(write(atoms), {"stress": Label(key)})
        np.testing.assert_allclose(one.labels["stress"], nine)
        # -V stress, in a cell of 210 angstrom^3
        np.testing.assert_allclose(one.find("virials"), -210.0 * nine, rtol=1e-9)


def test_the_labels_of_a_file_are_those_of_its_first_structure(write) -> None:
    path = write(molecule(energy=1.0, mu=np.zeros(3)), molecule())
    labels = {"energy": Label("energy"), "dipole": Label("mu"), "forces": Label("forces")}
    assert find_labels(path, labels) == ["energy", "dipole"]
    with pytest.raises(ConfigError, match="cannot read structures"):
        find_labels(path.with_name("none.extxyz"), labels)


def test_a_dipole_can_be_read_without_oxidation_numbers(write) -> None:
    (one,) = read_labelled(write(molecule(mu=[1.0, 2.0, 3.0])), DIPOLE, with_integers=False)
    assert one.oxidation_numbers is None
    assert one.labels["dipole"].tolist() == [1.0, 2.0, 3.0]


@pytest.mark.parametrize("column", ["oxn", "Qs"])
def test_oxidation_numbers_of_atoms_come_from_the_file(column, write) -> None:
    atoms = molecule(mu=np.zeros(3))
    atoms.arrays[column] = np.array([-1, 0, 1])
    (one,) = read_labelled(write(atoms), DIPOLE)
    assert one.oxidation_numbers is not None
    assert one.oxidation_numbers.tolist() == [-1, 0, 1]
    assert numbers_by_species([one]) is None
    (one,) = read_labelled(write(atoms), DIPOLE, WATER)
    assert numbers_by_species([one]) == {"H": 1, "O": -2}
    assert species_of([one]) == (1, 8)


def test_born_charges_add_up_to_zero(write) -> None:
    atoms = molecule(mu=np.zeros(3))
    born = np.random.default_rng(0).normal(size=(3, 9))
    atoms.arrays["apt"] = born
    (one,) = read_labelled(write(atoms), {**DIPOLE, "born_charges": Label("apt")}, WATER)
    charges = one.labels["born_charges"]
    np.testing.assert_allclose(charges.sum(axis=0), 0.0, atol=1e-12)
    difference = (charges[0] - charges[1]).ravel()
    np.testing.assert_allclose(difference, born[0] - born[1], atol=1e-7)  # digits of the file


def test_born_charges_with_the_coordinate_first_are_transposed(write) -> None:
    atoms = molecule(mu=np.zeros(3))
    atoms.arrays["apt"] = np.random.default_rng(0).normal(size=(3, 9))
    path, found = write(atoms), []
    for transposed in (False, True):
        wanted = {**DIPOLE, "born_charges": Label("apt", transposed=transposed)}
        (one,) = read_labelled(path, wanted, WATER)
        found.append(one.labels["born_charges"])
    np.testing.assert_array_equal(found[1][1].T, found[0][1])


def test_molecules_need_no_oxidation_numbers(write) -> None:
    atoms = molecule(mu=[1.0, 2.0, 3.0])
    atoms.pbc = False
    (one,) = read_labelled(write(atoms), DIPOLE)
    np.testing.assert_allclose(one.single_valued_dipole, [1.0, 2.0, 3.0])


def test_what_cannot_be_is_refused_with_its_place(write) -> None:
    good, other = molecule(mu=np.zeros(3)), molecule(muu=np.zeros(3))
    with pytest.raises(ConfigError, match=r"structure 1 .* no 'mu' for the dipole; it has muu"):
        read_labelled(write(good, other), DIPOLE, WATER)
    with pytest.raises(ConfigError, match="needs oxidation numbers; give --oxidation-numbers"):
        read_labelled(write(good), DIPOLE)
    with pytest.raises(ConfigError, match=r"add up to -1 e"):
        read_labelled(write(good), DIPOLE, OxidationNumbers({"O": -1, "H": 0}))
    with pytest.raises(ConfigError, match=r"must be \(3,\) finite numbers"):
        read_labelled(write(molecule(mu=[1.0, np.nan, 0.0])), DIPOLE, WATER)
    good.arrays["oxn"] = np.array([-2.0, 0.5, 1.5])
    with pytest.raises(ConfigError, match=r"numbers that are not integers: 0\.5 for atom 1"):
        read_labelled(write(good), DIPOLE)
    with pytest.raises(ConfigError, match="ASE cannot read structures"):
        read_labelled(Path("nowhere.extxyz"), DIPOLE)


@pytest.mark.parametrize(
    ("label", "said"),
    [
        ({"mu": "n/a"}, r"'mu' must be \(3,\) finite numbers, got 'n/a'"),
        ({"mu": {"x": 1.0}}, r"'mu' must be \(3,\) finite numbers, got \{'x': 1.0\}"),
        ({"mu": [1.0, 2.0]}, r"'mu' must be \(3,\) finite numbers, got array\(\[1\., 2\.\]\)"),
        ({"mu": [1.0, np.inf, 0.0]}, r"'mu' must be \(3,\) finite numbers, got inf at \[1\]"),
    ],
)
def test_a_label_that_is_no_number_is_one_line_with_its_place(label, said, write) -> None:
    path = write(molecule(mu=np.zeros(3)), molecule(**label))
    with pytest.raises(ConfigError, match=rf"frames\.extxyz, structure 1 .*: {said}") as caught:
        read_labelled(path, DIPOLE, WATER)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", ["?", np.nan, np.inf])
def test_a_column_that_is_no_number_is_one_line_with_its_place(value, write) -> None:
    atoms = molecule(mu=np.zeros(3))
    atoms.arrays["oxn"] = atoms.arrays["apt"] = np.array([-2, 1, value])
    where = r"frames\.extxyz, structure 0 .*"
    with pytest.raises(
        ConfigError, match=rf"{where} the column oxn must be .* got .*{re.escape(str(value))}"
    ):
        read_labelled(write(atoms), DIPOLE)
    with pytest.raises(ConfigError, match=rf"{where} 'apt' must be .* got ") as caught:
        read_labelled(write(atoms), {**DIPOLE, "born_charges": Label("apt")}, WATER)
    assert "\n" not in str(caught.value)


def test_what_ase_cannot_read_is_named_with_the_structures_before_it(write) -> None:
    path = write(molecule(mu=np.zeros(3)), molecule(dipole="n/a"))
    with pytest.raises(ConfigError, match=r"cannot read .* beyond the first 1: .*'n/a'"):
        read_labelled(path, DIPOLE, WATER)


def test_deuterium_is_hydrogen_also_in_a_training_set(write) -> None:
    path = write(molecule(mu=[1.0, 2.0, 3.0]))
    path.write_text(path.read_text().replace("\nH ", "\nD "))
    (one,) = read_labelled(path, DIPOLE, WATER)
    assert one.structure.numbers.tolist() == [8, 1, 1]
    assert one.labels["dipole"].tolist() == [1.0, 2.0, 3.0]
    assert find_labels(path, DIPOLE) == ["dipole"]


def test_weights_and_the_level_of_theory_have_the_keys_of_mace(write) -> None:
    keys = {"config_weight": 0.5, "config_dipole_weight": 4.0, "head": "pbe"}
    path = write(molecule(mu=np.zeros(3)), molecule(mu=np.zeros(3), **keys))
    plain, weighted = read_labelled(path, DIPOLE, WATER)
    assert (plain.weights, plain.theory) == ({}, "")
    assert (weighted.weights, weighted.theory) == ({"dipole": 2.0}, "pbe")
    path = write(molecule(mu=np.zeros(3), config_weight=-1.0))
    with pytest.raises(ConfigError, match=r"structure 0 .* config_weight is negative; give 0 or"):
        read_labelled(path, DIPOLE, WATER)
