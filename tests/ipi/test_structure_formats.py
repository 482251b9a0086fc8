"""Structure files as i-PI understands them; where i-PI has a reader, it says what is right."""

from __future__ import annotations

import logging
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ipi.utils.io import read_file

from mlobs_client.client.structure_file import read_structure_file
from mlobs_client.errors import ConfigError
from mlobs_client.ipi.structure_formats import iterate_atoms, read_content, read_last
from mlobs_client.structure import Structure
from mlobs_client.units import ANGSTROM, DALTON

EXACT = 1e-8  # relative: i-PI's angstrom is that of an older CODATA, 9e-9 away
ATOMS = "O 0.1 0.2 0.3\nD 0.9 0.7 0.1\nH -0.6 0.8 0.2"
UNITS = "cell{angstrom} positions{angstrom}"
CELLS = {
    "lengths and angles": "CELL(abcABC): 5.0 6.0 7.0 80.0 85.0 95.0",
    "columns": "CELL{H}: 5.0 0.4 0.3 0.0 6.0 0.2 0.0 0.0 7.0",
    "rows, to be turned": "CELL(GENH): 0.1 5.0 0.2 6.0 0.3 0.4 0.5 -0.2 7.0",
}
CHECKPOINT = """<simulation>
  <ffdirect name='gone'> <pes> custom </pes> <pes_path> gone.py </pes_path> </ffdirect>
  <system>
    <beads natoms='2' nbeads='2'>
      <q shape='(2, 6)'> [ 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 ] </q>
      <names shape='(2)'> [ D, O18 ] </names>
    </beads>
    <cell shape='(3, 3)'> [ 9, 1, 2, 0, 8, 3, 0, 0, 7 ] </cell>
  </system>
</simulation>
"""
PDB = """TITLE {title}
CRYST1   15.000   16.000   17.000  90.00  80.00  90.00 P 1           1
ATOM      1    O   1     1       0.125   0.250   0.375  0.00  0.00            0
ATOM      2    D   1     1       1.430  -1.107   0.250  0.00  0.00            0
END
"""


def read(folder: Path, text: str, name: str = "init.xyz") -> Structure:
    (folder / name).write_text(text)
    return read_structure_file(folder / name).structure


def read_with_ipi(path: Path, mode: str) -> Structure:
    with path.open() as file:
        found = read_file(mode, file)
    positions = np.array(found["atoms"].q).reshape(-1, 3)
    numbers = np.array([{"O": 8, "D": 1, "H": 1}[str(name)] for name in found["atoms"].names])
    return Structure(numbers, positions, np.array(found["cell"].h).T)


def assert_equal(ours: Structure, theirs: Structure) -> None:
    np.testing.assert_array_equal(ours.numbers, theirs.numbers)
    np.testing.assert_allclose(ours.positions, theirs.positions, rtol=EXACT, atol=1e-12)
    np.testing.assert_allclose(ours.cell, theirs.cell, rtol=EXACT, atol=1e-12)
    assert ours.pbc == theirs.pbc


@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
@pytest.mark.parametrize("units", [UNITS, "cell{atomic_unit} positions{angstrom}"])
def test_xyz_of_ipi_is_read_as_ipi_does_with_its_cell(
    tmp_path: Path, cell: str, units: str
) -> None:
    ours = read(tmp_path, f"3\n# {cell} Step: 0 {units}\n{ATOMS}\n")
    assert_equal(ours, read_with_ipi(tmp_path / "init.xyz", "xyz"))
    assert ours.pbc == (True, True, True)


def test_xyz_of_ipi_without_units_is_in_bohr_and_that_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    comment = f"3\n# {CELLS['columns']}"
    ours = read(tmp_path, f"{comment}\n{ATOMS}\n")
    assert "names no unit of its positions, so bohr is assumed" in caplog.text
    assert_equal(ours, read_with_ipi(tmp_path / "init.xyz", "xyz"))
    caplog.clear()
    read(tmp_path, f"{comment} positions{{angstrom}}\n{ATOMS}\n")
    assert "names no unit of its cell" in caplog.text
    caplog.clear()
    # the remedy
    ours = read(
        tmp_path, f"3\n# {CELLS['columns']} positions{{angstrom}} cell{{angstrom}}\n{ATOMS}"
    )
    assert caplog.text == ""
    assert ours.positions[0, 0] == pytest.approx(0.1 * ANGSTROM)


