import pytest


def test_another_order_of_species_is_an_error_that_names_the_first_atom(case, texts):
    ours = case.folder / "ours.xyz"
    lines = case.structure.read_text().splitlines()
    ours.write_text("\n".join([*lines[:2], lines[3], lines[2], lines[4]]))
    case.replace(case.client, "init.xyz", "ours.xyz")
    (error,) = texts(case.judge_all(), "error")
    assert "atom 1 is 'O' in input.xml, but 'H' in ours.xyz" in error
    assert "(2 atoms differ)" in error


def test_another_number_of_atoms_is_an_error(case, texts):
    ours = case.folder / "ours.xyz"
    ours.write_text(case.structure.read_text().replace("3\n", "4\n", 1) + "H 5 5 5\n")
    case.replace(case.client, "init.xyz", "ours.xyz")
    (error,) = texts(case.judge_all(), "error")
    assert "3 atoms" in error
    assert "has 4" in error


def test_isotopes_are_the_same_element(case, texts):
    theirs = case.folder / "heavy.xyz"
    theirs.write_text(
        "3\n# CELL(abcABC): 20 20 20 90 90 90 positions{angstrom} cell{angstrom}\n"
        "O17 0 0 0\nD 0.757 0.586 0\nH -0.757 0.586 0\n"
    )
    case.replace(case.input, "mode='ase'> init.xyz", "mode='xyz'> heavy.xyz")
    assert texts(case.judge_all(), "error") == []


def test_a_periodic_cell_without_volume_is_an_error(case, texts):
    case.replace(case.structure, "20 0 0 3 21 0 -2 4 22", "20 0 0 3 0 0 -2 0 0")
    case.replace(case.structure, "F F F", "T T T")
    errors = " ".join(texts(case.judge_all(), "error"))
    assert "no volume" in errors
    assert "lattice vectors" in errors


def test_a_cell_of_ipi_without_volume_is_an_error(case, texts):
    theirs = case.folder / "flat.xyz"
    flat = case.structure.read_text().replace("20 0 0 3 21 0 -2 4 22", "20 0 0 3 0 0 -2 0 0")
    theirs.write_text(flat)
    case.replace(case.input, "init.xyz", "flat.xyz")
    (error,) = texts(case.judge_all(), "error")
    assert "give a cell with a volume" in error


def test_a_cell_that_ipi_turns_is_a_warning(case, texts):
    case.replace(case.structure, "20 0 0 3 21 0 -2 4 22", "0 20 0 21 3 0 4 -2 -22")
    case.replace(case.structure, "F F F", "T T T")
    assert "rotates the cell" in texts(case.judge_all(), "warning")[0]


def test_two_cells_are_a_warning_with_both(case, texts):
    ours = case.folder / "ours.xyz"
    ours.write_text(case.structure.read_text().replace("-2 4 22", "-2 4 23"))
    case.replace(ours, "F F F", "T T T")
    case.replace(case.client, "init.xyz", "ours.xyz")
    assert "the cells differ" in texts(case.judge_all(), "warning")[0]


def test_a_molecule_in_a_large_cell_need_not_be_periodic(case, texts):
    findings = case.judge_all()
    assert texts(findings, "error") == texts(findings, "warning") == []


def test_atoms_that_fill_the_cell_without_periodicity_are_a_warning(case, texts):
    case.replace(case.structure, "20 0 0 3 21 0 -2 4 22", "4 0 0 0.3 5 0 -0.2 0.4 6")
    assert "pbc = [true, true, true]" in texts(case.judge_all(), "warning")[0]
    case.replace(case.client, "structure =", "pbc = [true, true, true]\nstructure =")
    assert texts(case.judge_all(), "warning") == []


def make_npt(case):
    case.replace(
        case.input,
        "<dynamics mode='nve'>",
        "<dynamics mode='npt'> <barostat mode='isotropic'>"
        "<thermostat mode='langevin'> <tau> 1e4 </tau> </thermostat> <tau> 1e4 </tau> </barostat>"
        "<thermostat mode='svr'> <tau> 1e4 </tau> </thermostat>",
    )
    case.replace(case.input, "</ensemble>", "<pressure> 1e-9 </pressure> </ensemble>")


def test_constant_pressure_without_periodicity_is_an_error_whose_remedy_works(case, texts):
    make_npt(case)
    parsed = case.parse()
    (error,) = texts(case.judge_structure(parsed), "error")
    assert "is not periodic" in error
    remedy = error.partition("-> write ")[2].partition(" at the top")[0]
    case.client.write_text(f"{remedy}\n{case.client.read_text()}")
    assert texts(case.judge_structure(parsed), "error") == []


@pytest.mark.parametrize("comment", ["nothing", "positions{angstrom}"])
def test_constant_pressure_without_a_cell_is_an_error_whose_remedy_works(case, texts, comment):
    make_npt(case)
    parsed = case.parse()
    _, _, *atoms = case.structure.read_text().splitlines()
    ours = case.folder / "ours.xyz"
    ours.write_text("\n".join(["3", comment, *atoms]))
    case.replace(case.client, "init.xyz", "ours.xyz")
    (error,) = texts(case.judge_structure(parsed), "error")
    _, _, remedy = error.partition(
        "-> write the lattice vectors into the second line of ours.xyz, "
    )
    written = remedy.removeprefix("in angstrom: ")
    ours.write_text("\n".join(["3", f"{comment} {written}", *atoms]))
    findings = case.judge_structure(parsed)
    assert texts(findings, "error") == []
    assert "cells differ" not in " ".join(texts(findings, "warning"))


def test_xyz_of_ipi_is_periodic_also_for_the_client(case, texts):
    make_npt(case)
    parsed = case.parse()
    ours = case.folder / "ours.xyz"
    _, _, *atoms = case.structure.read_text().splitlines()
    cell = "# CELL{H}: 20 3 -2 0 21 4 0 0 22 cell{angstrom} positions{angstrom}"
    ours.write_text("\n".join(["3", cell, *atoms]))
    case.replace(case.client, "init.xyz", "ours.xyz")
    assert texts(case.judge_structure(parsed), "error") == []
