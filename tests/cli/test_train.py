"""``mlobs train`` from labels on random branches to a client file."""

from __future__ import annotations

import json
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from click.testing import CliRunner
from polarizable_ions import dipole_and_born_charges, lithium_niobate

from mlobs_client.cli.train import command
from mlobs_client.client import config
from mlobs_client.client.build import assemble
from mlobs_client.errors import ConfigError, ModelError
from mlobs_client.learn import training
from mlobs_client.learn.networks import KINDS
from mlobs_client.results import Result


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Diatomics whose dipole is 0.8 e times the bond, on random branches."""
    random = np.random.default_rng(0)
    cell = np.array([[4.0, 0.3, 0], [0.5, 4.5, 0], [0, -0.4, 5]])
    structures = []
    for _ in range(12):
        bond = random.normal(size=3)
        bond *= random.uniform(0.9, 1.3) / np.linalg.norm(bond)
        atoms = Atoms("LiH", [np.zeros(3), bond], cell=cell, pbc=True)
        atoms.info["mu"] = -0.8 * bond + random.integers(-2, 3, size=3) @ cell
        structures.append(atoms)
    path = tmp_path_factory.mktemp("frames") / "frames.extxyz"
    ase.io.write(path, structures)
    return path


@pytest.fixture(scope="module")
def arguments(frames: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("trained") / "dipoles"
    numbers = ["--oxidation-numbers", "Li=1,H=-1", "--key", "mu"]
    size = ["--cutoff", "3", "--steps", "30", "--members", "2", "--test-fraction", "0.2"]
    return ["dipole", str(frames), "-o", str(folder), *numbers, *size]


@pytest.mark.parametrize("kind", KINDS)
def test_the_help_of_a_kind_names_its_own_defaults(kind: str) -> None:
    shown = CliRunner().invoke(command, [kind, "--help"], terminal_width=200).output
    assert f"[default: {KINDS[kind].steps}]" in shown
    assert f"[default: {KINDS[kind].rate}]" in shown


def test_a_committee_is_trained_reported_and_ready_for_a_client(
    arguments: list[str], frames: Path, tmp_path: Path
) -> None:
    done = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert done.exit_code == 0
    folder = Path(arguments[3])
    report = json.loads((folder / "report.json").read_text())
    assert report["held_out"]["dipole"]["relative_percent"] < 50.0
    assert len(report["members"]) == 2
    assert report["branches"]["n_moved"] > 6
    assert (folder / "parity_dipole.png").exists()
    result = Result.read(folder / "parity_dipole.json")
    assert {one.quantity for one in result.parities} == {"dipole without integer part"}
    inputs = {Path(path).name for path in result.provenance.inputs}
    assert inputs >= {path.name for path in folder.glob("*.model")}
    table = done.output[done.output.index("[dipole]") :]
    assert "oxidation_numbers = { H = -1, Li = 1 }" in table
    client = tmp_path / "client.toml"
    field = '[field]\nvector = [0.0, 0.0, 0.1]\nunit = "V/angstrom"'
    client.write_text(f'structure = "{frames}"\n{field}\n{table}')
    assembly = assemble(config.load_config(client), tmp_path)  # refuses what is not single-valued
    assert "dipole" in assembly.evaluators[0].provides


def test_the_same_line_repeats_nothing_and_other_settings_are_refused(
    arguments: list[str],
) -> None:
    folder = Path(arguments[3])
    CliRunner().invoke(command, arguments, catch_exceptions=False)
    written = {path: path.stat().st_mtime_ns for path in folder.glob("*.model")}
    CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert {path: path.stat().st_mtime_ns for path in folder.glob("*.model")} == written
    with pytest.raises(ConfigError, match="seed = 0, not 1"):
        CliRunner().invoke(command, [*arguments, "--seed", "1"], catch_exceptions=False)


def test_the_client_gets_the_members_that_were_tested_and_no_other(arguments: list[str]) -> None:
    folder = Path(arguments[3])
    both = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert f'models = ["{folder}/dipole-*.model"]' in both.output
    one = CliRunner().invoke(command, [*arguments, "--members", "1"], catch_exceptions=False)
    assert len(json.loads((folder / "report.json").read_text())["members"]) == 1
    assert f'models = ["{folder}/dipole-0.model"]' in one.output
    assert "the models are trusted here" in one.output


def test_a_report_that_cannot_be_written_is_shown_all_the_same(arguments: list[str]) -> None:
    report = Path(arguments[3]) / "report.json"
    report.unlink(missing_ok=True)
    report.mkdir()
    done = CliRunner().invoke(command, arguments)
    report.rmdir()
    assert isinstance(done.exception, ModelError)
    assert "report.json: cannot be written" in str(done.exception)
    assert "[dipole]" in done.output


def test_networks_for_molecules_are_not_offered_to_periodic_runs(
    frames: Path, tmp_path: Path
) -> None:
    molecules = ase.io.read(frames, index=":")
    for atoms in molecules:
        atoms.pbc = False
    path = tmp_path / "molecules.extxyz"
    ase.io.write(path, molecules)
    size = ["--cutoff", "3", "--steps", "4", "--members", "1"]
    arguments = ["dipole", str(path), "-o", str(tmp_path / "o"), "--key", "mu", *size]
    done = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert "# for molecules only" in done.output
    assert "oxidation_numbers =" not in done.output
    assert "another branch" not in done.output


def test_numbers_that_are_no_integers_are_refused(frames: Path, tmp_path: Path) -> None:
    arguments = ["dipole", str(frames), "-o", str(tmp_path / "o"), "--oxidation-numbers", "Li=half"]
    done = CliRunner().invoke(command, arguments)
    assert done.exit_code == 2
    assert "write O=-2,H=1" in done.output


@pytest.fixture(scope="module")
def coordinate_first(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The command for Born charges whose first index is the coordinate, and dipoles."""
    random = np.random.default_rng(0)
    structures = []
    for _ in range(24):
        atoms = lithium_niobate()
        atoms.positions += random.normal(0.0, 0.1, atoms.positions.shape)
        dipole, born = dipole_and_born_charges(atoms)
        atoms.info["mu"] = dipole + random.integers(-2, 3, size=3) @ atoms.cell.array
        atoms.arrays["apt"] = born.swapaxes(1, 2).reshape(-1, 9)
        structures.append(atoms)
    folder = tmp_path_factory.mktemp("born")
    ase.io.write(folder / "frames.extxyz", structures)
    numbers = ["--oxidation-numbers", "Li=1,Nb=5,O=-2", "--key", "mu", "--born-charges-key", "apt"]
    return ["dipole", str(folder / "frames.extxyz"), "-o", str(folder / "dipoles"), *numbers]


class Began(Exception):
    """The training."""


def test_born_charges_in_the_other_order_are_refused_before_the_training_until_transposed(
    coordinate_first: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def begin(*_: object) -> None:
        raise Began

    monkeypatch.setattr(training, "train_committee", begin)
    refused = CliRunner().invoke(command, coordinate_first)
    assert isinstance(refused.exception, ConfigError)
    assert "coordinate as first index" in str(refused.exception)
    assert "--transpose" in str(refused.exception)
    right = CliRunner().invoke(command, [*coordinate_first, "--transpose"])
    assert isinstance(right.exception, Began)
    assert "the Born charges are [i, j] = d dipole_i / d R_j" in right.output


def test_transpose_is_of_born_charges_only(arguments: list[str]) -> None:
    done = CliRunner().invoke(command, [*arguments, "--transpose"])
    assert done.exit_code == 2
    assert "give their --born-charges-key" in done.output
