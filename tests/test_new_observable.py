"""An observable of a new shape takes one row and one evaluator: all else follows from the row."""

from __future__ import annotations

from pathlib import Path

import ase.io
import atomic_tensors
import numpy as np
import pytest
from ase import Atoms
from atomic_tensors import ALPHA, NAME, ROW, exact
from click.testing import CliRunner

from mlobs_client.check.physics import check_models
from mlobs_client.cli.observe import command
from mlobs_client.client import config
from mlobs_client.client.observe import read_observed
from mlobs_client.client.service import ClientFile
from mlobs_client.client.session import ClientSession
from mlobs_client.errors import MissingObservable
from mlobs_client.evaluate.toys import TOYS
from mlobs_client.learn.accuracy import assess
from mlobs_client.learn.committee_errors import committee_errors
from mlobs_client.learn.labels import Label, read_labelled
from mlobs_client.learn.networks import KINDS
from mlobs_client.learn.settings import TrainingSettings
from mlobs_client.learn.training import (
    data_digest,
    load_member,
    read_data_set,
    train_committee,
)
from mlobs_client.quantities import QUANTITIES, rows_of
from mlobs_client.record.reader import open_record
from mlobs_client.structure import Structure
from mlobs_client.testing.conformance import check_evaluator
from mlobs_client.units import ANGSTROM
from mlobs_client.wire import extras

STRENGTHS = [0.3, 0.5, 0.9]  # bohr
MEMBERS = ROW.members
CLIENT = f"""
structure = "init.xyz"
[potential]
kind = "toy"
name = "qtip4pf"
[{NAME}]
kind = "toy"
name = "{NAME}"
parameters = {{ strengths = {STRENGTHS} }}
[observables]
extras = ["{NAME}"]
record = ["{NAME}", "{MEMBERS}"]
"""


@pytest.fixture(autouse=True)
def one_row(monkeypatch: pytest.MonkeyPatch) -> None:
    for row in rows_of(ROW):
        monkeypatch.setitem(QUANTITIES, row.name, row)
    monkeypatch.setitem(TOYS, NAME, atomic_tensors.make)
    monkeypatch.setitem(KINDS, NAME, atomic_tensors.KIND)


def molecules(seed: int) -> Atoms:
    random = np.random.default_rng(seed)
    one = np.array([[0.0, 0.0, 0.0], [0.96, 0.0, 0.0], [-0.24, 0.93, 0.0]])
    positions = np.concatenate([one, one + np.array([0.4, 0.3, 2.7])])
    return Atoms("OH2OH2", positions + random.normal(scale=0.05, size=positions.shape))


def structure_of(atoms: Atoms) -> Structure:
    numbers, positions = atoms.numbers.astype(np.int64), atoms.positions * ANGSTROM
    return Structure(numbers, positions, np.zeros((3, 3)), (False, False, False))


@pytest.fixture
def client(tmp_path: Path) -> Path:
    ase.io.write(tmp_path / "init.xyz", molecules(0), format="extxyz")
    (tmp_path / "client.toml").write_text(CLIENT)
    return tmp_path / "client.toml"


def test_it_travels_in_extras_and_its_members_are_recorded(client: Path) -> None:
    structures = [structure_of(molecules(seed)) for seed in (1, 2)]
    positions = np.array([one.positions for one in structures])
    with ClientSession.from_file(client) as answer:
        replies = answer(np.repeat(30.0 * np.eye(3)[None], 2, axis=0), positions)
    record = open_record(client.with_name("observables.h5"))
    assert record.units == {NAME: "bohr^3", MEMBERS: "bohr^3"}
    means = [exact(one, np.mean(STRENGTHS)) for one in structures]
    spread_out = np.mean(STRENGTHS) + ALPHA * (np.array(STRENGTHS) - np.mean(STRENGTHS))
    members = [[exact(one, strength) for strength in spread_out] for one in structures]
    # sums of a few pairs: rounding only
    for reply, mean in zip(replies, means, strict=True):
        np.testing.assert_allclose(extras.decode(reply.extras)[NAME], mean, atol=1e-12)
    np.testing.assert_allclose(record.read(NAME), means, atol=1e-12)
    np.testing.assert_allclose(record.read(MEMBERS), members, atol=1e-12)


