from __future__ import annotations

import io
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111, molecule
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms, FixBondLength, FixCartesian

from mlobs_client.errors import ConfigError
from mlobs_client.inputs.starting_structure import (
    find_gaps,
    prepare,
    read_start,
    render_structure,
)

SHEAR = np.array([[1.0, 0.1, 0.0], [0.05, 1.0, 0.2], [0.1, 0.0, 1.0]])
COPPER = bulk("Cu", cubic=True)
IPI_XYZ = """2
# CELL(abcABC): 30 31 32 90 90 90 Step: 0 Bead: 0 positions{angstrom} cell{angstrom}
O18 0.0 0.0 0.0
D 0.0 0.0 0.9
"""


@pytest.fixture
def sheared() -> Atoms:
    """Copper in a cell that is neither triangular nor symmetric, off its symmetric positions."""
    atoms = COPPER.copy()
    atoms.set_cell(COPPER.cell.array @ SHEAR, scale_atoms=True)
    atoms.rattle(0.1, seed=1)
    return atoms


def energy(atoms: Atoms) -> float:
    copy = atoms.copy()
    copy.set_constraint()
    copy.calc = EMT()
    return float(copy.get_potential_energy())


def test_a_cell_is_turned_to_a_lower_triangle_with_its_atoms(sheared: Atoms) -> None:
    start = prepare(sheared)
    cell = start.atoms.cell.array
    assert (cell[np.triu_indices(3, 1)] == 0.0).all()
    assert (np.diag(cell) > 0.0).all()
    # the same crystal, and no mirror image of it: distances and handedness stay
    np.testing.assert_allclose(cell @ cell.T, sheared.cell.array @ sheared.cell.array.T, atol=1e-12)
    scaled = [one.get_scaled_positions(wrap=False) for one in (start.atoms, sheared)]
    np.testing.assert_allclose(*scaled, atol=1e-12)
    (note,) = start.notes
    assert "turned as a whole" in note


def test_left_handed_lattice_vectors_are_reversed_and_nothing_is_mirrored(sheared: Atoms) -> None:
    left = sheared.copy()
    left.cell = sheared.cell.array[[1, 0, 2]]
    start = prepare(left)
    assert start.atoms.cell.handedness == 1
    assert energy(start.atoms) == pytest.approx(energy(left), abs=1e-10)
    triple = [np.linalg.det(np.diff(one.positions, axis=0)) for one in (start.atoms, left)]
    assert triple[0] == pytest.approx(triple[1])  # changes its sign in a mirror
    assert "left-handed" in start.notes[0]


def test_a_cell_that_i_pi_takes_is_left_as_it_is() -> None:
    start = prepare(COPPER)
    assert start.notes == []
    np.testing.assert_array_equal(start.atoms.positions, COPPER.positions)
    np.testing.assert_array_equal(start.atoms.cell.array, COPPER.cell.array)


def test_a_molecule_gets_a_cell_around_it_that_i_pi_wants() -> None:
    start = prepare(molecule("H2O"))
    lengths = np.diag(start.atoms.cell.array)
    extent = np.ptp(molecule("H2O").positions, axis=0)
    np.testing.assert_allclose(np.sort(lengths), np.sort(extent + 20.0))
    assert not start.atoms.pbc.any()
    assert "has no cell" in start.notes[0]


def test_a_slab_without_a_third_vector_gets_one() -> None:
    slab = fcc111("Al", (2, 2, 3))
    slab.info.clear()
    start = prepare(slab)
    assert start.atoms.pbc.tolist() == [True, True, False]
    assert start.atoms.cell[2, 2] == pytest.approx(np.ptp(slab.positions[:, 2]) + 20.0)
    assert start.description == "Al12 (12 atoms, a slab)"


@pytest.mark.parametrize(
    ("kind", "pbc"),
    [("molecule", [False] * 3), ("crystal", [True] * 3), ("slab", [True, True, False])],
)
def test_the_kind_decides_on_the_periodicity(kind: str, pbc: list[bool]) -> None:
    slab = fcc111("Cu", (2, 2, 3), vacuum=6.0, periodic=True)
    start = prepare(slab, kind)
    assert start.atoms.pbc.tolist() == pbc
    assert start.notes == (
        [] if all(pbc) else [f"the structure says pbc = [True, True, True]; a {kind} has {pbc}."]
    )


