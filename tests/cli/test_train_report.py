"""What ``mlobs train`` says of labels before the training."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mlobs_client.cli.train_report import describe_labels
from mlobs_client.learn.bond_charges import FirstPrediction
from mlobs_client.learn.data_set import DataSet, prepare
from mlobs_client.learn.index_order import IndexOrder
from mlobs_client.learn.labels import LabelledStructure
from mlobs_client.structure import Structure


@pytest.fixture(scope="module")
def data_set() -> DataSet:
    """Molecules, counted from 10."""
    positions = np.array([[0.0, 0, 0], [2.0, 0, 0]])
    molecule = Structure(np.array([3, 1]), positions, np.zeros((3, 3)), (False,) * 3)
    labels = {"dipole": np.array([1.0, 0, 0])}
    labelled = [LabelledStructure(index, molecule, labels) for index in range(10, 26)]
    return prepare("dipole", labelled, cutoff=3.0)


def test_nothing_is_said_where_all_is_known(data_set: DataSet) -> None:
    assert list(describe_labels(data_set)) == []


def test_structures_whose_branch_is_a_guess_are_named_by_their_place_in_the_file(
    data_set: DataSet,
) -> None:
    first = FirstPrediction(np.zeros(4), 0.0, 0.0, 0.0, unsure=(0, 3))
    (line,) = describe_labels(replace(data_set, first=first))
    named = [data_set.labelled[data_set.rest[place]].index for place in (0, 3)]
    assert f"the branches of structures {named[0]}, {named[1]} are uncertain" in line
    many = FirstPrediction(np.zeros(4), 0.0, 0.0, 0.0, unsure=tuple(range(12)))
    (line,) = describe_labels(replace(data_set, first=many))
    assert " and 2 more are uncertain" in line


def test_the_order_of_born_charges_is_told_or_said_to_be_unknown(data_set: DataSet) -> None:
    (known,) = describe_labels(replace(data_set, order=IndexOrder(0.66)))
    assert "are [i, j] = d dipole_i / d R_j" in known
    assert "0.66" in known
    (unknown,) = describe_labels(replace(data_set, order=IndexOrder(0.1, "they are symmetric")))
    assert "(--transpose): they are symmetric" in unknown
