"""Targets do not depend on the branches of labels, nor on what is held out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mlobs_client.errors import ConfigError
from mlobs_client.learn.data_set import prepare
from mlobs_client.learn.training import read_data_set
from mlobs_client.structure import Array


@pytest.fixture(scope="module")
def labelled(settings, frames):
    return read_data_set(settings("dipole"), frames).labelled


def dipoles(data_set) -> Array:
    return np.array([target["dipole"][0] for target in data_set.targets])


def test_targets_are_those_of_the_bonds_on_whatever_branch_the_labels_are(labelled) -> None:
    data_set = prepare("dipole", labelled, cutoff=3.0)
    bonds = []
    for one in labelled:
        molecules = one.structure.positions.reshape(-1, 3, 3)
        bonds.append((molecules[:, 1:] - molecules[:, :1]).sum(axis=(0, 1)) * 0.529177210903)
    # -0.6 e along each bond; the file has 8 digits
    np.testing.assert_allclose(dipoles(data_set), -0.6 * np.array(bonds), atol=1e-6)


def test_branches_that_are_kept_stay_as_given(labelled) -> None:
    data_set = prepare("dipole", labelled, cutoff=3.0, fold=False)
    given = np.array([one.single_valued_dipole for one in labelled])
    np.testing.assert_allclose(dipoles(data_set), given, atol=1e-10)


def test_nothing_is_learned_from_labels_that_are_held_out(labelled) -> None:
    data_set = prepare("dipole", labelled, cutoff=3.0)
    secret = [
        replace(one, labels={**one.labels, "dipole": one.labels["dipole"] + 0.7})
        if place in data_set.test
        else one
        for place, one in enumerate(labelled)
    ]
    other = prepare("dipole", secret, cutoff=3.0)
    assert other.scales == data_set.scales
    np.testing.assert_array_equal(dipoles(other)[data_set.rest], dipoles(data_set)[data_set.rest])


def test_every_structure_is_learned_from_or_judged_by_or_held_out(labelled) -> None:
    data_set = prepare("dipole", labelled, cutoff=3.0, test_fraction=0.2)
    train, valid = data_set.split(seed=3)
    assert sorted([*train, *valid, *data_set.test]) == list(range(len(labelled)))
    assert len(data_set.test) == 5
    assert sorted(data_set.split(seed=4)[1]) != sorted(valid)


def test_too_few_structures_are_refused(labelled) -> None:
    with pytest.raises(ConfigError, match="4 structures are too few"):
        prepare("dipole", labelled[:4], cutoff=3.0)


def test_labels_that_no_charges_explain_are_refused_before_any_training(labelled) -> None:
    random = np.random.default_rng(1)
    lost = [
        replace(one, labels={**one.labels, "dipole": random.uniform(-9.0, 9.0, 3)})
        for one in labelled
    ]
    with pytest.raises(
        ConfigError, match=r"cannot be determined: .* 0\.\d\d quanta .* --branches keep"
    ):
        prepare("dipole", lost, cutoff=3.0)
    prepare("dipole", lost, cutoff=3.0, fold=False)


def test_members_differ_in_what_they_are_asked_to(labelled) -> None:
    data_set = prepare("dipole", labelled, cutoff=3.0)
    for seed in (3, 4):
        alike = zip(data_set.split(seed, "seed"), data_set.split(0), strict=True)
        assert all(np.array_equal(one, other) for one, other in alike)
    train, valid = data_set.split(3)
    sample, also_valid = data_set.split(3, "bootstrap")
    np.testing.assert_array_equal(also_valid, valid)
    assert {*sample} < {*train}
    assert len(sample) == len(train)
