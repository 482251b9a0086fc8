from __future__ import annotations

from dataclasses import FrozenInstanceError

import numpy as np
import pytest

from mlobs_client.errors import EvaluationError
from mlobs_client.structure import Array, Prediction, Structure, from_atoms, to_atoms

NUMBERS = np.array([8, 1])
POSITIONS = np.array([[0.1, 0.2, 0.3], [1.0, 1.1, 1.2]])
CELL = np.array([[9.0, 1.0, 0.5], [-0.7, 8.0, 1.2], [0.3, -1.1, 10.0]])


def test_a_structure_knows_its_size() -> None:
    structure = Structure(NUMBERS, POSITIONS, CELL)
    assert structure.n_atoms == 2
    a, b, c = CELL
    assert structure.volume == pytest.approx(abs(np.dot(a, np.cross(b, c))), rel=1e-14)
    assert structure.pbc == (True, True, True)


def test_the_volume_of_a_left_handed_cell_is_positive() -> None:
    assert Structure(NUMBERS, POSITIONS, CELL[[1, 0, 2]]).volume > 0.0


def test_a_structure_cannot_be_changed() -> None:
    structure = Structure(NUMBERS, POSITIONS, CELL)
    with pytest.raises(FrozenInstanceError):
        structure.cell = np.eye(3)  # type: ignore[misc]


def test_the_way_to_the_atoms_of_ase_and_back_changes_nothing() -> None:
    pbc = (True, False, True)
    atoms = to_atoms(NUMBERS, POSITIONS, CELL, pbc)
    # 1 bohr is 0.529177 angstrom
    np.testing.assert_allclose(atoms.positions, 0.529177 * POSITIONS, rtol=1e-6)
    np.testing.assert_allclose(atoms.cell[2], 0.529177 * CELL[2], rtol=1e-6)
    assert atoms.symbols.get_chemical_formula() == "HO"
    there, back = Structure(NUMBERS, POSITIONS, CELL, pbc), Structure(*from_atoms(atoms))
    assert (back.numbers.tolist(), back.pbc) == (there.numbers.tolist(), pbc)
    # division and multiplication by one number: one rounding each
    np.testing.assert_allclose(back.positions, there.positions, rtol=3e-16)
    np.testing.assert_allclose(back.cell, there.cell, rtol=3e-16)


def holed(array: Array, value: float) -> Array:
    result = array.copy()
    result[1, 2] = value
    return result


@pytest.mark.parametrize(
    ("positions", "cell", "message"),
    [
        (POSITIONS[:1], CELL, r"positions must have shape \(2, 3\), got \(1, 3\)"),
        (POSITIONS.ravel(), CELL, r"positions must have shape \(2, 3\), got \(6,\)"),
        (POSITIONS, CELL[:2], r"cell must have shape \(3, 3\), got \(2, 3\)"),
        (holed(POSITIONS, np.nan), CELL, r"positions\[1, 2\] is nan"),
        (POSITIONS, holed(CELL, np.inf), r"cell\[1, 2\] is inf"),
        (POSITIONS, np.zeros((3, 3)), "has no volume"),
        (POSITIONS, CELL[[0, 0, 1]], "has no volume"),
    ],
)
def test_an_impossible_structure_is_refused(positions: Array, cell: Array, message: str) -> None:
    with pytest.raises(EvaluationError, match=message):
        Structure(NUMBERS, positions, cell)


def test_a_molecule_needs_no_cell() -> None:
    molecule = Structure(NUMBERS, POSITIONS, np.zeros((3, 3)), (False, False, False))
    assert molecule.volume == 0.0


FORCES = np.array([[0.1, 0.2, 0.3], [-0.1, -0.2, -0.3]])
VIRIAL = np.arange(9.0).reshape(3, 3)


def test_a_prediction_keeps_what_it_is_given() -> None:
    dipole = np.array([0.1, 0.2, 0.3])
    prediction = Prediction(-1.5, FORCES, None, {"dipole": dipole})
    assert prediction.virial is None
    assert prediction.observables["dipole"] is dipole


@pytest.mark.parametrize(
    ("energy", "forces", "virial", "observables", "message"),
    [
        (np.nan, FORCES, VIRIAL, {}, "energy is nan, not a finite number"),
        (0.0, holed(FORCES, -np.inf), VIRIAL, {}, r"forces\[1, 2\] is -inf"),
        (0.0, FORCES, holed(VIRIAL, np.nan), {}, r"virial\[1, 2\] is nan"),
        (0.0, FORCES[:, :2], VIRIAL, {}, r"forces must have shape \(2, 3\)"),
        (0.0, FORCES, VIRIAL[0], {}, r"virial must have shape \(3, 3\), got \(3,\)"),
        (0.0, FORCES, VIRIAL, {"dipole": np.zeros(2)}, r"dipole must have shape \(3,\)"),
        (0.0, FORCES, VIRIAL, {"dipole": np.full(3, np.nan)}, r"dipole\[0\] is nan"),
        (
            0.0,
            FORCES,
            VIRIAL,
            {"born_charges": np.zeros((3, 3, 3))},
            r"born_charges must have shape \(2, 3, 3\), got \(3, 3, 3\)",
        ),
        (0.0, FORCES, VIRIAL, {"committee_forces": np.zeros((4, 3, 3))}, "committee_forces must"),
        (0.0, FORCES, VIRIAL, {"committee_energies": np.zeros((4, 1))}, "committee_energies must"),
    ],
)
def test_an_impossible_prediction_is_refused(
    energy: float,
    forces: Array,
    virial: Array,
    observables: dict[str, Array],
    message: str,
) -> None:
    with pytest.raises(EvaluationError, match=message):
        Prediction(energy, forces, virial, observables)


def test_committees_may_have_any_number_of_members() -> None:
    for n_members in (1, 4):
        members = {
            "committee_energies": np.zeros(n_members),
            "committee_forces": np.zeros((n_members, 2, 3)),
        }
        assert Prediction(0.0, FORCES, VIRIAL, members).observables.keys() == members.keys()


def test_a_number_that_is_not_finite_says_where_to_look() -> None:
    with pytest.raises(EvaluationError, match=r"last frames of the trajectory.*time step"):
        Prediction(float("inf"), FORCES, VIRIAL)