def test_the_last_line_may_lack_its_newline_and_the_first_frame_counts(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="mlobs_client")
    one = f"3\n# {CELLS['columns']} {UNITS}\n{ATOMS}"
    alone = read(tmp_path, one)
    assert caplog.text == ""
    assert_equal(read(tmp_path, f"{one}\n{one.replace('0.9', '1.9')}\n"), alone)
    assert "several frames, of which the first is taken" in caplog.text


@pytest.mark.parametrize(
    "comment",
    [
        "a comment of somebody",
        'Lattice="9 0 0 0 9 0 0 0 9" Properties=species:S:1:pos:R:3 pbc="T T F"',
    ],
)
def test_isotopes_in_any_xyz_are_their_elements(tmp_path: Path, comment: str) -> None:
    heavy = read(tmp_path, f"3\n{comment}\n{ATOMS.replace('O', 'O18')}\n")
    light = read(tmp_path, f"3\n{comment}\n{ATOMS.replace('D', 'H')}\n")
    assert_equal(heavy, light)
    assert heavy.numbers.tolist() == [8, 1, 1]


def test_isotopes_are_found_in_any_column(tmp_path: Path) -> None:
    comment = "Properties=tag:I:2:species:S:1:pos:R:3"
    ours = read(tmp_path, f"1\n{comment}\n5 6 D 1 2 3\n")
    assert ours.numbers.tolist() == [1]
    np.testing.assert_allclose(ours.positions, [np.array([1.0, 2.0, 3.0]) * ANGSTROM])


def test_a_lattice_of_zeros_is_a_molecule(tmp_path: Path) -> None:
    comment = 'Lattice="0 0 0 0 0 0 0 0 0" Properties=species:S:1:pos:R:3'
    assert read(tmp_path, f"3\n{comment}\n{ATOMS}\n").pbc == (False, False, False)


def test_a_checkpoint_gives_its_first_bead_and_its_cell(tmp_path: Path) -> None:
    ours = read(tmp_path, CHECKPOINT, "RESTART")
    assert ours.numbers.tolist() == [1, 8]
    assert ours.positions.tolist() == [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]
    assert ours.cell.tolist() == [[9.0, 0.0, 0.0], [1.0, 8.0, 0.0], [2.0, 3.0, 7.0]]


def test_an_input_is_no_checkpoint(tmp_path: Path) -> None:
    text = "<simulation> <system> <initialize nbeads='1'/> </system> </simulation>"
    with pytest.raises(ConfigError, match=r"no <beads> and <cell>.*name the file in its <init"):
        read(tmp_path, text, "input.xml")


@pytest.mark.parametrize("title", ["", "cell{atomic_unit}  Traj: positions{atomic_unit} Step: 0"])
def test_a_pdb_has_the_units_and_the_labels_of_ipi(tmp_path: Path, title: str) -> None:
    ours = read(tmp_path, PDB.format(title=title), "init.pdb")
    assert_equal(ours, read_with_ipi(tmp_path / "init.pdb", "pdb"))


def test_a_pdb_of_others_is_read_by_ase(tmp_path: Path) -> None:
    atoms = Atoms("OH", [[0, 0, 0], [0, 0, 0.96]], cell=[9, 8, 7], pbc=True)
    ase.io.write(tmp_path / "init.pdb", atoms)
    ours = read_structure_file(tmp_path / "init.pdb").structure
    assert ours.numbers.tolist() == [8, 1]
    np.testing.assert_allclose(ours.cell, np.diag([9, 8, 7]) * ANGSTROM, atol=1e-3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hello\n", "first line of an xyz file must be the number of atoms, not 'hello'"),
        ("0\n\n", "number of atoms"),
        ("9999999999999999999999\nx\nO 0 0 0\n", r"init\.xyz"),
        (f"4\nx\n{ATOMS}\n", "has 3 atoms, but its first line says 4"),
        (f"3\n{UNITS}\n{ATOMS.replace('O', 'Qq')}\n", "unknown species 'Qq'"),
        (f"3\nx\n{ATOMS.replace('O', 'Qq')}\n", "unknown species 'Qq'"),
        (f"3\nvelocities{{atomic_unit}}\n{ATOMS}\n", "holds velocities, not positions"),
        ("<simulation>\n", "cannot be read as XML"),
        ("<simulation/>\n", "no <beads>"),
    ],
)
def test_what_is_no_structure_is_one_line_that_names_the_file(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message) as refused:
        read(tmp_path, text)
    assert "init.xyz" in str(refused.value)