def test_vacuum_in_a_periodic_structure_is_pointed_out() -> None:
    slab = fcc111("Cu", (2, 2, 3), vacuum=6.0, periodic=True)
    (note,) = prepare(slab).notes
    assert "12.0 angstrom of vacuum along the third" in note
    assert "mlobs init slab" in note
    box = molecule("H2O", vacuum=6.0)
    box.pbc = True
    assert "mlobs init molecule" in prepare(box).notes[0]


def test_gaps_are_found_across_the_boundary(sheared: Atoms) -> None:
    slab = fcc111("Cu", (2, 2, 3), vacuum=6.0, periodic=True)
    slab.positions[:, 2] += 11.0
    slab.wrap()
    assert find_gaps(slab)[2] == pytest.approx(12.0)
    assert find_gaps(sheared).max() < 3.0
    assert find_gaps(molecule("H2O")).tolist() == [0.0, 0.0, 0.0]


def test_fixed_atoms_and_masses_are_written_and_read_again(sheared: Atoms) -> None:
    sheared.set_constraint(FixAtoms([1, 3]))
    sheared.set_masses([63.0, 65.0, 63.0, 65.0])
    start = prepare(sheared)
    assert start.fixed.tolist() == [3, 4, 5, 9, 10, 11]
    again = ase.io.read(io.StringIO(render_structure(start)), format="extxyz")
    assert again.get_masses().tolist() == [63.0, 65.0, 63.0, 65.0]
    assert again.constraints[0].index.tolist() == [1, 3]
    np.testing.assert_allclose(again.cell.array, start.atoms.cell.array)
    np.testing.assert_allclose(again.positions, start.atoms.positions, atol=1e-8)  # as written


def test_other_arrays_of_ase_are_not_written() -> None:
    atoms = COPPER.copy()
    atoms.set_tags(1)
    atoms.info["note"] = "mine"
    assert "tags" not in (text := render_structure(prepare(atoms)))
    assert "mine" not in text


def test_a_trajectory_gives_its_last_structure_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "two.traj"
    ase.io.write(path, [molecule("CO2"), molecule("H2O")])
    start = read_start(path)
    assert start.atoms.get_chemical_formula() == "H2O"
    assert start.notes[0] == f"{path} has 2 structures; the last one is taken."


def test_isotopes_of_i_pi_keep_their_masses(tmp_path: Path) -> None:
    path = tmp_path / "heavy.xyz"
    path.write_text(IPI_XYZ)
    start = read_start(path, "molecule")
    assert start.atoms.get_chemical_symbols() == ["O", "H"]
    np.testing.assert_allclose(start.atoms.get_masses(), [17.9992, 2.0141], atol=1e-3)
    assert start.lightest == pytest.approx(2.0141, abs=1e-3)
    np.testing.assert_allclose(start.atoms.cell.lengths(), [30.0, 31.0, 32.0])


REFUSED = {
    "atoms, and i-PI keeps the centre of mass": (Atoms("Cu"), None),
    "atom 2 is of no element": (Atoms("HX", [[0, 0, 0], [0, 0, 1]]), None),
    "not finite": (Atoms("H2", [[0, 0, 0], [0, 0, np.nan]]), None),
    "has at most 1.8 angstrom of vacuum": (COPPER, "slab"),
    "is not periodic, and a slab is": (molecule("H2O"), "slab"),
    "along its first lattice vector, which is not there": (molecule("H2O"), "crystal"),
    "have no volume": (Atoms("H2", [[0, 0, 0], [0, 0, 1]], cell=np.ones((3, 3))), None),
}


@pytest.mark.parametrize("text", REFUSED)
def test_a_structure_from_which_i_pi_cannot_start_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(ConfigError, match=text) as caught:
        prepare(*REFUSED[text])
    assert ";" in str(caught.value)  # what to do
    assert "\n" not in str(caught.value)


def test_constraints_that_i_pi_does_not_have_are_refused_by_name(sheared: Atoms) -> None:
    sheared.set_constraint([FixAtoms([0]), FixBondLength(1, 2)])
    with pytest.raises(ConfigError, match=r"would ignore: FixBondLengths; remove"):
        prepare(sheared)


def test_single_fixed_coordinates_are_not_turned(sheared: Atoms) -> None:
    sheared.set_constraint(FixCartesian(0, [True, False, False]))
    with pytest.raises(ConfigError, match="FixCartesian"):
        prepare(sheared)
    straight = COPPER.copy()
    straight.set_constraint(FixCartesian(0, [False, True, False]))
    assert prepare(straight).fixed.tolist() == [1]


@pytest.mark.parametrize("name", ["nothing.xyz", "."])
def test_a_file_that_is_none_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="name the file with the atoms"):
        read_start(tmp_path / name)
