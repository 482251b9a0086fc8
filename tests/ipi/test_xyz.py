"""One frame, in every way that i-PI writes or reads it."""

from __future__ import annotations

import io

import numpy as np
import pytest

from mlobs_client.errors import RecordError
from mlobs_client.ipi.xyz import parse_frame

ATOMS = ["       O  1.00000e+00  2.00000e+00 -3.00000e+00\n", "       H 0.5 0.25 1e1\n"]
VALUES = np.array([[1.0, 2.0, -3.0], [0.5, 0.25, 10.0]])
BOHR = 1.8897261  # per angstrom, as i-PI rounds it


def test_positions_and_cell_have_units_of_their_own() -> None:
    comment = (
        "# CELL(abcABC): 10.0 20.0 30.0 90.0 90.0 90.0 positions{angstrom} cell{atomic_unit}\n"
    )
    frame = parse_frame(comment, ATOMS, "here")
    assert frame.quantity == "positions"
    assert frame.numbers.tolist() == [8, 1]
    np.testing.assert_allclose(frame.values, VALUES * BOHR, rtol=1e-12)
    np.testing.assert_allclose(frame.cell, np.diag([10.0, 20.0, 30.0]), atol=1e-13)


def test_lengths_and_angles_make_the_lattice_vectors_rows() -> None:
    comment = "# CELL(abcABC): 10 11 12 60 70 80 positions{atomic_unit}  cell{angstrom}\n"
    cell = parse_frame(comment, ATOMS, "here").cell
    assert cell is not None
    lengths = np.linalg.norm(cell, axis=1)
    cosines = [cell[i] @ cell[j] / lengths[i] / lengths[j] for i, j in ((1, 2), (0, 2), (0, 1))]
    np.testing.assert_allclose(lengths, np.array([10, 11, 12]) * BOHR, rtol=1e-12)
    np.testing.assert_allclose(np.degrees(np.arccos(cosines)), [60, 70, 80], rtol=1e-12)
    assert cell[0, 1] == cell[0, 2] == 0.0


def test_h_has_the_lattice_vectors_as_columns() -> None:
    comment = "# CELL(H): 10 1 2 0 11 3 0 0 12 forces{atomic_unit} cell{atomic_unit}\n"
    cell = parse_frame(comment, ATOMS, "here").cell
    np.testing.assert_array_equal(cell, [[10, 0, 0], [1, 11, 0], [2, 3, 12]])


@pytest.mark.parametrize("brackets", ["()", "[]", "{}"])
def test_a_cell_in_any_brackets_is_a_cell_and_no_unit(brackets: str) -> None:
    comment = f"# CELL{brackets[0]}H{brackets[1]}: 10 1 2 0 11 3 0 0 12 positions{{angstrom}}\n"
    frame = parse_frame(comment, ATOMS, "here")
    assert frame.quantity == "positions"
    np.testing.assert_array_equal(frame.cell, [[10, 0, 0], [1, 11, 0], [2, 3, 12]])


def test_a_general_cell_is_turned_as_i_pi_turns_it() -> None:
    h = np.array([[3.0, 1.0, 2.0], [8.0, 2.0, -1.0], [1.0, 12.0, 20.0]])  # rows
    numbers = " ".join(map(str, h.ravel()))
    frame = parse_frame(f"# CELL(GENH): {numbers} positions{{angstrom}}\n", ATOMS, "here")
    assert frame.cell is not None
    metric = h @ h.T
    np.testing.assert_allclose(frame.cell @ frame.cell.T, metric, rtol=1e-12)
    fractional = frame.values / BOHR @ np.linalg.inv(frame.cell)
    np.testing.assert_allclose(fractional, VALUES @ np.linalg.inv(h), rtol=1e-12)
    assert frame.cell[0, 1] == frame.cell[0, 2] == frame.cell[1, 2] == 0.0