def test_all_frames_of_a_file_may_have_labels_of_ipi_and_any_number_of_atoms(tmp_path) -> None:
    path = tmp_path / "set.xyz"
    bohr = "# CELL{H}: 9 0 0 0 9 0 0 0 9 positions{atomic_unit} cell{atomic_unit}"
    mine = 'Properties=species:S:1:pos:R:3 mu="1 2 3" pbc="F F F"'
    path.write_text(f"2\n{mine}\nO18 0 0 0\nD 1 0 0\n1\n{bohr}\nT 1 0 0")
    first, second = iterate_atoms(path)
    assert [first.numbers.tolist(), second.numbers.tolist()] == [[8, 1], [1]]
    assert first.info["mu"].tolist() == [1, 2, 3]
    assert second.positions[0, 0] == pytest.approx(0.529177210903)
    assert second.cell[2, 2] == pytest.approx(9 * 0.529177210903)
    path.write_text(path.read_text() + "\n2\n" + mine + "\nH 0 0 0\n")
    with pytest.raises(ConfigError, match=r"set.xyz: has 1 atoms, but its line 8 says 2"):
        list(iterate_atoms(path))


FRAME = "2\n{comment}\nD 0.0 0.0 {z}\nO18 0.0 0.0 1.0\n"
EXTENDED = 'Properties=species:S:1:pos:R:3 pbc="F F F"'


@pytest.mark.parametrize("comment", [f"# CELL(abcABC): 9 9 9 90 90 90 {UNITS}", EXTENDED])
def test_the_last_frame_is_found_and_its_isotopes_have_their_masses(
    tmp_path: Path, comment: str
) -> None:
    path = tmp_path / "many.xyz"
    path.write_text("".join(FRAME.format(comment=comment, z=z) for z in (0.1, 0.2, 0.3)))
    content, n_frames = read_last(path)
    assert n_frames == 3
    assert content.positions[0, 2] == pytest.approx(0.3 * ANGSTROM, abs=1e-6)
    assert read_content(path).positions[0, 2] == pytest.approx(0.1 * ANGSTROM, abs=1e-6)
    assert content.masses is not None
    np.testing.assert_allclose(content.masses / DALTON, [2.014102, 17.999160], atol=1e-5)


def test_the_last_structure_of_other_formats_is_found(tmp_path: Path) -> None:
    path = tmp_path / "many.traj"
    ase.io.write(path, [Atoms("H", [[0.0, 0.0, z]]) for z in (1.0, 2.0)])
    content, n_frames = read_last(path)
    assert (n_frames, content.masses) == (2, None)
    assert content.positions[0, 2] == pytest.approx(2.0 * ANGSTROM)


def test_a_checkpoint_has_the_masses_of_its_atoms(tmp_path: Path) -> None:
    path = tmp_path / "RESTART"
    path.write_text(CHECKPOINT.replace("<names", "<m shape='(2)'> [ 5000, 7000 ] </m> <names"))
    content, n_frames = read_last(path)
    assert n_frames == 1
    assert content.masses is not None
    assert content.masses.tolist() == [5000.0, 7000.0]


def test_a_pdb_of_i_pi_has_the_masses_of_its_labels(tmp_path: Path) -> None:
    path = tmp_path / "init.pdb"
    path.write_text(PDB.format(title=UNITS))
    content, _ = read_last(path)
    assert content.masses is not None
    assert content.masses[1] / DALTON == pytest.approx(2.014102, abs=1e-5)


def test_masses_of_elements_are_left_to_the_elements(tmp_path: Path) -> None:
    path = tmp_path / "light.xyz"
    path.write_text(f"1\n# CELL(abcABC): 9 9 9 90 90 90 {UNITS}\nH 0 0 0\n")
    assert read_last(path)[0].masses is None


def test_a_file_without_structures_is_named(tmp_path: Path) -> None:
    path = tmp_path / "empty.traj"
    ase.io.write(path, [])
    with pytest.raises(ConfigError, match=r"empty\.traj"):
        read_last(path)
