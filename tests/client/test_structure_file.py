"""What a structure file needs beside its format: a cell where it is periodic, and a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.constraints import FixAtoms, FixCartesian

from mlobs_client.client.structure_file import read_structure_file
from mlobs_client.errors import ConfigError, EvaluationError
from mlobs_client.units import ANGSTROM

ATOMS = "O 0.1 0.2 0.3\nD 0.9 0.7 0.1\nH -0.6 0.8 0.2"


@pytest.mark.parametrize("comment", ["", "positions{angstrom}"])
def test_periodicity_without_a_cell_says_how_a_cell_is_written(
    tmp_path: Path, comment: str
) -> None:
    path = tmp_path / "init.xyz"
    path.write_text(f"3\n{comment}\n{ATOMS}\n")
    with pytest.raises(EvaluationError, match="has no volume") as refused:
        read_structure_file(path, (True, True, True))
    remedy = str(refused.value).split("in angstrom: ")[1]
    names, numbers = [f"{v}{x}" for v in "abc" for x in "xyz"], [5, 0, 0, 1, 6, 0, 2, 3, 7]
    for name, number in zip(names, numbers, strict=True):
        remedy = remedy.replace(name, str(number))
    path.write_text(f"3\n{comment} {remedy}\n{ATOMS}\n")
    ours = read_structure_file(path, (True, True, True)).structure
    np.testing.assert_allclose(ours.cell / ANGSTROM, np.reshape(numbers, (3, 3)), rtol=1e-7)


def test_a_folder_is_no_structure(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is a folder"):
        read_structure_file(tmp_path)


def test_fixed_coordinates_come_with_the_structure(tmp_path: Path) -> None:
    atoms = Atoms("OHH", np.eye(3))
    atoms.set_constraint([FixAtoms([2]), FixCartesian([0], (False, True, False))])
    atoms.write(tmp_path / "init.traj")
    assert read_structure_file(tmp_path / "init.traj").fixed.tolist() == [1, 6, 7, 8]
