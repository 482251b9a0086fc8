"""Errors are modulo quanta where branches are free, and blind to nothing else."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mlobs_client.learn.batches import Tensors, join, make_graph
from mlobs_client.learn.branches import Quanta
from mlobs_client.learn.labels import LabelledStructure
from mlobs_client.learn.objective import BORN_WEIGHT, Objective
from mlobs_client.structure import Structure

SCALES = {"dipole": 0.5, "born_charges": 0.25}


class LinearDipole(torch.nn.Module):
    """sum_I q_I R_I, with Born charges that everybody knows."""

    def forward(self, batch: Tensors, **_: bool) -> Tensors:
        batch["positions"].requires_grad_()
        charges = torch.where(batch["node_attrs"][:, 1:] > 0, -0.6, 0.3)
        dipoles = torch.zeros((len(batch["ptr"]) - 1, 3), dtype=batch["positions"].dtype)
        return {"dipole": dipoles.index_add(0, batch["batch"], charges * batch["positions"])}


@pytest.fixture
def structure(water) -> Structure:
    return water(2, seed=3)


def loss(structure: Structure, error: np.ndarray, *, free: bool, **more: np.ndarray) -> float:
    """Of a label that is off by ``error`` (e angstrom)."""
    graph = make_graph(LabelledStructure(5, structure, {}), more, (1, 8), 3.0, torch.float64)
    dipole = LinearDipole()(join([graph]))["dipole"].detach()
    graph.target_dipole = dipole - torch.tensor(error)
    objective = Objective("dipole", SCALES, {5: Quanta.of(structure)})
    random = np.random.default_rng(0)
    found = objective.loss(LinearDipole(), join([graph]), random, branches_are_free=free)
    return float(found.detach())


def test_the_loss_is_the_squared_error_relative_to_what_there_is_to_learn(structure) -> None:
    error = np.array([0.1, -0.2, 0.3])
    expected = np.mean(error**2) / 6 / SCALES["dipole"] ** 2
    assert loss(structure, error, free=False) == pytest.approx(
        expected, rel=1e-6
    )  # sizes are float32


def test_quanta_cost_nothing_where_branches_are_free_and_much_where_not(structure) -> None:
    error = np.array([0.1, -0.2, 0.3])
    moved = error + np.array([2, -1, 1]) @ Quanta.of(structure)._cell
    assert loss(structure, moved, free=True) == pytest.approx(loss(structure, error, free=True))
    assert loss(structure, moved, free=False) > 100 * loss(structure, error, free=False)


def test_born_charges_of_the_network_are_compared_with_the_indices_as_labelled(structure) -> None:
    own = np.where(structure.numbers == 8, -0.6, 0.3)[:, None, None] * np.eye(3)
    assert loss(structure, np.zeros(3), free=False, born_charges=own) == pytest.approx(0.0)
    wrong = own.copy()
    wrong[:, 1, 0] += 0.5  # dipole along y, displacement along x
    direction = np.random.default_rng(0).normal(size=3)
    direction /= np.linalg.norm(direction)
    expected = BORN_WEIGHT * (0.5 * direction[1]) ** 2 / 3 / SCALES["born_charges"] ** 2
    found = loss(structure, np.zeros(3), free=False, born_charges=wrong)
    assert found == pytest.approx(expected, rel=1e-12)


def test_a_structure_counts_by_its_weight(structure) -> None:
    error = np.array([0.1, -0.2, 0.3])
    labelled = LabelledStructure(5, structure, {}, weights={"dipole": 3.0})
    graph = make_graph(labelled, {"dipole": np.zeros((1, 3))}, (1, 8), 3.0, torch.float64)
    graph.target_dipole = LinearDipole()(join([graph]))["dipole"].detach() - torch.tensor(error)
    objective = Objective("dipole", SCALES, {5: Quanta.of(structure)})
    expected = 3.0 * np.mean(error**2) / 6 / SCALES["dipole"] ** 2
    assert objective.error(LinearDipole(), join([graph])) == pytest.approx(expected, rel=1e-6)
