"""Labels may come from several files, each with some of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mlobs_client.learn.data_set import Addition, DataSet, prepare
from mlobs_client.learn.training import read_data_set


@pytest.fixture(scope="module")
def both(settings, frames) -> DataSet:
    return read_data_set(settings("dipole"), frames)


def test_born_charges_of_a_further_file_are_learned_beside_the_dipoles(both) -> None:
    dipoles = [replace(one, labels={"dipole": one.labels["dipole"]}) for one in both.labelled]
    born = [
        replace(one, index=24 + one.index, labels={"born_charges": one.labels["born_charges"]})
        for one in both.labelled
    ]
    apart = prepare("dipole", dipoles, cutoff=3.0, also=[Addition(born, 0.1)])
    assert [*apart.targets[0]] == ["dipole"]
    assert [*apart.targets[24]] == ["born_charges"]
    np.testing.assert_array_equal(
        apart.targets[24]["born_charges"], both.targets[0]["born_charges"]
    )
    # the size of 24 structures, of which 2 are held out in the one file
    assert apart.scales["born_charges"] == pytest.approx(both.scales["born_charges"], rel=0.05)
    assert apart.order is not None
    assert len(apart.also[0].places) == 24


def test_sizes_are_those_of_the_main_file(both) -> None:
    further = [
        replace(one, index=24 + one.index, labels={"polarizability": 9.0 * np.eye(3)})
        for one in both.labelled
    ]
    random = np.random.default_rng(0)
    main = []
    for one in both.labelled:
        tensor = random.normal(size=(3, 3))
        main.append(replace(one, labels={"polarizability": tensor + tensor.T}))
    alone = prepare("polarizability", main, cutoff=3.0)
    with_others = prepare("polarizability", main, cutoff=3.0, also=[Addition(further, 0.1)])
    assert with_others.scales == alone.scales
