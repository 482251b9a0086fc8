"""Prepare labelled structures for training: targets, their scales, and held-out structures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from ase.data import chemical_symbols

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
from mlobs_client.learn.labels import LabelledStructure, numbers_by_species, species_of
from mlobs_client.learn.networks import KINDS, count_species, fit_free_atoms
from mlobs_client.quantities import labelled as row_of
from mlobs_client.structure import Array, Integers

VALID_FRACTION: Final = 0.1
FEWEST: Final = 5
MOST_BORN: Final = 30
"""Largest number of structures whose Born charges enter the first prediction."""

NO_QUANTA: Final = Quanta(np.zeros((3, 3)), (False, False, False))


@dataclass(frozen=True)
class DataSet:
    """Labelled structures, prepared for training.

    Attributes:
        kind: kind of the networks.
        labelled: all structures.
        species: their atomic numbers, sorted.
        quanta: quanta of each structure; none if branches are kept as they are.
        targets: targets of the network for each structure, by the names of labels: the dipole
            without its integer part, on the branch nearest to the first prediction; the energy
            minus that of free atoms; Born charges minus oxidation numbers. They are in e, angstrom
            and eV, with the shapes of :mod:`mlobs_client.quantities`.
        scales: sizes of the targets, see :class:`mlobs_client.learn.objective.Objective`.
        test: indices of structures that are held out from all members, shape ``(n_test,)``.
        rest: indices of the other structures, shape ``(n_rest,)``.
        free_atoms: energies of free atoms, shape ``(n_species,)``, eV; None without energies.
        first: first prediction of the dipole; None without dipoles.
        order: order of the indices of Born charges; None without them.
    """

    kind: str
    labelled: tuple[LabelledStructure, ...]
    species: tuple[int, ...]
    quanta: tuple[Quanta, ...]
    targets: tuple[Mapping[str, Array], ...]
    scales: Mapping[str, float]
    test: Integers
    rest: Integers
    free_atoms: Array | None = None
    first: FirstPrediction | None = None
    order: IndexOrder | None = None

    @property
    def learns(self) -> tuple[str, ...]:
        """Quantities that the networks learn: those that have labels."""
        known = self.targets[self.rest[0]]
        return tuple(name for name in KINDS[self.kind].learns if name in known)

    @property
    def oxidation_numbers(self) -> dict[str, int] | None:
        """Oxidation numbers by species; None if atoms of one species differ."""
        return numbers_by_species(self.labelled)

    @property
    def is_periodic(self) -> bool:
        """True if any structure is periodic."""
        return any(any(one.structure.pbc) for one in self.labelled)

    @property
    def unsure(self) -> list[int]:
        """Indices, in the file, of structures whose branch the other ones do not determine."""
        places = [] if self.first is None else [self.rest[s] for s in self.first.unsure]
        return [self.labelled[s].index for s in places]

    def as_json(self) -> dict[str, Any]:
        """Return the entries of a report; structures are given by their indices in the file."""
        first = None
        if self.first is not None:
            first = {
                "rms_before": self.first.before,
                "rms_after": self.first.after,
                "unseen_quanta": self.first.unseen,
                "unsure": self.unsure,
            }
        return {
            "n_structures": len(self.labelled),
            "held_out": [self.labelled[s].index for s in self.test],
            "species": [chemical_symbols[z] for z in self.species],
            "oxidation_numbers": self.oxidation_numbers,
            "scales": dict(self.scales),
            "first_prediction": first,
            "order_of_born_charges": None if self.order is None else self.order.as_json(),
            "free_atoms_ev": None if self.free_atoms is None else self.free_atoms.tolist(),
        }

    def split(self, seed: int) -> tuple[Integers, Integers]:
        """Return the indices of the training and the validation structures of a member.

        Both have shape ``(n,)``, and contain no held-out structures.
        """
        order = np.random.default_rng([seed, 7]).permutation(self.rest)
        n_valid = max(1, round(VALID_FRACTION * len(order)))
        return order[n_valid:], order[:n_valid]


def prepare(
    kind: str,
    labelled: Sequence[LabelledStructure],
    *,
    cutoff: float,
    test_fraction: float = 0.1,
    seed: int = 0,
    fold: bool = True,
) -> DataSet:
    """Hold structures out, and make targets without using the held-out labels.

    Args:
        kind: kind of the networks.
        labelled: structures with the labels that the kind needs.
        cutoff: cutoff of the networks, angstrom.
        test_fraction: fraction of the structures to hold out.
        seed: seed for the choice of held-out structures.
        fold: False if all dipoles are on one branch already, which is then kept.

    Raises:
        ConfigError: there are too few structures, the branches of their dipoles cannot be
            determined, or Born charges have the coordinate as first index.
    """
    if len(labelled) < FEWEST:
        raise ConfigError(
            f"{len(labelled)} structures are too few for training, validation and test; give at "
            f"least {FEWEST}"
        )
    order = np.random.default_rng([seed, 5]).permutation(len(labelled))
    n_test = max(1, round(test_fraction * len(labelled)))
    test, rest = np.sort(order[:n_test]), np.sort(order[n_test:])
    species = species_of(labelled)
    targets: list[dict[str, Array]] = [{} for _ in labelled]
    quanta, first, free_atoms = [NO_QUANTA] * len(labelled), None, None
    for name in KINDS[kind].learns:
        if name == "dipole":
            if fold:
                quanta = [one.quanta for one in labelled]
            first = _set_dipoles(targets, labelled, quanta, species, cutoff, rest, seed)
        elif name == "energy":
            free_atoms = _set_energies(targets, labelled, species, rest)
        elif labelled[0].find(name) is not None or name not in KINDS[kind].optional:
            _set_as_labelled(targets, labelled, name)
    return DataSet(
        kind=kind,
        labelled=tuple(labelled),
        species=species,
        quanta=tuple(quanta),
        targets=tuple(targets),
        scales=_scales(kind, [targets[s] for s in rest], [labelled[s] for s in rest], species),
        test=test,
        rest=rest,
        free_atoms=free_atoms,
        first=first,
        order=_check_order([targets[s] for s in rest], [labelled[s] for s in rest]),
    )


def _set_dipoles(
    targets: Sequence[dict[str, Array]],
    labelled: Sequence[LabelledStructure],
    quanta: Sequence[Quanta],
    species: Sequence[int],
    cutoff: float,
    rest: Integers,
    seed: int,
) -> FirstPrediction:
    """Set targets of Born charges, if any, and of dipoles on the branch of a first prediction."""
    start = _set_born_charges(targets, labelled, species, cutoff, rest)
    features = np.array([pair_features(one.structure, species, cutoff) for one in labelled])
    labels = np.array([one.single_valued_dipole for one in labelled])
    of_rest = [quanta[s] for s in rest]
    first = fit_bond_charges(features[rest], labels[rest], of_rest, seed, start)
    if not first.is_decisive:
        raise ConfigError(
            "the branches of the dipoles cannot be determined: charges of pairs of atoms leave a "
            f"residual of {first.unseen:.2f} quanta (root mean square); at most {TELLING:.2f} "
            f"would be right, and random branches give {RANDOM:.2f}; check --key, --unit and the "
            "oxidation numbers; or give more structures, smaller cells, Born charges with "
            "--born-charges-key, or dipoles on one branch with --branches keep"
        )
    predictions = features @ first.charges
    for target, prediction, label, one in zip(targets, predictions, labels, quanta, strict=True):
        target["dipole"] = (prediction + one.fold(label - prediction))[None]
    return first


def _set_as_labelled(
    targets: Sequence[dict[str, Array]], labelled: Sequence[LabelledStructure], name: str
) -> None:
    is_of_atoms = row_of(name).per == "atom"
    for target, one in zip(targets, labelled, strict=True):
        label = one.find(name)
        assert label is not None
        target[name] = label if is_of_atoms else label[None]


def _set_born_charges(
    targets: Sequence[dict[str, Array]],
    labelled: Sequence[LabelledStructure],
    species: Sequence[int],
    cutoff: float,
    rest: Integers,
) -> Array | None:
    """Set targets of Born charges; return charges of pairs fitted to them, or None."""
    if "born_charges" not in labelled[0].labels:
        return None
    for target, one in zip(targets, labelled, strict=True):
        integers = np.zeros(one.structure.n_atoms)
        if one.oxidation_numbers is not None:
            integers = one.oxidation_numbers.astype(np.float64)
        born = one.labels["born_charges"] - integers[:, None, None] * np.eye(3)
        target["born_charges"] = born
    taken = rest[:MOST_BORN]
    slopes = [pair_slopes(labelled[s].structure, species, cutoff) for s in taken]
    return charges_of_born_charges(slopes, [targets[s]["born_charges"] for s in taken])


def _check_order(
    targets: Sequence[Mapping[str, Array]], labelled: Sequence[LabelledStructure]
) -> IndexOrder | None:
    """Determine the order of the indices of Born charges, and refuse a wrong one."""
    if "born_charges" not in targets[0]:
        return None
    order = find_index_order(
        [one.structure for one in labelled],
        [target["born_charges"] for target in targets],
        np.array([target["dipole"][0] for target in targets]),
    )
    if order.is_wrong:
        raise ConfigError(
            "the Born charges have the coordinate as first index: the correlation of their "
            "antisymmetric parts with those of a model that is fitted to dipoles and symmetric "
            f"parts is {order.correlation:.2f}. [i, j] = d dipole_i / d R_j is required: exchange "
            "the indices with --transpose, or leave that out if it was given"
        )
    return order


def _set_energies(
    targets: Sequence[dict[str, Array]],
    labelled: Sequence[LabelledStructure],
    species: Sequence[int],
    rest: Integers,
) -> Array:
    counts = count_species([one.structure.numbers for one in labelled], species)
    energies = np.array([one.labels["energy"] for one in labelled])
    free_atoms = fit_free_atoms(counts[rest], energies[rest])
    for target, left in zip(targets, energies - counts @ free_atoms, strict=True):
        target["energy"] = np.array([left])
    return free_atoms


def _scales(
    kind: str,
    targets: Sequence[Mapping[str, Array]],
    labelled: Sequence[LabelledStructure],
    species: Sequence[int],
) -> dict[str, float]:
    """Return root mean squares of the targets; of polarizabilities without a mean per species.

    For a kind with weights, all are those of the forces, or of the energies without forces.
    """
    sizes = np.array([one.structure.n_atoms for one in labelled])
    scales = {}
    for name in targets[0]:
        if row_of(name).per == "atom":
            values = np.concatenate([target[name].ravel() for target in targets])
        else:
            rows = np.array([target[name].ravel() for target in targets])
            if row_of(name).is_symmetric:
                counts = count_species([one.structure.numbers for one in labelled], species)
                means = counts @ fit_free_atoms(counts, rows[:, ::4].mean(axis=1))
                rows = rows - means[:, None] * np.eye(3).ravel()
            values = rows / np.sqrt(sizes)[:, None]
        scales[name] = float(np.sqrt(np.mean(values**2))) or 1.0
    if KINDS[kind].weights:
        return dict.fromkeys(scales, scales.get("forces", scales["energy"]))
    return scales
