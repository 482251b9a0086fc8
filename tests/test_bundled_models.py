"""The bundled water models as they are shipped: exact derivatives, exact quanta, honest size."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms

from mlobs_client.client.build import ClientModels, assemble
from mlobs_client.client.config import load_config
from mlobs_client.client.total_energy import predict
from mlobs_client.evaluate.card import read_card
from mlobs_client.testing.conformance import check_evaluator, check_term

MODELS = Path(str(files("mlobs_client") / "models/water"))
CLIENT = """
structure = "init.xyz"
[potential]
kind = "mace"
models = ["bundled:water/potential-*"]
[dipole]
kind = "mace"
models = ["bundled:water/dipole-*"]
oxidation_numbers = { O = -2, H = 1 }
[polarizability]
kind = "mace"
models = ["bundled:water/polarizability-*"]
[field]
vector = [0.05, -0.1, 0.07]
unit = "V/angstrom"
second_order = true
"""


@pytest.fixture(scope="module")
def assembly(tmp_path_factory: pytest.TempPathFactory) -> ClientModels:
    folder = tmp_path_factory.mktemp("water")
    monomer = np.array([[0.0, 0.0, 0.0], [0.80, 0.55, 0.03], [-0.72, 0.62, -0.05]])
    shifts = np.array([[0.1, 0.2, 0.3], [3.0, 0.4, 0.2], [0.3, 3.1, 0.5], [2.9, 3.0, 3.2]])
    turns = [np.eye(3), np.eye(3)[[1, 2, 0]], np.eye(3)[[2, 0, 1]], -np.eye(3)]
    positions = [monomer @ turn.T + shift for turn, shift in zip(turns, shifts, strict=True)]
    cell = [[6.1, 0.4, -0.2], [-0.5, 5.9, 0.3], [0.6, 0.2, 6.3]]
    atoms = Atoms("OHH" * 4, np.concatenate(positions), cell=cell, pbc=True)
    ase.io.write(folder / "init.xyz", atoms, format="extxyz")
    (folder / "client.toml").write_text(CLIENT)
    return assemble(load_config(folder / "client.toml"), folder)


def test_every_derivative_agrees_with_finite_differences_in_a_triclinic_cell(
    assembly: ClientModels,
) -> None:
    (evaluator,) = assembly.evaluators
    # fourth order in a step of 0.003 bohr: the truncation is below 1e-8 of the forces
    report = check_evaluator(evaluator, assembly.structure, n_sampled=1, step=0.003, tolerance=1e-6)
    assert report.passed, str(report)


def test_forces_and_virial_in_a_field_agree_with_finite_differences(assembly: ClientModels) -> None:
    field = assembly.terms[0]
    structure = assembly.structure
    report = check_term(field, assembly.evaluators, structure, n_sampled=1, step=0.003)
    assert report.passed, str(report)


@pytest.mark.parametrize(("atom", "charge"), [(0, -2), (4, 1)])
@pytest.mark.parametrize("vector", [0, 1, 2])
def test_a_lattice_translation_changes_the_dipole_by_its_quantum_and_no_force(
    assembly: ClientModels, atom: int, charge: int, vector: int
) -> None:
    structure = assembly.structure
    positions = structure.positions.copy()
    positions[atom] += structure.cell[vector]
    moved = replace(structure, positions=positions)
    field = assembly.terms[:1]
    before, after = (
        predict([s], assembly.evaluators, field, frozenset({"dipole"})) for s in (structure, moved)
    )
    change = after[0].observables["dipole"] - before[0].observables["dipole"]
    # rounding of sums of a hundred e bohr in double precision
    np.testing.assert_allclose(change, charge * structure.cell[vector], atol=1e-11)
    np.testing.assert_allclose(after[0].forces, before[0].forces, atol=1e-8)


def test_all_twelve_stay_below_twelve_megabytes() -> None:
    sizes = [path.stat().st_size for path in MODELS.glob("*.model")]
    assert len(sizes) == 12
    assert sum(sizes) < 12e6


def test_the_list_of_trusted_models_is_that_of_the_files() -> None:
    listed = dict(line.split()[::-1] for line in (MODELS / "SHA256SUMS").read_text().splitlines())
    found = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in MODELS.glob("*.model")
    }
    assert listed == found


def test_every_committee_has_a_card_with_errors_on_frames_it_has_not_seen() -> None:
    cards = json.loads((MODELS / "cards.json").read_text())
    for name in ("potential", "dipole", "polarizability"):
        assert (MODELS / f"{name}.md").exists()
        assert cards[name]["n_test"] > 0
        assert len(cards[name]["members"]) == 4


def test_the_calibration_of_the_cards_is_the_one_that_is_used_and_holds_on_a_third_set() -> None:
    cards = json.loads((MODELS / "cards.json").read_text())
    for name in ("potential", "dipole", "polarizability"):
        used = read_card(sorted(MODELS.glob(f"{name}-*.model")))
        for quantity, judged in cards[name]["calibration"].items():
            assert judged["alpha"] == used[quantity].alpha
            difference = abs(judged["alpha"] - judged["alpha_on_test"])
            assert difference < 2.0 * np.hypot(judged["error"], judged["error_on_test"])
