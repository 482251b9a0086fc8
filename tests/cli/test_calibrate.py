"""From a client file and labelled frames to a card that the client uses by default.

The models are bundled ones: three of four make the committee, and the fourth is the truth.
"""

from __future__ import annotations

import logging
import shutil
import tomllib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import ase.io
import numpy as np
import pytest
from ase import Atoms
from calibrations import CLIENT, MODELS, copy_models, molecules
from click.testing import CliRunner

from mlobs_client.cli.calibrate import _write, command
from mlobs_client.client.config import parse
from mlobs_client.client.session import ClientSession
from mlobs_client.client.total_energy import observe
from mlobs_client.errors import ConfigError
from mlobs_client.evaluate.card import FILE, read_card, write_card
from mlobs_client.evaluate.mace import evaluator as mace
from mlobs_client.evaluate.model_files import load
from mlobs_client.evaluate.oxidation import OxidationNumbers
from mlobs_client.files import write_json
from mlobs_client.learn.training import data_digest
from mlobs_client.record.reader import open_record
from mlobs_client.results import Result
from mlobs_client.structure import Structure
from mlobs_client.units import ANGSTROM, DEBYE, EV
from mlobs_client.wire import extras

KEYS = ["--key", "energy=REF_energy", "--key", "forces=REF_forces", "--key", "dipole=mu",
        "--unit", "dipole=debye"]  # fmt: skip
OBSERVED = '[observables]\nextras = ["energy_spread"]\nrecord = ["committee_dipoles"]\n'


def structure_of(atoms: Atoms) -> Structure:
    numbers, cell = np.asarray(atoms.numbers, dtype=np.int64), np.asarray(atoms.cell)
    return Structure(numbers, atoms.positions * ANGSTROM, cell * ANGSTROM)


