"""Vectors of surroundings turn with the structure, and their derivatives are theirs."""

from __future__ import annotations

import numpy as np

from mlobs_client.learn.vector_features import Pairs, count_features, vector_features
from mlobs_client.units import ANGSTROM


def test_derivatives_are_those_of_central_differences(water) -> None:
    structure, step = water(2, seed=1), 1e-4
    values, slopes = vector_features(structure, (1, 8))
    assert values.shape == (count_features(2), 3)
    assert slopes.shape == (6, count_features(2), 3, 3)
    for atom, along in ((0, 2), (4, 1)):
        ends = []
        for sign in (1.0, -1.0):
            positions = structure.positions.copy()
            positions[atom, along] += sign * step * ANGSTROM
            moved = type(structure)(structure.numbers, positions, structure.cell)
            ends.append(vector_features(moved, (1, 8))[0])
        expected = (ends[0] - ends[1]) / (2.0 * step)
        # of the step
        np.testing.assert_allclose(slopes[atom, :, :, along], expected, atol=1e-5)


def test_moving_all_atoms_changes_nothing_and_turning_turns(water) -> None:
    structure = water(2, seed=2)
    values, slopes = vector_features(structure, (1, 8))
    np.testing.assert_allclose(slopes.sum(axis=0), 0.0, atol=1e-12)
    rotation, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))
    turned = type(structure)(
        structure.numbers, structure.positions @ rotation, structure.cell @ rotation
    )
    np.testing.assert_allclose(vector_features(turned, (1, 8))[0], values @ rotation, atol=1e-10)


def test_each_pair_is_there_in_both_orders(water) -> None:
    pairs = Pairs.of(water(2, seed=3), 3.0)
    assert len(pairs.lengths) % 2 == 0
    assert np.bincount(pairs.senders).tolist() == np.bincount(pairs.receivers).tolist()
    np.testing.assert_allclose(pairs.vectors.sum(axis=0), 0.0, atol=1e-10)
    np.testing.assert_allclose(np.linalg.norm(pairs.vectors, axis=1), pairs.lengths)
