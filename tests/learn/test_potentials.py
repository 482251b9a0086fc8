"""Potentials learn energies, forces and stress, in proportion to their weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from mlobs_client.learn.batches import Tensors, join, make_graph
from mlobs_client.learn.data_set import DataSet, prepare
from mlobs_client.learn.labels import LabelledStructure
from mlobs_client.learn.networks import SIZES, Architecture, build
from mlobs_client.learn.objective import Objective
from mlobs_client.learn.training import read_data_set
from mlobs_client.units import ANGSTROM


@pytest.fixture(scope="module")
def data_set(settings, frames) -> DataSet:
    return read_data_set(settings("potential"), frames)


class Wrong(torch.nn.Module):
    """A network whose errors are 0.6 eV, 0.2 eV/angstrom and 1.2 eV for every label."""

    def forward(self, batch: Tensors, **_: bool) -> Tensors:
        errors = {"energy": 0.6, "forces": 0.2, "virials": 1.2}
        return {
            name: batch[f"target_{name}"] + error
            for name, error in errors.items()
            if f"target_{name}" in batch
        }


def test_squared_errors_per_atom_are_weighed_against_those_of_forces(data_set) -> None:
    labelled = replace(data_set.labelled[0], labels={})
    targets = {
        "energy": np.zeros(1),
        "forces": np.zeros((6, 3)),
        "virials": np.zeros((1, 3, 3)),
    }
    graph = make_graph(labelled, targets, data_set.species, 3.0, torch.float64)
    unit = 2.0  # eV/angstrom
    objective = Objective(
        "potential", dict.fromkeys(targets, unit), {}, {"energy": 10.0, "virials": 3.0}
    )
    expected = (0.2**2 + 10.0 * 0.1**2 + 3.0 * 0.2**2) / unit**2
    assert objective.error(Wrong(), join([graph])) == pytest.approx(expected, rel=1e-6)


def test_all_errors_are_relative_to_the_forces(data_set) -> None:
    forces = np.concatenate([data_set.labelled[s].labels["forces"] for s in data_set.rest])
    size = np.sqrt(np.mean(forces**2))
    assert data_set.scales == pytest.approx({"forces": size, "energy": size})


def test_a_stress_is_learned_as_the_virials_of_the_network(data_set) -> None:
    one = data_set.labelled[0]
    stress = np.array([[1.0, 0.1, 0.2], [0.1, 2.0, 0.3], [0.2, 0.3, 3.0]])
    with_stress = [
        LabelledStructure(each.index, each.structure, {**each.labels, "stress": stress})
        for each in data_set.labelled
    ]
    prepared = prepare("potential", with_stress, cutoff=3.0)
    assert prepared.learns == ("forces", "energy", "virials")
    volume = one.structure.volume / ANGSTROM**3
    np.testing.assert_allclose(prepared.targets[0]["virials"], -volume * stress[None])
    graph = make_graph(one, dict(prepared.targets[0]), prepared.species, 3.0)
    torch.manual_seed(0)
    network = build(
        Architecture("potential", SIZES["small"], prepared.species, 3.0, 4.0), torch.float32
    )
    objective = Objective("potential", prepared.scales, {}, {"energy": 0.0, "virials": 1.0})
    before = network(join([graph]), compute_virials=True)
    graph.target_virials, graph.target_forces = before["virials"], before["forces"]
    assert objective.error(network, join([graph])) == pytest.approx(0.0, abs=1e-12)
    graph.target_virials = -before["virials"]
    assert objective.error(network, join([graph])) > 0.0


def test_energies_alone_are_learned_without_forces_with_a_warning(
    settings, frames, caplog: pytest.LogCaptureFixture
) -> None:
    labels = {"energy": ("REF_energy", 1.0), "forces": ("nowhere", 1.0)}
    alone = read_data_set(settings("potential", labels=labels), frames)
    assert alone.learns == ("energy",)
    assert "no column 'nowhere': energies are learned alone (--forces-key)" in caplog.text
    caplog.clear()
    read_data_set(settings("potential"), frames)
    assert not caplog.text
