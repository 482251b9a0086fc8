"""Charges along pairs find the branches of large dipoles, and leave small ones alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from branch_sets import LabelledSet, crystals, oriented_water

from mlobs_client.learn.bond_charges import (
    charges_of_born_charges,
    fit_bond_charges,
    pair_features,
    pair_slopes,
)
from mlobs_client.learn.branches import Quanta
from mlobs_client.units import ANGSTROM

CUTOFF = 3.5  # angstrom
N_LARGE, SEED = 310, 9  # structures, of which 300 are taken to find the charges: not the last


@pytest.fixture(scope="module")
def features(water) -> tuple[np.ndarray, list[Quanta]]:
    structures = [water(3, seed=seed) for seed in range(60)]
    rows = [pair_features(structure, (1, 8), CUTOFF) for structure in structures]
    return np.array(rows), [Quanta.of(structure) for structure in structures]


def on_random_branches(labels: np.ndarray, quanta: list[Quanta], seed: int = 0) -> np.ndarray:
    """Shifted by quanta: folded far from where they were."""
    random = np.random.default_rng(seed)
    far = random.normal(0.0, 30.0, size=labels.shape)
    shifts = [one.shifts(vector) for one, vector in zip(quanta, far, strict=True)]
    return labels + np.array(shifts)


def test_dipoles_beyond_half_a_quantum_are_put_on_branches_that_agree(features) -> None:
    rows, quanta = features
    charges = np.array([3.0, -1.0, 6.0, -1.5])
    labels = rows @ charges
    beyond = [np.abs(one.fractions(label)).max() for one, label in zip(quanta, labels, strict=True)]
    assert np.mean(np.array(beyond) > 0.5) > 0.3  # else nothing is tested
    first = fit_bond_charges(rows, on_random_branches(labels, quanta), quanta, seed=0)
    np.testing.assert_allclose(rows @ first.charges, labels, atol=1e-3)  # of an iteration
    assert first.after < 1e-3 < first.before


def test_small_dipoles_stay_on_the_branch_nearest_to_zero(features) -> None:
    rows, quanta = features
    labels = 0.3 * np.random.default_rng(0).normal(size=(len(rows), 3))  # nothing to learn
    first = fit_bond_charges(rows, on_random_branches(labels, quanta), quanta, seed=0)
    predictions = rows @ first.charges
    for one, label, prediction in zip(quanta, labels, predictions, strict=True):
        assert not one.nearest(label - prediction).any()


def all_alike(moved: np.ndarray) -> bool:
    """In a crystal all labels may be moved by the same quanta: that is one branch, as any."""
    return bool((moved == moved[0]).all())


@pytest.mark.parametrize(
    ("n_molecules", "bias", "noise"), [(216, 2.0, 0.02), (512, 3.0, 0.02), (216, 2.0, 0.1)]
)
def test_no_label_of_an_oriented_liquid_is_wrong(
    n_molecules: int, bias: float, noise: float
) -> None:
    water = oriented_water(n_molecules, bias, noise, n_structures=24, seed=1)
    assert np.sqrt(np.mean(water.truth[:, 2] ** 2)) > 1.5 * water.edge  # else nothing is tested
    first = water.fit()
    assert first.is_decisive
    assert not water.moved(first).any()


@pytest.mark.parametrize(
    ("n_species", "amplitude", "noise"), [(2, 0.8, 0.1), (3, 0.8, 0.02), (4, 0.8, 0.02), (4, 2, 0)]
)
def test_no_label_of_a_crystal_of_up_to_four_species_is_wrong(
    n_species: int, amplitude: float, noise: float
) -> None:
    labelled = crystals(n_species, amplitude, noise, n_structures=100, seed=1)
    first = labelled.fit()
    assert first.is_decisive
    assert all_alike(labelled.moved(first))


@pytest.mark.parametrize("seed", range(4))
def test_five_species_with_much_noise_are_right_or_not_told(seed: int) -> None:
    labelled = crystals(5, 3.0, 0.1, n_structures=60, seed=seed)
    first = labelled.fit()
    assert first.after < 0.2 * labelled.edge  # it looks well: random labels have 0.29 each way
    assert all_alike(labelled.moved(first)) or not first.is_decisive


@pytest.mark.parametrize("n_species", [2, 3, 4])
def test_random_labels_are_not_told_however_well_they_are_fitted(n_species: int) -> None:
    labelled = crystals(n_species, 1.0, 0.0, n_structures=15, seed=0)
    labels = np.random.default_rng(0).uniform(0.0, labelled.edge, labelled.truth.shape)
    random = LabelledSet(labelled.features, labelled.truth, labels, labelled.edge)
    assert not random.fit().is_decisive


def test_a_structure_like_no_other_is_named_for_its_branch_is_a_guess() -> None:
    labelled = crystals(3, 0.8, 0.05, n_structures=40, seed=0)
    assert labelled.fit().unsure == ()
    labelled.features[17, 2, :] += [0, 0, 0, 0, 50.0, 0, 0, 0, 0, 0, 0, 0]
    assert labelled.fit().unsure == (17,)


@pytest.mark.parametrize("feature", [4, 12])  # of pairs that others have, or have not
def test_a_structure_like_no_other_is_named_in_a_set_too_large_to_take_all(feature: int) -> None:
    labelled = crystals(3, 0.8, 0.05, n_structures=N_LARGE, seed=0)
    none = np.zeros((N_LARGE, 3, 1))
    wide = replace(labelled, features=np.concatenate([labelled.features, none], axis=2))
    wide.features[-1, 2, feature] += 50.0
    found = fit_bond_charges(wide.features, wide.labels, wide.quanta, seed=SEED)
    assert found.unsure == (N_LARGE - 1,)


def test_slopes_are_those_of_central_differences(water) -> None:
    structure, step = water(2, seed=1), 1e-4
    slopes = pair_slopes(structure, (1, 8), CUTOFF)
    ends = []
    for sign in (1.0, -1.0):
        positions = structure.positions.copy()
        positions[4, 1] += sign * step * ANGSTROM
        moved = type(structure)(structure.numbers, positions, structure.cell)
        ends.append(pair_features(moved, (1, 8), CUTOFF))
    # of the step
    np.testing.assert_allclose(slopes[4, :, 1], (ends[0] - ends[1]) / (2.0 * step), atol=1e-5)


def test_born_charges_tell_branches_that_dipoles_alone_do_not(water) -> None:
    structures = [water(3, seed=seed) for seed in range(5)]
    features = np.array([pair_features(one, (1, 8), CUTOFF) for one in structures])
    slopes = [pair_slopes(one, (1, 8), CUTOFF) for one in structures[:2]]
    quanta = [Quanta.of(one) for one in structures]
    charges = np.array([300.0, -120.0, 160.0, 90.0])  # far beyond what is looked for
    labels = on_random_branches(features @ charges, quanta)
    assert not fit_bond_charges(features, labels, quanta, seed=0).is_decisive
    # of two structures, with the errors of another method
    random = np.random.default_rng(0)
    born_charges = [random.normal(one @ charges, 0.1) for one in slopes]
    start = charges_of_born_charges(slopes, born_charges)
    first = fit_bond_charges(features, labels, quanta, seed=0, start=start)
    assert first.is_decisive
    np.testing.assert_allclose(features @ first.charges, features @ charges, atol=1e-6)


def test_features_are_vectors_that_translations_and_wrapping_do_not_change(water) -> None:
    structure = water(3, seed=1)
    expected = pair_features(structure, (1, 8), CUTOFF)
    rotation, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))
    moved = structure.positions + 5.0
    moved[2] += structure.cell[1]
    turned = type(structure)(structure.numbers, moved @ rotation, structure.cell @ rotation)
    found = pair_features(turned, (1, 8), CUTOFF)
    np.testing.assert_allclose(found, rotation.T @ expected, atol=1e-12)


def test_molecules_and_single_elements_need_no_first_prediction(water) -> None:
    molecule = water(1, pbc=(False, False, False))
    rows = pair_features(molecule, (1, 8), CUTOFF)[None]
    first = fit_bond_charges(rows, np.array([[50.0, 1.0, 2.0]]), [Quanta.of(molecule)], seed=0)
    np.testing.assert_array_equal(first.charges, 0.0)
    element = pair_features(molecule, (8,), CUTOFF)
    assert element.shape == (3, 0)
    periodic = Quanta(6.0 * np.eye(3), (True, True, True))
    nothing = fit_bond_charges(element[None], 2.9 * np.ones((1, 3)), [periodic], seed=0)
    assert nothing.before == nothing.after