@pytest.mark.parametrize("flavour", ["abcABC", "H", "GENH"])
def test_frames_are_read_as_i_pi_reads_them(flavour: str) -> None:
    from ipi.utils.io import read_file

    numbers = "10 11 12 61 72 83" if flavour == "abcABC" else "10 1 2 0.5 11 3 0.25 0.125 12"
    if flavour == "H":
        numbers = "10 1 2 0 11 3 0 0 12"  # i-PI keeps only the upper triangle
    comment = f"# CELL({flavour}): {numbers} Step: 3 positions{{angstrom}} cell{{angstrom}}\n"
    theirs = read_file("xyz", io.StringIO(f"2\n{comment}{''.join(ATOMS)}"))
    ours = parse_frame(comment, ATOMS, "here")
    np.testing.assert_allclose(ours.values.ravel(), theirs["atoms"].q, rtol=1e-13)
    np.testing.assert_allclose(ours.cell, theirs["cell"].h.T, rtol=1e-13, atol=1e-13)


def test_a_frame_without_cell_has_none() -> None:
    assert parse_frame("positions{angstrom}\n", ATOMS, "here").cell is None


def test_extended_xyz_of_others_is_in_angstrom() -> None:
    comment = 'Lattice="10 0 0 1 11 0 2 3 12" Properties=species:S:1:pos:R:3 pbc="T T T"\n'
    frame = parse_frame(comment, ATOMS, "here")
    np.testing.assert_allclose(frame.values, VALUES * 1.88972612, rtol=1e-8)
    np.testing.assert_allclose(frame.cell[2], np.array([2, 3, 12]) * 1.88972612, rtol=1e-8)


def test_isotopes_are_their_elements_and_further_columns_are_ignored() -> None:
    lines = ["D 1 2 3 0.5 extra\n", "H 4 5 6 0.5 extra\n"]
    frame = parse_frame("positions{atomic_unit}\n", lines, "here")
    assert frame.numbers.tolist() == [1, 1]
    assert frame.values.tolist() == [[1, 2, 3], [4, 5, 6]]


@pytest.mark.parametrize(
    ("comment", "lines", "said"),
    [
        ("a molecule\n", ATOMS, "names no quantity and unit"),
        ("positions{furlong}\n", ATOMS, "unknown unit 'furlong'"),
        ("positions{angstrom}\n", ["Xy 1 2 3\n"], "unknown species 'Xy'"),
        ("positions{angstrom}\n", ["H 1 2 three\n"], "three"),
        ("positions{angstrom}\n", ["H 1 2\n"], "three numbers"),
        ("# CELL(H): 1 0 0 0 1 0 positions{angstrom}\n", ATOMS, "has 6 numbers; H has 9"),
        (
            "# CELL(abcABC): 9 9 9 90 90 90 7 positions{angstrom}\n",
            ATOMS,
            "7 numbers; abcABC has 6",
        ),
    ],
)
def test_what_makes_no_sense_is_named_with_its_place(comment, lines, said) -> None:
    with pytest.raises(RecordError, match=f"a.xyz:7: .*{said}"):
        parse_frame(comment, lines, "a.xyz:7")


def test_a_frame_of_extended_xyz_has_labels_of_ipi_and_no_cell_of_zeros() -> None:
    comment = 'Lattice="0 0 0 0 0 0 0 0 0" Properties=species:S:1:pos:R:3\n'
    frame = parse_frame(comment, [ATOMS[0], ATOMS[1].replace("H", "D")], "here")
    assert frame.numbers.tolist() == [8, 1]
    assert frame.labels == ("O", "D")  # which tell the masses
    assert frame.cell is None


def test_braces_around_the_kind_of_cell_are_no_unit() -> None:
    comment = "# CELL{H}: 10 1 2 0 11 3 0 0 12 positions{atomic_unit} cell{atomic_unit}\n"
    frame = parse_frame(comment, ATOMS, "here")
    assert frame.quantity == "positions"
    np.testing.assert_array_equal(frame.cell, [[10, 0, 0], [1, 11, 0], [2, 3, 12]])


@pytest.mark.parametrize("number", ["nan", "inf", "-inf", "1e999"])
def test_a_number_that_is_not_finite_is_named_with_its_atom_and_axis(number: str) -> None:
    lines = ["H 0 0 0\n", f"H 0 {number} 0\n"]
    for comment in ("velocities{atomic_unit}\n", "Properties=species:S:1:pos:R:3\n"):
        with pytest.raises(
            RecordError, match=r"a\.xyz:7: .* of atom 1 have y = -?(nan|inf), which"
        ):
            parse_frame(comment, lines, "a.xyz:7")
