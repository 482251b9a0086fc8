"""Cells come from any trajectory; a molecule in vacuum is seen whatever cell i-PI writes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mlobs_client.errors import RecordError
from mlobs_client.ipi.cells import is_in_vacuum, read_cells

ANGSTROM = 1.88972612  # bohr


def write(path: Path, length: float, quantity: str = "positions", cell: bool = True) -> Path:
    """Two atoms 1 angstrom apart along x, in a cube in angstrom; frames at steps 0 and 5."""
    head = f"# CELL(abcABC): {length} {length} {length} 90 90 90" if cell else "#"
    path.write_text(
        "".join(
            f"2\n{head} Step: {step} {quantity}{{angstrom}} cell{{angstrom}}\nH 0 0 0\nH 1 0 0\n"
            for step in (0, 5)
        )
    )
    return path


def test_cells_are_those_of_the_first_file_that_has_some(tmp_path: Path) -> None:
    (tmp_path / "mu").write_text(" #EXTRAS(mu)# Step: 0 \n 1 2 3\n")
    without = write(tmp_path / "a.xyz", 9.0, cell=False)
    paths = [tmp_path / "mu", without, write(tmp_path / "b.xyz", 9.0)]
    steps, cells = read_cells(paths, tmp_path / "sim")
    assert steps.tolist() == [0, 5]
    np.testing.assert_allclose(cells[1], 9.0 * ANGSTROM * np.eye(3), rtol=1e-7, atol=1e-12)
    with pytest.raises(RecordError, match="sim: has no trajectory with a cell"):
        read_cells(paths[:2], tmp_path / "sim")


# 1 angstrom of atoms and 4 of vacuum
@pytest.mark.parametrize(("length", "is_molecule"), [(4.9, False), (5.1, True)])
def test_four_angstrom_of_vacuum_make_a_molecule(
    tmp_path: Path, length: float, is_molecule: bool
) -> None:
    later = write(tmp_path / "f.xyz", 100.0, "x_centroid")
    positions = write(tmp_path / "p.xyz", length)
    assert is_in_vacuum([positions, later]) is is_molecule


def test_without_a_cell_it_is_one_and_without_positions_unknown(tmp_path: Path) -> None:
    assert is_in_vacuum([write(tmp_path / "a.xyz", 9.0, cell=False)]) is True
    assert is_in_vacuum([tmp_path / "gone.xyz"]) is None