def labelled(seeds: range) -> list[Atoms]:
    """By the fourth members, with another zero of the energy and dipoles on any branch, debye."""
    potential = mace.potential({"": load(MODELS / "potential-3.model")})
    dipole = mace.dipole(
        {"": load(MODELS / "dipole-3.model")}, oxidation_numbers=OxidationNumbers({"O": -2, "H": 1})
    )
    evaluator = mace.MaceEvaluator(potential, dipole)
    names = frozenset({"energy", "committee_forces", "dipole"})
    frames = [molecules(seed) for seed in seeds]
    random = np.random.default_rng(0)
    for atoms in frames:
        (values,) = observe([structure_of(atoms)], [evaluator], names)
        atoms.info["REF_energy"] = float(values["energy"]) / EV + 3.0
        atoms.arrays["REF_forces"] = values["committee_forces"][0] * ANGSTROM / EV
        quanta = random.integers(-2, 3, size=3) @ np.asarray(atoms.cell)
        atoms.info["mu"] = (values["dipole"] + quanta * ANGSTROM) / DEBYE
    return frames


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models of a user, labelled frames and a client file."""
    folder = tmp_path_factory.mktemp("calibrate")
    frames = labelled(range(8))
    ase.io.write(folder / "frames.extxyz", frames)
    ase.io.write(folder / "init.xyz", frames[0], format="extxyz")
    copy_models(folder, 3, "potential", "dipole")
    (folder / "client.toml").write_text(CLIENT)
    return folder


@pytest.fixture(scope="module")
def output(folder: Path) -> str:
    """What the command says, once it has calibrated these models."""
    arguments = [str(folder / "client.toml"), str(folder / "frames.extxyz"), *KEYS]
    done = CliRunner().invoke(
        command, [*arguments, "-o", str(folder / "figure")], catch_exceptions=False
    )
    assert done.exit_code == 0
    return done.output


def alphas(folder: Path) -> dict[str, float]:
    """Of the card."""
    return {
        name: one.alpha
        for kind in ("potential", "dipole")
        for name, one in read_card(sorted(folder.glob(f"{kind}-*.model"))).items()
    }


def test_alpha_of_all_quantities_with_labels_is_shown_drawn_and_written(folder, output) -> None:
    found = alphas(folder)
    assert set(found) == {"energy", "forces", "dipole"}
    # the truth is a fourth member, which differs more; branches or zeros of energies that were
    # taken for errors would make it hundreds
    assert all(0.5 < alpha < 10.0 for alpha in found.values()), found
    for name, alpha in found.items():
        (row,) = (line for line in output.splitlines() if line.strip().startswith(f"{name} "))
        assert f"{alpha:.2f} ±" in row
    result = Result.read(folder / "figure.json")
    drawn = {name.removeprefix("alpha of "): one.value for name, one in result.numbers.items()}
    assert drawn == pytest.approx(found)
    models = {path.name for path in folder.glob("*.model")}
    inputs = {Path(path).name for path in result.provenance.inputs}
    assert inputs == {"frames.extxyz", "client.toml", "init.xyz"} | models
    assert {"torch", "mace-torch"} <= set(result.provenance.versions)
    assert (folder / "figure.png").exists()
    card = read_card(sorted(folder.glob("potential-*.model")))["forces"]
    assert card.data == "frames.extxyz"
    assert card.data_sha256 == data_digest(folder / "frames.extxyz")
    assert (card.n_frames, card.n_atoms, card.unit) == (8, 6.0, "eV/angstrom")


def spread(folder: Path, alpha: str = "") -> float:
    """Of the energy, as it is sent."""
    table = '"potential-*.model"]\n'
    (folder / "run.toml").write_text(CLIENT.replace(table, table + alpha) + OBSERVED)
    one = structure_of(ase.io.read(folder / "frames.extxyz", index=0))
    with ClientSession.from_file(folder / "run.toml") as client:
        (reply,) = client(one.cell[None], one.positions[None])
    return float(extras.decode(reply.extras)["energy_spread"])


def test_a_client_uses_the_card_says_so_in_its_record_and_an_explicit_alpha_wins(
    folder, output
) -> None:
    known = alphas(folder)
    with_explicit, by_default = spread(folder, "alpha = 0.7\n"), spread(folder)
    assert by_default == pytest.approx(known["energy"] / 0.7 * with_explicit, rel=1e-9)
    explicit = open_record(folder / "observables.h5").attributes
    assert (explicit["alpha_energy"], explicit["alpha_dipole"]) == (0.7, known["dipole"])
    default = open_record(folder / "observables-1.h5").attributes
    assert (default["alpha_energy"], default["alpha_dipole"]) == (known["energy"], known["dipole"])


def test_a_client_warns_once_of_a_structure_that_is_unlike_the_calibration(
    folder, output, caplog
) -> None:
    (folder / "run.toml").write_text(CLIENT)  # nobody has asked for a spread
    one = structure_of(ase.io.read(folder / "frames.extxyz", index=0))
    with ClientSession.from_file(folder / "run.toml") as client, caplog.at_level(logging.WARNING):
        client(one.cell[None], one.positions[None])
        assert "members differ by" not in caplog.text
        broken = one.positions.copy()
        broken[1] += 1.5 * (broken[1] - broken[0])  # an O-H bond of 2.4 angstrom
        client(np.repeat(one.cell[None], 2, axis=0), np.array([broken, 1.001 * broken]))
    warned = [r.getMessage() for r in caplog.records if "members differ by" in r.getMessage()]
    assert len(warned) == 1
    assert "energy: the members differ by" in warned[0]


def test_two_members_are_refused_in_one_line(folder, tmp_path) -> None:
    copy_models(tmp_path, 2, "potential")
    text = CLIENT.split("[dipole]")[0].replace("init.xyz", str(folder / "init.xyz"))
    (tmp_path / "client.toml").write_text(text)
    done = CliRunner().invoke(
        command, [str(tmp_path / "client.toml"), str(folder / "frames.extxyz"), *KEYS[:4]]
    )
    assert isinstance(done.exception, ConfigError)
    assert "[potential] has 2 members" in str(done.exception)
    assert "\n" not in str(done.exception)
    assert not (tmp_path / FILE).exists()


def test_bundled_models_keep_their_card(folder, tmp_path) -> None:
    before = (MODELS / FILE).read_text()
    text = CLIENT.split("[dipole]")[0].replace("init.xyz", str(folder / "init.xyz"))
    (tmp_path / "client.toml").write_text(
        text.replace("potential-*.model", "bundled:water/potential-*")
    )
    done = CliRunner().invoke(
        command,
        [str(tmp_path / "client.toml"), str(folder / "frames.extxyz"), *KEYS[:4],
         "-o", str(tmp_path / "figure")],
        catch_exceptions=False,
    )  # fmt: skip
    assert (
        "bundled models keep their own card; to use the alpha of this calibration, write alpha ="
        in (done.output)
    )
    assert (MODELS / FILE).read_text() == before


def test_the_alpha_of_forces_is_that_of_the_potential_where_there_are_no_energies(
    tmp_path: Path,
) -> None:
    bundled = CLIENT.split("[dipole]")[0].replace("potential-", "bundled:water/potential-")
    config = parse(tomllib.loads(bundled), "client.toml")
    forces: Any = SimpleNamespace(
        models=(MODELS / "potential-0.model",), calibration=SimpleNamespace(alpha=1.5)
    )
    (line,) = _write(config, tmp_path / "frames.extxyz", {"forces": forces})
    assert line.startswith("[potential]: bundled models keep their own card")
    assert "write alpha = 1.5 there" in line


def test_what_cannot_be_right_is_refused(folder, output, tmp_path) -> None:
    client, frames = str(folder / "client.toml"), str(folder / "frames.extxyz")

    def refused(*arguments: str) -> str:
        done = CliRunner().invoke(command, [client, *arguments, "-o", str(tmp_path / "figure")])
        return f"{done.output}{done.exception}"

    assert "has none of the labels" in refused(frames)
    assert "write QUANTITY=" in refused(frames, "--key", "energies=REF_energy")
    assert "unknown unit 'statcoulomb'" in refused(frames, "--unit", "dipole=statcoulomb")
    assert "there is no 'nothing' for the energy" in refused(frames, "--key", "energy=nothing")
    assert "no committee of MACE models for polarizability" in refused(
        str(polarizability(tmp_path))
    )
    report = {"settings": {"data": data_digest(Path(frames))}, "data": {"held_out": [3, 5]}}
    write_json(folder / "report.json", report)
    try:
        assert "these models were trained on it" in refused(frames, *KEYS)
    finally:
        (folder / "report.json").unlink()
    done = CliRunner().invoke(
        command, [client, frames, *KEYS, "-o", str(folder / FILE).removesuffix(".json")]
    )
    assert "is the card of the models" in done.output


def polarizability(folder: Path) -> Path:
    atoms = molecules(0)
    atoms.info["polarizability"] = np.eye(3).ravel()
    ase.io.write(folder / "tensor.extxyz", atoms)
    return folder / "tensor.extxyz"


def test_the_bundled_committees_are_calibrated() -> None:
    for kind, quantity in (
        ("potential", "energy"), ("dipole", "dipole"), ("polarizability", "polarizability")
    ):  # fmt: skip
        card = read_card(sorted(MODELS.glob(f"{kind}-*.model")))[quantity]
        assert card.n_frames >= 7
        # on all held-out frames 1.9, 1.4 and 1.7, each known to a seventh
        assert 1.0 < card.alpha < 2.5


def test_a_copy_of_the_models_beside_another_card_is_another_committee(tmp_path) -> None:
    paths = copy_models(tmp_path, 3, "potential")
    shutil.copy(MODELS / FILE, tmp_path / FILE)
    assert read_card(paths) == {}
    write_card(paths, read_card(sorted(MODELS.glob("potential-*.model"))))
    assert read_card(paths)["energy"].alpha == pytest.approx(
        read_card(sorted(MODELS.glob("potential-*.model")))["energy"].alpha
    )
