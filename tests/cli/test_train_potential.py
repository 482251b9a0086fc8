"""``mlobs train potential`` from energies and forces to a client file."""

from __future__ import annotations

import json
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from click.testing import CliRunner

from mlobs_client.cli.train import command
from mlobs_client.client import config
from mlobs_client.client.build import assemble
from mlobs_client.errors import ConfigError
from mlobs_client.results import Result


def diatomic(random: np.random.Generator) -> Atoms:
    """A spring of 8 eV/angstrom^2 and 1.1 angstrom."""
    bond = random.normal(size=3)
    bond *= random.uniform(0.9, 1.3) / np.linalg.norm(bond)
    atoms = Atoms("LiH", [np.zeros(3), bond])
    stretch = np.linalg.norm(bond) - 1.1
    atoms.info["REF_energy"] = 4.0 * stretch**2 - 200.0
    pull = 8.0 * stretch * bond / np.linalg.norm(bond)
    atoms.arrays["REF_forces"] = np.array([pull, -pull])
    return atoms


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("frames") / "frames.extxyz"
    random = np.random.default_rng(0)
    ase.io.write(path, [diatomic(random) for _ in range(25)])
    return path


def line(frames: Path, folder: Path, *more: str) -> list[str]:
    keys = ["--energy-key", "REF_energy", "--forces-key", "REF_forces"]
    size = ["--cutoff", "3", "--steps", "40", "--network", "channels=4,radial=8,degree=0"]
    return ["potential", str(frames), "-o", str(folder), *keys, *size, *more]


def train(*arguments: object) -> str:
    return CliRunner().invoke(command, [*map(str, arguments)], catch_exceptions=False).output


@pytest.fixture(scope="module")
def done(frames: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A committee of three, and what the command said."""
    folder = tmp_path_factory.mktemp("trained") / "potentials"
    return folder, train(*line(frames, folder, "-m", "3", "--test-fraction", "0.2"))


def test_one_command_leads_to_a_potential_for_a_client(done, frames: Path, tmp_path: Path) -> None:
    folder, output = done
    report = json.loads((folder / "report.json").read_text())
    assert report["held_out"]["forces"]["relative_percent"] < 60.0
    assert {"H", "Li"} == report["held_out"]["forces"]["classes"].keys()
    table = output[output.index("[potential]") :]
    (tmp_path / "client.toml").write_text(f'structure = "{frames}"\n{table}')
    assembly = assemble(config.load_config(tmp_path / "client.toml"), tmp_path)
    assert "energy" in assembly.evaluators[0].provides


def test_the_report_has_the_calibration_the_cost_and_a_learning_curve(done) -> None:
    folder, output = done
    report = json.loads((folder / "report.json").read_text())
    assert report["calibration"]["forces"]["alpha"] > 0.0
    assert report["calibration"]["forces"]["n_frames"] == 5
    assert report["cost"]["milliseconds_per_atom"] > 0.0
    assert report["cost"]["n_atoms"] == 2
    assert "alpha of forces:" in output
    assert "ms per atom" in output
    curves = Result.read(folder / "learning_curve.json").points
    assert [one.label for one in curves] == [f"potential-{m}.model" for m in range(3)]
    checks = report["members"]["potential-1.model"]["checks"]
    np.testing.assert_array_equal(curves[1].mean, [check["error"] for check in checks])
    assert (folder / "learning_curve.png").exists()


def test_energies_of_a_further_file_are_learned_too(frames: Path, tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    further = [diatomic(random) for _ in range(8)]
    for atoms in further:
        atoms.info["REF_energy"] += 500.0  # another code
        del atoms.arrays["REF_forces"]
    ase.io.write(tmp_path / "gas.extxyz", further)
    also = ["--also", f"{tmp_path}/gas.extxyz=0.1", "-m", "1", "--steps", "8"]
    train(*line(frames, tmp_path / "o", *also))
    report = json.loads((tmp_path / "o" / "report.json").read_text())
    assert report["data"]["also"] == [{"n_structures": 8, "weight": 0.1}]
    assert report["data"]["n_structures"] == 25
    assert report["held_out"]["energy"]["rmse"] < 1.0  # eV/atom: the 500 eV are of no weight
    further[0].info.pop("REF_energy")
    ase.io.write(tmp_path / "none.extxyz", further[:1])
    with pytest.raises(ConfigError, match=r"none\.extxyz: the first structure has none of the"):
        train(*line(frames, tmp_path / "p", "--also", f"{tmp_path}/none.extxyz=1"))


def test_errors_of_frames_drawn_at_random_come_with_a_warning(done) -> None:
    folder, output = done
    assert "warning: the held-out structures were drawn at random" in output
    report = json.loads((folder / "report.json").read_text())
    assert report["data"]["held_out_by"] == "random"
    sets = json.loads((folder / "split.json").read_text())["sets"]
    assert sorted(sets.values()) == ["test"] * 5 + ["training"] * 20


def test_other_files_or_whole_groups_are_held_out(frames: Path, tmp_path: Path) -> None:
    random = np.random.default_rng(2)
    ase.io.write(tmp_path / "test.extxyz", [diatomic(random) for _ in range(3)])
    test = ["--test", str(tmp_path / "test.extxyz"), "-m", "1", "--steps", "4"]
    output = train(*line(frames, tmp_path / "files", *test))
    assert "warning" not in output
    report = json.loads((tmp_path / "files" / "report.json").read_text())
    assert report["data"]["held_out"] == [25, 26, 27]  # after those of the main file
    assert report["held_out"]["energy"]["n_rows"] == 3
    with pytest.raises(ConfigError, match=r"there is no .run. for --test-group; .* REF_energy"):
        train(*line(frames, tmp_path / "o", "--test-group", "run"))
    both = CliRunner().invoke(command, line(frames, tmp_path / "o", *test, "--test-group", "run"))
    assert both.exit_code == 2
