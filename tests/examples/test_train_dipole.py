"""The formula of the crystal is multi-valued by whole quanta; what is shown was reached."""

from __future__ import annotations

import json
import re
import runpy
import shlex
from pathlib import Path

import numpy as np
import pytest

from mlobs_client.cli import group
from mlobs_client.learn.branches import Quanta

EXAMPLE = Path(__file__).parents[2] / "examples" / "train_dipole"


@pytest.fixture(scope="module")
def crystal() -> dict:
    return runpy.run_path(str(EXAMPLE / "crystal.py"))


def test_a_moved_atom_changes_the_dipole_by_its_oxidation_number(crystal) -> None:
    atoms = crystal["make_structures"](np.random.default_rng(0))[0]
    before = crystal["dipole"](atoms)
    atoms.positions[1] += atoms.cell[2]
    change = crystal["dipole"](atoms) - before
    np.testing.assert_allclose(change, 2 * atoms.cell[2], atol=1e-10)  # Mg


def test_labels_are_the_formula_up_to_quanta_and_not_on_its_branch(crystal) -> None:
    structures = crystal["make_structures"](np.random.default_rng(0))[:20]
    n_moved = 0
    for atoms in structures:
        quanta = Quanta(atoms.cell.array, atoms.pbc)
        difference = atoms.info["dipole"] - crystal["dipole"](atoms)
        np.testing.assert_allclose(quanta.fold(difference), 0.0, atol=1e-10)  # rounding
        n_moved += bool(quanta.nearest(difference).any())
    assert n_moved > 15  # 1 of 343 stays


def test_born_charges_of_the_formula_are_no_integers_and_add_up_to_zero(crystal) -> None:
    atoms = crystal["make_structures"](np.random.default_rng(0))[0]
    charges = crystal["born_charges"](atoms)
    np.testing.assert_allclose(charges.sum(axis=0), 0.0, atol=1e-4)  # of the cut at 8 angstrom
    assert np.abs(charges - np.round(charges)).max() > 0.2
    assert np.abs(charges - charges.swapaxes(1, 2)).max() > 0.01


def test_random_branches_cost_no_accuracy_in_the_results_that_are_shown() -> None:
    results = json.loads((EXAMPLE / "results.json").read_text())
    for name in ("wire", "liquid"):
        assert abs(results[name]["ratio_of_errors"] - 1.0) < 0.05
    assert results["crystal"]["born_charges_percent"] < 5.0
    assert results["crystal"]["acoustic_sum_e"] < 1e-12
    shown = (EXAMPLE / "README.md").read_text()
    for folder in ("one_branch", "random_branches"):
        assert f"{results['liquid'][folder]['rmse_e_angstrom']:.3g} e Å" in shown


def test_every_training_of_the_page_is_a_command_line_and_collect_comes_last() -> None:
    lines = [
        line.strip().split("#")[0]
        for line in (EXAMPLE / "README.md").read_text().splitlines()
        if line.startswith("    ")
    ]
    variables = dict(re.findall(r'(\w+)="(.+)"', "\n".join(lines)))
    made = set()
    for line in lines:
        for name, value in variables.items():
            line = line.replace(f"${name}", value)
        found = re.match(r"(?:mlobs|python \.\./\w+\.py) (train .*)", line)
        if not found:
            continue
        words = shlex.split(found[1])
        command = group.get_command(None, "train").commands[words[1]]
        made.add(command.make_context(words[1], words[2:]).params["output"].name)
    assert {"pairs_both", "pairs_energy", "pairs_dipole", "crystal_trained"} <= made
    assert "collect.py" in lines[-1]


def test_the_usage_of_a_script_that_is_mlobs_train_says_train() -> None:
    assert "without_prediction.py train dipole" in (EXAMPLE / "without_prediction.py").read_text()
