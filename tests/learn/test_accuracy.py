"""Trained networks work as clients use them, and their errors are what is reported."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from mlobs_client.evaluate.mace import evaluator as mace
from mlobs_client.evaluate.model_files import quiet_third_parties
from mlobs_client.evaluate.oxidation import OxidationNumbers, check_single_valued
from mlobs_client.learn.accuracy import Compared, assess
from mlobs_client.learn.branches import Quanta
from mlobs_client.learn.data_set import NO_QUANTA
from mlobs_client.learn.training import load_member
from mlobs_client.units import ANGSTROM

KINDS = ("potential", "dipole", "polarizability", "energy-dipole")
NUMBERS = OxidationNumbers({"O": -2, "H": 1})


def load(committee) -> dict[str, torch.nn.Module]:
    return {str(path): load_member(path) for path in committee.paths}


@pytest.mark.parametrize("kind", KINDS)
def test_seconds_of_training_teach_more_than_nothing(kind, trained) -> None:
    accuracy = assess(trained(kind).data_set, load(trained(kind)))
    for name in {"dipole", "forces"} & accuracy.compared.keys():
        assert accuracy.compared[name].as_json()["relative_percent"] < 80.0, name
    if "polarizability" in accuracy.compared:
        found = accuracy.compared["polarizability"].as_json()
        assert found["relative_percent"] is None
        # the isotropic part hardly changes here, and seconds teach nothing of it
        assert found["parts"]["isotropic"]["percent_without_trend"] > 100.0
        assert found["parts"]["anisotropic"]["relative_percent"] < 80.0


def test_the_file_is_one_of_plain_mace_and_the_model_is_single_valued(trained) -> None:
    for kind in ("dipole", "energy-dipole"):
        with quiet_third_parties():
            network = torch.load(trained(kind).paths[0], weights_only=False)
        assert type(network).__module__ == "mace.modules.models"
        structure = trained(kind).data_set.labelled[0].structure
        if kind == "dipole":
            committee = mace.dipole({"it": network}, oxidation_numbers=NUMBERS)
            evaluator = mace.MaceEvaluator(dipole=committee)
        else:
            both = mace.potential_and_dipole({"it": network}, oxidation_numbers=NUMBERS)
            evaluator = mace.MaceEvaluator(potential_and_dipole=both)
        check_single_valued(evaluator, structure, NUMBERS)


def errors_held_out(done) -> list[np.ndarray]:
    """Of dipoles on the branches of their labels, e angstrom."""
    committee = mace.dipole(load(done), oxidation_numbers=NUMBERS)
    evaluator = mace.MaceEvaluator(dipole=committee)
    errors = []
    for s in done.data_set.test:
        one = done.data_set.labelled[s]
        (values,) = evaluator([one.structure], frozenset({"dipole"})).values
        errors.append(one.labels["dipole"] - values["dipole"] / ANGSTROM)
    return errors


def test_errors_are_those_of_predictions_modulo_quanta(trained) -> None:
    done = trained("dipole")
    quanta = [done.data_set.quanta[s] for s in done.data_set.test]
    errors = [q.fold(e) for q, e in zip(quanta, errors_held_out(done), strict=True)]
    accuracy = assess(done.data_set, load(done))
    expected = float(np.sqrt(np.mean(np.square(errors))))
    assert accuracy.compared["dipole"].as_json()["rmse"] == pytest.approx(expected, rel=1e-9)
    assert accuracy.branches is not None
    assert accuracy.branches.n_periodic == 24
    assert accuracy.branches.n_moved > 20  # of the labels, 1 in 343 is not shifted
    assert accuracy.branches.unexplained == ()


def test_errors_in_quanta_are_of_those_structures_that_have_quanta_there(trained) -> None:
    done = trained("dipole")
    molecule, *slabs = done.data_set.test
    quanta = list(done.data_set.quanta)
    quanta[molecule] = NO_QUANTA
    for s in slabs:
        cell = done.data_set.labelled[s].structure.cell / ANGSTROM
        quanta[s] = Quanta(cell, (True, True, False))
    accuracy = assess(replace(done.data_set, quanta=tuple(quanta)), load(done))
    errors = [
        quanta[s].fractions(quanta[s].fold(error))
        for s, error in zip(slabs, errors_held_out(done)[1:], strict=True)
    ]
    a, b, _ = np.sqrt(np.mean(np.square(errors), axis=0))
    assert accuracy.rmse_in_quanta == (pytest.approx(a), pytest.approx(b), None)


def test_errors_by_component_class_and_member_add_up() -> None:
    random = np.random.default_rng(0)
    reference = random.normal(size=(5, 3))
    members = reference + random.normal(size=(2, 5, 3))
    one = Compared("dipole", reference, members, ("A", "A", "B", "B", "B"))
    found = one.as_json()
    squares = (members.mean(axis=0) - reference) ** 2
    assert found["components"]["y"] == pytest.approx(np.sqrt(squares[:, 1].mean()))
    assert found["classes"]["B"] == {
        "n_rows": 3,
        "rmse": pytest.approx(np.sqrt(squares[2:].mean())),
    }
    assert found["members"][1] == pytest.approx(np.sqrt(np.mean((members[1] - reference) ** 2)))
    spread = np.abs(members[0] - members[1]) / np.sqrt(2)
    assert found["committee_spread"] == pytest.approx(np.sqrt(np.mean(spread**2)))
    assert [part.label for part in one.parities] == ["A", "B"]
    assert one.parities[1].rms_error == pytest.approx(found["classes"]["B"]["rmse"])
