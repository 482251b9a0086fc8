"""Make the targets of networks from labels, and find their sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from mlobs_client.errors import ConfigError
from mlobs_client.learn.bond_charges import (
    RANDOM,
    TELLING,
    FirstPrediction,
    charges_of_born_charges,
    fit_bond_charges,
    pair_features,
    pair_slopes,
)
from mlobs_client.learn.branches import Quanta
from mlobs_client.learn.index_order import IndexOrder, find_index_order
from mlobs_client.learn.labels import LabelledStructure
from mlobs_client.learn.networks import KINDS, count_species, fit_free_atoms
from mlobs_client.quantities import labelled as row_of
from mlobs_client.structure import Array, Integers

MOST_BORN: Final = 30
"""Largest number of structures whose Born charges enter the first prediction."""


def set_dipoles(
    targets: Sequence[dict[str, Array]],
    labelled: Sequence[LabelledStructure],
    quanta: Sequence[Quanta],
    species: Sequence[int],
    cutoff: float,
    rest: Integers,
    further: Integers,
    seed: int,
) -> FirstPrediction:
    """Set targets of Born charges, if any, and of dipoles on the branch of a first prediction.

    Args:
        targets: targets of each structure, to which these are added.
        labelled: all structures.
        quanta: quanta of each structure.
        species: atomic numbers of the network.
        cutoff: cutoff of the network, angstrom.
        rest: indices of the structures of the main file that are not held out.
        further: indices of structures of other files for training.
        seed: seed of the search for branches.

    Raises:
        ConfigError: the branches cannot be determined.
    """
    start = _set_born_charges(targets, labelled, species, cutoff, np.append(rest, further))
    features = np.array([pair_features(one.structure, species, cutoff) for one in labelled])
    labels = np.array([labelled[s].single_valued_dipole for s in rest])
    of_rest = [quanta[s] for s in rest]
    first = fit_bond_charges(features[rest], labels, of_rest, seed, start)
    if not first.is_decisive:
        raise ConfigError(
            "the branches of the dipoles cannot be determined: charges of pairs of atoms leave a "
            f"residual of {first.unseen:.2f} quanta (root mean square); at most {TELLING:.2f} "
            f"would be right, and random branches give {RANDOM:.2f}; check --key, --unit and the "
            "oxidation numbers; or give more structures, smaller cells, Born charges with "
            "--born-charges-key, or dipoles on one branch with --branches keep"
        )
    predictions = features @ first.charges
    for target, prediction, one, steps in zip(targets, predictions, labelled, quanta, strict=True):
        if "dipole" in one.labels:
            moved = steps.fold(one.single_valued_dipole - prediction)
            target["dipole"] = (prediction + moved)[None]
    return first


def set_as_labelled(
    targets: Sequence[dict[str, Array]], labelled: Sequence[LabelledStructure], name: str
) -> None:
    """Set targets that are the labels themselves, of those structures that have them."""
    is_of_atoms = row_of(name).per == "atom"
    for target, one in zip(targets, labelled, strict=True):
        if (label := one.find(name)) is not None:
            target[name] = label if is_of_atoms else label[None]


def _set_born_charges(
    targets: Sequence[dict[str, Array]],
    labelled: Sequence[LabelledStructure],
    species: Sequence[int],
    cutoff: float,
    for_training: Integers,
) -> Array | None:
    """Set targets of Born charges; return charges of pairs fitted to them, or None."""
    for target, one in zip(targets, labelled, strict=True):
        if "born_charges" not in one.labels:
            continue
        integers = np.zeros(one.structure.n_atoms)
        if one.oxidation_numbers is not None:
            integers = one.oxidation_numbers.astype(np.float64)
        born = one.labels["born_charges"] - integers[:, None, None] * np.eye(3)
        target["born_charges"] = born
    taken = [s for s in for_training if "born_charges" in targets[s]][:MOST_BORN]
    if not taken:
        return None
    slopes = [pair_slopes(labelled[s].structure, species, cutoff) for s in taken]
    return charges_of_born_charges(slopes, [targets[s]["born_charges"] for s in taken])


def check_order(
    targets: Sequence[Mapping[str, Array]], labelled: Sequence[LabelledStructure]
) -> IndexOrder | None:
    """Determine the order of the indices of Born charges; None without any.

    Raises:
        ConfigError: the coordinate is the first index.
    """
    born = [
        (target, one.structure)
        for target, one in zip(targets, labelled, strict=True)
        if "born_charges" in target
    ]
    if not born:
        return None
    dipoles = [target["dipole"][0] for target, _ in born if "dipole" in target]
    order = find_index_order(
        [structure for _, structure in born],
        [target["born_charges"] for target, _ in born],
        np.array(dipoles) if len(dipoles) == len(born) else None,
    )
    if order.is_wrong:
        raise ConfigError(
            "the Born charges have the coordinate as first index: the correlation of their "
            "antisymmetric parts with those of a model that is fitted to dipoles and symmetric "
            f"parts is {order.correlation:.2f}. [i, j] = d dipole_i / d R_j is required: exchange "
            "the indices with --transpose, or leave that out if it was given"
        )
    return order


def set_energies(
    targets: Sequence[dict[str, Array]],
    labelled: Sequence[LabelledStructure],
    species: Sequence[int],
    for_training: Integers,
    theories: Sequence[int],
) -> Array:
    """Set targets of energies, without those of free atoms at the same level of theory.

    Returns:
        Energies of free atoms at each level, shape ``(n_levels, n_species)``, eV.
    """
    counts = count_species([one.structure.numbers for one in labelled], species)
    free_atoms = np.zeros((max(theories) + 1, len(species)))
    for level in range(len(free_atoms)):
        of_level = [
            s for s in for_training if theories[s] == level and "energy" in labelled[s].labels
        ]
        energies = np.array([labelled[s].labels["energy"] for s in of_level])
        if of_level:
            free_atoms[level] = fit_free_atoms(counts[of_level], energies)
    for target, one, each, level in zip(targets, labelled, counts, theories, strict=True):
        if "energy" in one.labels:
            target["energy"] = np.array([one.labels["energy"] - each @ free_atoms[level]])
    return free_atoms


def find_scales(
    kind: str,
    targets: Sequence[Mapping[str, Array]],
    labelled: Sequence[LabelledStructure],
    species: Sequence[int],
    n_main: int,
) -> dict[str, float]:
    """Return root mean squares of the targets; of polarizabilities without a mean per species.

    They are those of the first ``n_main`` structures, where these have such a target. For a kind
    with weights, all are those of the forces, or of the energies without forces.
    """
    names = dict.fromkeys(name for target in targets for name in target)
    scales = {}
    for name in names:
        all_known = [s for s, target in enumerate(targets) if name in target]
        known = [s for s in all_known if s < n_main] or all_known
        size = _size(name, [targets[s] for s in known], [labelled[s] for s in known], species)
        scales[name] = size or 1.0
    if KINDS[kind].weights:
        return dict.fromkeys(scales, scales.get("forces", scales["energy"]))
    return scales


def _size(
    name: str,
    targets: Sequence[Mapping[str, Array]],
    labelled: Sequence[LabelledStructure],
    species: Sequence[int],
) -> float:
    if row_of(name).per == "atom":
        values = np.concatenate([target[name].ravel() for target in targets])
    else:
        rows = np.array([target[name].ravel() for target in targets])
        if row_of(name).is_symmetric:
            counts = count_species([one.structure.numbers for one in labelled], species)
            means = counts @ fit_free_atoms(counts, rows[:, ::4].mean(axis=1))
            rows = rows - means[:, None] * np.eye(3).ravel()
        values = rows / np.sqrt([one.structure.n_atoms for one in labelled])[:, None]
    return float(np.sqrt(np.mean(values**2)))
