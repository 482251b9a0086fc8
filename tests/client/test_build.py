"""From a client file to evaluators and terms, and what is said when they do not fit."""

from __future__ import annotations

import re
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase.build import molecule
from client_files import DIPOLE, WATER, assembled

from mlobs_client.client.build import assemble
from mlobs_client.client.config import load_config
from mlobs_client.errors import ConfigError, EvaluationError
from mlobs_client.terms.displacement import FixedDisplacement
from mlobs_client.terms.field import UniformField, UnwrappedPositions

IONS = """
name = "charged_oscillators"
parameters = { sites = [[0, 0, 0], [1, 1, 0], [1, -1, 0]], charges = [-2, 1, 1] }
"""
ANALYTIC = """
structure = "init.xyz"
[potential]
kind = "ase"
calculator = "ase.calculators.lj.LennardJones"
[dipole]
kind = "toy"
name = "qtip4pf"
"""


def test_two_families_of_models_give_each_observable_once(tmp_path: Path) -> None:
    potential, dipole = assembled(tmp_path, ANALYTIC, box=None).evaluators
    assert "energy" in potential.provides
    assert "dipole" in dipole.provides
    assert not potential.provides & dipole.provides


def test_a_table_whose_model_does_not_give_its_quantity_is_refused(tmp_path: Path) -> None:
    one_atom = "parameters = { sites = [[0, 0, 0]], hessian = [[1, 0, 0], [0, 1, 0], [0, 0, 1]] }"
    crystal = f'name = "harmonic_crystal"\n{one_atom}'
    with pytest.raises(ConfigError, match=r"\[dipole\]: this model gives no dipole, only energy;"):
        assembled(tmp_path, ANALYTIC.replace('name = "qtip4pf"', crystal), box=None)


def test_the_structure_has_the_periodicity_of_its_file_unless_the_client_file_says_so(
    tmp_path: Path,
) -> None:
    assert assembled(tmp_path, WATER).structure.pbc == (True, True, True)
    said = "pbc = [true, false, false]\n" + WATER
    assert assembled(tmp_path, said).structure.pbc == (True, False, False)


def test_a_structure_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    (tmp_path / "client.toml").write_text(WATER)
    with pytest.raises(ConfigError, match=r"init\.xyz does not exist"):
        assemble(load_config(tmp_path / "client.toml"), tmp_path)


def test_a_structure_file_that_is_not_a_structure_is_named(tmp_path: Path) -> None:
    (tmp_path / "init.xyz").write_text("hello\n")
    (tmp_path / "client.toml").write_text(WATER)
    with pytest.raises(ConfigError, match="must be the number of atoms, not 'hello'"):
        assemble(load_config(tmp_path / "client.toml"), tmp_path)


def test_a_periodic_cell_without_volume_is_refused(tmp_path: Path) -> None:
    atoms = molecule("H2O")
    ase.io.write(tmp_path / "init.xyz", atoms, format="extxyz")
    (tmp_path / "client.toml").write_text("pbc = [true, true, true]\n" + WATER)
    with pytest.raises(EvaluationError, match="has no volume"):
        assemble(load_config(tmp_path / "client.toml"), tmp_path)


def test_the_structure_is_in_bohr(tmp_path: Path) -> None:
    assembly = assembled(tmp_path, WATER)
    bond = assembly.structure.positions[1] - assembly.structure.positions[0]
    # O-H of ASE's water, 0.9686 angstrom
    assert np.linalg.norm(bond) == pytest.approx(0.9686 / 0.529177, rel=1e-3)


@pytest.mark.parametrize("reduced", [False, True])
def test_a_displacement_of_a_client_file_is_a_term_with_the_guard_of_positions(
    tmp_path: Path, reduced: bool
) -> None:
    table = f'[displacement]\nvector = [0, 0, 1]\nunit = "atomic_unit"\nreduced = {reduced}\n'
    text = ANALYTIC.replace('name = "qtip4pf"\n', IONS) + table.lower()
    term, guard = assembled(tmp_path, text).terms
    assert isinstance(term, FixedDisplacement)
    assert term.displacement.tolist() == [0.0, 0.0, 1.0]
    assert (term.reference_cell is not None) == reduced
    assert isinstance(guard, UnwrappedPositions)
    with pytest.raises(ConfigError, match=r"\[displacement\] needs a structure that is periodic"):
        assembled(tmp_path, text, box=None)


def test_a_displacement_far_from_the_branch_of_the_structure_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    table = '[displacement]\nvector = [0.0, 0.0, 0.1]\nunit = "V/angstrom"\n'
    assembled(tmp_path, WATER + DIPOLE + table)
    assert "breakdown field" not in caplog.text
    atoms = ase.io.read(tmp_path / "init.xyz")
    atoms.positions[1] += atoms.cell[0]  # an H, as if the boundary had split the molecule
    ase.io.write(tmp_path / "init.xyz", atoms, format="extxyz")
    assemble(load_config(tmp_path / "client.toml"), tmp_path)
    (warning,) = (one.message for one in caplog.records if one.levelname == "WARNING")
    quantum = 4.0 * np.pi * 14.3996 * atoms.cell[0, 0] / atoms.get_volume()  # e^2 in eV angstrom
    found = re.search(r"is \[(\S+),.*4 pi P = \[(\S+),", warning)
    assert found is not None
    # in the field of a molecule, 0.2 V/angstrom
    assert [-float(found[1]), float(found[2])] == pytest.approx([quantum] * 2, abs=0.3)


def test_fixed_voltages_need_a_cell(tmp_path: Path) -> None:
    table = '[field]\nvector = [0, 0, 1]\nunit = "V/nm"\nreduced = true\n'
    (term, _) = assembled(tmp_path, ANALYTIC + table).terms
    assert isinstance(term, UniformField)
    assert term.reference_cell is not None
    with pytest.raises(ConfigError, match=r"reduced = true needs a structure that is periodic"):
        assembled(tmp_path, ANALYTIC + table, box=None)


def test_a_structure_with_numbers_that_are_none_is_named_with_its_file(tmp_path: Path) -> None:
    (tmp_path / "init.xyz").write_text("1\n\nO nan 0 0\n")
    (tmp_path / "client.toml").write_text(WATER)
    with pytest.raises(EvaluationError, match=r"init\.xyz: positions\[0, 0\] is nan"):
        assemble(load_config(tmp_path / "client.toml"), tmp_path)
