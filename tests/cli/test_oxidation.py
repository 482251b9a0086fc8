"""``mlobs oxidation`` on labels and on the models of a client file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.io import write
from click.testing import CliRunner

from mlobs_client.cli.oxidation import command
from mlobs_client.errors import ConfigError, MissingObservable, RecordError
from mlobs_client.results import Result
from mlobs_client.units import ANGSTROM, DEBYE

CELL = np.array([[5.0, 0.3, -0.4], [1.1, 4.5, 0.2], [0.3, -0.6, 6.0]])
SITES = np.array([[0.2, 0.1, 0.3], [2.6, 2.2, 3.1]])
CLIENT = f"""structure = "path.extxyz"
virial = "none"
[potential]
kind = "toy"
name = "charged_oscillators"
parameters = {{sites = {(SITES * ANGSTROM).tolist()}, charges = [2, -2], cubic = 0.01}}
"""


def write_path(folder: Path, unit: float = 1.0, key: str = "dipole") -> Path:
    """The anion goes along -b; its labels come in the cell next to the origin."""
    images = []
    for s in np.linspace(0.0, 1.0, 20):
        positions = SITES - [[0, 0, 0], s * CELL[1]]
        atoms = Atoms("MgO", positions, cell=CELL, pbc=True)
        atoms.info[key] = (2.0 * (positions[0] - positions[1]) @ np.linalg.inv(CELL) % 1.0) @ CELL
        atoms.info[key] *= unit
        images.append(atoms)
    write(folder / "path.extxyz", images)
    return folder / "path.extxyz"


def call(*arguments: str | Path) -> str:
    done = CliRunner().invoke(command, list(map(str, arguments)), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_labels_on_any_branch_give_the_oxidation_number_and_a_figure(tmp_path: Path) -> None:
    said = call(write_path(tmp_path), "--atom", "1", "-o", tmp_path / "winding")
    assert "N = -2: oxidation number of O (atom 1" in said
    assert "(0, -1, 0) lattice vectors" in said
    assert (tmp_path / "winding.png").exists()


def test_labels_have_any_name_and_unit(tmp_path: Path) -> None:
    path = write_path(tmp_path, ANGSTROM / DEBYE, "MACE_dipole")
    options = ["--atom", "1", "--key", "MACE_dipole", "--unit"]
    assert "N = -2" in call(path, *options, "debye")
    with pytest.raises(RecordError, match=r"quanta|lattice vector"):  # 4.8 x as large
        call(path, *options, "e*angstrom")


def test_models_of_a_client_file_give_it_without_labels(tmp_path: Path) -> None:
    path = write_path(tmp_path, key="unused")
    (tmp_path / "client.toml").write_text(CLIENT)
    client, result = tmp_path / "client.toml", tmp_path / "winding"
    assert "N = -2" in call(path, "--atom", "1", "--client", client, "-o", result)
    inputs = Result.read(tmp_path / "winding.json").provenance.inputs
    assert set(inputs) == {str(path), str(client)}  # the path is the structure, too
    (tmp_path / "client.toml").write_text(
        'structure = "path.extxyz"\nvirial = "none"\n[potential]\nkind = "toy"\n'
        'name = "harmonic_crystal"\n'
        f"parameters = {{sites = {SITES.tolist()}, hessian = {np.eye(6).tolist()}}}\n"
    )
    with pytest.raises(MissingObservable, match="dipole"):
        call(path, "--atom", "1", "--client", tmp_path / "client.toml")


def test_what_is_missing_or_changes_is_named(tmp_path: Path) -> None:
    path = write_path(tmp_path)
    with pytest.raises(RecordError, match=r"structure 0 has no 'REF_mu' .* it has dipole"):
        call(path, "--atom", "1", "--key", "REF_mu")
    images = [Atoms("MgO", SITES, cell=CELL * scale, pbc=True) for scale in (1.0, 1.1)]
    for image in images:
        image.info["dipole"] = np.zeros(3)
    write(path, images)
    with pytest.raises(RecordError, match="the cell of structure 1 differs"):
        call(path, "--atom", "1")
    write(path, images[:1])
    with pytest.raises(RecordError, match="has 1 structure; a path needs at least two"):
        call(path, "--atom", "1")
    with pytest.raises(ConfigError, match="cannot read structures"):
        call(tmp_path / "absent.extxyz", "--atom", "1")


def test_the_path_may_have_labels_of_ipi(tmp_path: Path) -> None:
    path = write_path(tmp_path)
    path.write_text(path.read_text().replace("\nO ", "\nO18 "))
    assert "N = -2: oxidation number of O (atom 1" in call(path, "--atom", "1")