def test_a_file_that_lacks_its_table_is_told_which(client: Path) -> None:
    table = CLIENT[CLIENT.index(f"[{NAME}]") : CLIENT.index("[observables]")]
    client.write_text(CLIENT.replace(table, ""))
    with pytest.raises(MissingObservable, match=rf"needs {NAME}, .*add a \[{NAME}\]"):
        ClientSession.from_file(client)


def test_derivatives_of_its_mean_and_members_are_compared_with_differences(client: Path) -> None:
    report = check_evaluator(
        atomic_tensors.make(STRENGTHS), structure_of(molecules(3)), step=0.003, n_sampled=2
    )
    assert report.passed, str(report)
    assert {f"d({NAME})/d(positions)", f"d({MEMBERS})/d(strain)"} <= {r.what for r in report.rows}
    findings = list(check_models(ClientFile(client, config.load_config(client))))
    assert not [one for one in findings if one.level == "error"], findings
    assert any(f"{NAME}: correct to within" in one.what for one in findings)


def test_it_is_observed_after_the_simulation_in_the_units_of_users(
    client: Path, tmp_path: Path
) -> None:
    frames = [molecules(seed) for seed in range(3)]
    ase.io.write(tmp_path / "frames.extxyz", frames)
    wanted = ["-w", NAME, "-w", MEMBERS, "-o", str(tmp_path / "o.h5")]
    wanted += ["--extxyz", str(tmp_path / "o.extxyz")]
    arguments = [str(client), str(tmp_path / "frames.extxyz"), *wanted]
    CliRunner().invoke(command, arguments, catch_exceptions=False)
    observed = read_observed(tmp_path / "o.h5").values
    assert observed[MEMBERS].shape == (3, 1, 3, 6, 3, 3)
    written = ase.io.read(tmp_path / "o.extxyz", index=":")
    for atoms, frame, tensors in zip(frames, written, observed[NAME][:, 0], strict=True):
        # digits of positions in the file, 1e-8 angstrom
        mean = exact(structure_of(atoms), np.mean(STRENGTHS))
        np.testing.assert_allclose(tensors, mean, atol=1e-6)
        in_angstrom = frame.arrays[f"mlobs_{NAME}"].reshape(-1, 3, 3)
        np.testing.assert_allclose(in_angstrom, mean / ANGSTROM**3, atol=1e-6)


def labelled_frames(path: Path) -> Path:
    frames = [molecules(seed) for seed in range(20)]
    for atoms in frames:
        tensors = exact(structure_of(atoms), 0.4) / ANGSTROM**3
        atoms.arrays["tensors"] = tensors.reshape(-1, 9)
    ase.io.write(path, frames)
    return path


def test_networks_learn_it_and_are_judged_by_its_components(tmp_path: Path) -> None:
    frames = labelled_frames(tmp_path / "frames.extxyz")
    settings = TrainingSettings(
        kind=NAME, data=data_digest(frames), labels={NAME: ("tensors", 1.0)},
        oxidation_numbers=None, branches="fold", size="small", cutoff=atomic_tensors.CUTOFF,
        steps=KINDS[NAME].steps, rate=KINDS[NAME].rate, batch=4, test_fraction=0.2, seed=0,
    )  # fmt: skip
    data_set = read_data_set(settings, frames)
    paths = train_committee(settings, data_set, tmp_path / "made", 2, lambda *_: None)
    networks = {str(path): load_member(path) for path in paths}
    compared = assess(data_set, networks).compared[NAME]
    assert [network.strength for network in networks.values()] == pytest.approx([0.4] * 2, rel=0.1)
    found = compared.as_json()
    assert found["unit"] == "angstrom^3"
    assert list(found["components"]) == [i + k for i in "xyz" for k in "xyz"]
    assert found["classes"]["O"]["n_rows"] == 4 * 2
    assert found["relative_percent"] < 10.0  # the strength that is missing


def test_its_committee_can_be_calibrated(tmp_path: Path) -> None:
    frames = labelled_frames(tmp_path / "frames.extxyz")
    labelled = read_labelled(frames, {NAME: Label("tensors")})
    evaluator = atomic_tensors.make(STRENGTHS)
    errors = committee_errors([evaluator], labelled, [NAME])[NAME]
    first = exact(structure_of(molecules(0)), 1.0) / ANGSTROM**3
    expected = (0.4 - np.mean(STRENGTHS)) * first.reshape(-1, 9)
    np.testing.assert_allclose(errors.errors[:6], expected, atol=1e-7)  # digits of the file
