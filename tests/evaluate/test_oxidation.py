"""Integers times positions, and models that must not do the same with learned charges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from mlobs_client.errors import ConfigError, ModelError
from mlobs_client.evaluate.committee import CommitteeEvaluation
from mlobs_client.evaluate.mace import evaluator as mace
from mlobs_client.evaluate.mace.evaluator import MaceEvaluator
from mlobs_client.evaluate.oxidation import OxidationNumbers, check_single_valued
from mlobs_client.structure import Structure

SINGLE = mace.Setting("float32")
WATER = OxidationNumbers({"O": -2, "H": 1})


@pytest.fixture
def learned(network) -> MaceEvaluator:
    """A single-valued dipole alone."""
    return MaceEvaluator(dipole=mace.dipole({"it": network("dipole")}))


def with_numbers(network, numbers: OxidationNumbers) -> MaceEvaluator:
    committee = mace.dipole({"it": network("dipole")}, oxidation_numbers=numbers)
    return MaceEvaluator(mace.potential({"it": network("potential")}), committee)


def dipoles(evaluator: MaceEvaluator, structures: Sequence[Structure]) -> list[np.ndarray]:
    return [v["dipole"] for v in evaluator(structures, frozenset({"dipole"})).values]


def test_moving_an_atom_by_a_lattice_vector_adds_whole_quanta(network, water) -> None:
    structure = water(2, seed=1)
    evaluator = with_numbers(network, WATER)
    positions = structure.positions.copy()
    positions[0] += structure.cell[1]
    positions[4] -= 2 * structure.cell[2]
    before, after = dipoles(evaluator, [structure, replace(structure, positions=positions)])
    expected = -2 * structure.cell[1] + 1 * (-2) * structure.cell[2]
    np.testing.assert_allclose(after - before, expected, atol=1e-12)  # rounding


def test_the_integers_add_to_the_born_charges_and_nothing_else(network, learned, water) -> None:
    structure = water(2, seed=1)
    names = frozenset({"born_charges"})
    (plain,) = learned([structure], names).values
    (full,) = with_numbers(network, OxidationNumbers([-2, 1, 1, -1, 1, 0]))(
        [structure], names
    ).values
    added = full["born_charges"] - plain["born_charges"]
    expected = np.array([-2, 1, 1, -1, 1, 0])[:, None, None] * np.eye(3)
    np.testing.assert_allclose(added, expected, atol=1e-13)


def test_numbers_by_species_and_by_atom_agree(network, water) -> None:
    structures = [water(2, seed=1), water(2, seed=2)]
    by_species = dipoles(with_numbers(network, WATER), structures)
    by_atom = dipoles(with_numbers(network, OxidationNumbers([-2, 1, 1] * 2)), structures)
    np.testing.assert_array_equal(by_species, by_atom)


def test_the_dipole_of_a_neutral_cell_does_not_depend_on_the_origin(network, water) -> None:
    structure = water(2, seed=1)
    moved = replace(structure, positions=structure.positions + np.array([5.0, -3.0, 11.0]))
    one, other = dipoles(with_numbers(network, WATER), [structure, moved])
    np.testing.assert_allclose(other, one, atol=1e-12)


@pytest.mark.parametrize(
    ("numbers", "reason"),
    [
        ({"O": -2, "H": 0.5}, "H has 0.5, which is not an integer"),
        ({"O": True, "H": 1}, "O has True"),
        ([-2, 1.0, 1], "atom 1 has 1.0"),
        ({"Ox": -2}, "no element 'Ox'"),
    ],
)
def test_what_is_no_integer_of_an_element_is_refused(numbers, reason) -> None:
    with pytest.raises(ConfigError, match=reason):
        OxidationNumbers(numbers)


def test_species_and_atoms_without_a_number_are_refused(water) -> None:
    with pytest.raises(ConfigError, match="nothing about H;"):
        OxidationNumbers({"O": -2}).of(water(1))
    with pytest.raises(ConfigError, match="has 3 numbers for 6 atoms"):
        OxidationNumbers([-2, 1, 1]).of(water(2))


@pytest.mark.parametrize("pbc", [(True, True, True), (True, False, True)])
def test_single_valued_models_with_integers_pass(pbc, network, water) -> None:
    structure = water(2, seed=1, pbc=pbc)
    check_single_valued(with_numbers(network, WATER), structure, WATER)


def test_float32_models_pass_too(network, water) -> None:
    evaluator = MaceEvaluator(
        mace.potential({"it": network("potential")}, setting=SINGLE),
        mace.dipole({"it": network("dipole")}, oxidation_numbers=WATER, setting=SINGLE),
    )
    check_single_valued(evaluator, water(2, seed=1), WATER)


def test_learned_charges_are_refused_in_periodic_systems(network, water) -> None:
    evaluator = MaceEvaluator(dipole=mace.dipole({"it": network("dielectric")}))
    with pytest.raises(ModelError, match=r"charge x position.*AtomicDipolesMACE"):
        check_single_valued(evaluator, water(2, seed=1))
    check_single_valued(evaluator, water(2, seed=1, pbc=(False, False, False)))


@pytest.mark.parametrize(
    "wrong", [{"O": -2, "H": 2}, {"O": -3, "H": 2}]
)  # errors that cancel if moved alike
def test_the_wrong_integers_are_noticed(wrong, network, water) -> None:
    numbers = OxidationNumbers(wrong)
    with pytest.raises(ModelError, match=r"H \(atom 1, .* lattice vector 1 changes the dipole"):
        check_single_valued(with_numbers(network, WATER), water(2, seed=1), numbers)


class WorkOnImages:
    """A potential that pulls at absolute positions: not periodic."""

    def __init__(self, evaluator: MaceEvaluator) -> None:
        self.provides = frozenset({"energy"})
        self._evaluator = evaluator

    def __call__(
        self, structures: Sequence[Structure], wanted: frozenset[str], *, derivatives: bool = True
    ) -> CommitteeEvaluation:
        evaluation = self._evaluator(structures, wanted)
        for values, structure in zip(evaluation.values, structures, strict=True):
            values["energy"] = values["energy"] + 1e-3 * structure.positions[:, 0].sum()
        return evaluation


def test_potentials_that_are_not_periodic_are_refused(network, water) -> None:
    periodic = MaceEvaluator(mace.potential({"it": network("potential")}))
    structure = water(2, seed=1)
    check_single_valued(periodic, structure)
    with pytest.raises(ModelError, match=r"changes the energy by .* not periodic"):
        check_single_valued(WorkOnImages(periodic), structure)
