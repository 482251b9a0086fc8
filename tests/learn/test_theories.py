"""Energies of several levels of theory are compared only within each level."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from mlobs_client.learn.batches import Tensors, join, make_graph
from mlobs_client.learn.data_set import Addition, DataSet, prepare
from mlobs_client.learn.theories import WithZeros
from mlobs_client.learn.training import read_data_set

SHIFTS = {1: 5.0, 8: -300.0}  # eV per atom, of another code


@pytest.fixture(scope="module")
def data_set(settings, frames) -> DataSet:
    return read_data_set(settings("potential"), frames)


@pytest.fixture(scope="module")
def shifted(data_set) -> Addition:
    """The same structures, with energies from another zero."""
    others = []
    for one in data_set.labelled:
        energy = one.labels["energy"] + sum(SHIFTS[int(z)] for z in one.structure.numbers)
        labels = {**one.labels, "energy": np.asarray(energy)}
        others.append(replace(one, index=24 + one.index, labels=labels, theory="other"))
    return Addition(others, 0.5)


def test_another_zero_of_energies_changes_no_target(data_set, shifted) -> None:
    unmoved = Addition([replace(one, theory="other") for one in data_set.labelled], 0.5)
    one, other = (
        prepare("potential", data_set.labelled, cutoff=3.0, also=[addition])
        for addition in (unmoved, shifted)
    )
    assert other.theories == (0,) * 24 + (1,) * 24
    for a, b in zip(one.targets, other.targets, strict=True):
        np.testing.assert_allclose(a["energy"], b["energy"], atol=1e-9)  # eV, of 580
    assert len(other.judged.labelled) == 24
    assert {*other.test, *other.rest} == {*range(24)}


class Nothing(torch.nn.Module):
    """A network without any energy."""

    def forward(self, batch: Tensors, **_: bool) -> Tensors:
        return {"energy": batch["positions"].new_zeros(len(batch["ptr"]) - 1)}


def test_zeros_of_each_level_are_fitted_and_added(data_set) -> None:
    energies = np.array([[1.0, -2.0], [0.5, 4.0]])  # of H and O at two levels
    graphs = []
    for k, one in enumerate(data_set.labelled[:8]):
        level = k % 2
        target = {"energy": np.array([energies[level] @ [4, 2]])}
        graphs.append(make_graph(one, target, data_set.species, 3.0, theory=level))
    learned = WithZeros(Nothing(), 2, 2, unit=3.0)
    learned.fit(graphs, "cpu")
    batch = join(graphs)
    torch.testing.assert_close(learned(batch)["energy"], batch["target_energy"])
    # one composition: the smallest energies that give the sum
    np.testing.assert_allclose(learned.energies @ [4, 2], energies @ [4, 2], rtol=1e-6)
