"""Prepare labelled structures for training: targets, their scales, and held-out structures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, NamedTuple

import numpy as np
from ase.data import chemical_symbols

from mlobs_client.learn.bond_charges import FirstPrediction
from mlobs_client.learn.branches import Quanta
from mlobs_client.learn.index_order import IndexOrder
from mlobs_client.learn.labels import LabelledStructure, numbers_by_species, species_of
from mlobs_client.learn.networks import KINDS
from mlobs_client.learn.split import Split, hold_out
from mlobs_client.learn.targets import (
    check_order,
    find_scales,
    set_as_labelled,
    set_dipoles,
    set_energies,
)
from mlobs_client.structure import Array, Integers

VALID_FRACTION: Final = 0.1

Vary = Literal["split", "seed", "bootstrap"]
"""The way in which members of a committee differ."""

NO_QUANTA: Final = Quanta(np.zeros((3, 3)), (False, False, False))


class Addition(NamedTuple):
    """Structures of a further file, all of which are used for training.

    Attributes:
        labelled: the structures, with any of the labels.
        weight: weight of the mean squared error of a batch of them; that of the main file is 1.
    """

    labelled: Sequence[LabelledStructure]
    weight: float


class Share(NamedTuple):
    """The place of an addition in a data set.

    Attributes:
        places: indices of its structures, shape ``(n,)``.
        weight: see :class:`Addition`.
    """

    places: Integers
    weight: float


@dataclass(frozen=True)
class DataSet:
    """Labelled structures, prepared for training.

    Attributes:
        kind: kind of the networks.
        labelled: all structures; those of further files are last.
        species: atomic numbers that the networks know, sorted.
        quanta: quanta of each structure; none if branches are kept as they are.
        targets: targets of the network for each structure, by the names of labels: the dipole
            without its integer part, on the branch nearest to the first prediction; the energy
            minus that of free atoms; Born charges minus oxidation numbers. They are in e, angstrom
            and eV, with the shapes of :mod:`mlobs_client.quantities`.
        scales: sizes of the targets, see :class:`mlobs_client.learn.objective.Objective`.
        held_out: the structures that are held out from all members, and the others of the main
            file.
        also: structures of further files.
        theories: level of theory of each structure, which has its own zero of energies; 0 is that
            of the first structure, and of the networks.
        free_atoms: energies of free atoms at each level, shape ``(n_levels, n_species)``, eV; None
            without energies.
        first: first prediction of the dipole; None without dipoles.
        order: order of the indices of Born charges; None without them.
    """

    kind: str
    labelled: tuple[LabelledStructure, ...]
    species: tuple[int, ...]
    quanta: tuple[Quanta, ...]
    targets: tuple[Mapping[str, Array], ...]
    scales: Mapping[str, float]
    held_out: Split
    also: tuple[Share, ...] = ()
    theories: tuple[int, ...] = ()
    free_atoms: Array | None = None
    first: FirstPrediction | None = None
    order: IndexOrder | None = None

    @property
    def test(self) -> Integers:
        """Indices of structures that are held out from all members, shape ``(n_test,)``."""
        return self.held_out.test

    @property
    def rest(self) -> Integers:
        """Indices of the other structures of the main file, shape ``(n_rest,)``."""
        return self.held_out.rest

    @property
    def learns(self) -> tuple[str, ...]:
        """Quantities that the networks learn: those that have labels."""
        known = self.targets[self.rest[0]]
        return tuple(name for name in KINDS[self.kind].learns if name in known)

    @property
    def judged(self) -> DataSet:
        """The same without further files, by which no network is judged."""
        n = len(self.labelled) - sum(len(share.places) for share in self.also)
        return replace(
            self,
            labelled=self.labelled[:n],
            quanta=self.quanta[:n],
            targets=self.targets[:n],
            theories=self.theories[:n],
            also=(),
        )

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
            "n_structures": len(self.judged.labelled),
            "also": [
                {"n_structures": len(places), "weight": weight} for places, weight in self.also
            ],
            "held_out_by": self.held_out.by,
            "held_out": [self.labelled[s].index for s in self.test],
            "species": [chemical_symbols[z] for z in self.species],
            "oxidation_numbers": self.oxidation_numbers,
            "scales": dict(self.scales),
            "first_prediction": first,
            "order_of_born_charges": None if self.order is None else self.order.as_json(),
            "free_atoms_ev": None if self.free_atoms is None else self.free_atoms[0].tolist(),
        }

    def split(
        self, seed: int, vary: Vary = "split", first_seed: int = 0
    ) -> tuple[Integers, Integers]:
        """Return the indices of the training and the validation structures of a member.

        Both have shape ``(n,)``, and contain no held-out structures.

        Args:
            seed: seed of the member.
            vary: "split" for validation structures of its own; "seed" for the same structures as
                all members, in another order; "bootstrap" for a sample of its training structures,
                with repeats.
            first_seed: seed of the first member.
        """
        random = np.random.default_rng([first_seed if vary == "seed" else seed, 7])
        order = random.permutation(self.rest)
        n_valid = max(1, round(VALID_FRACTION * len(order)))
        train, valid = order[n_valid:], order[:n_valid]
        return (random.choice(train, len(train)) if vary == "bootstrap" else train), valid


def prepare(
    kind: str,
    labelled: Sequence[LabelledStructure],
    *,
    cutoff: float,
    test_fraction: float = 0.1,
    seed: int = 0,
    fold: bool = True,
    also: Sequence[Addition] = (),
    test: Sequence[LabelledStructure] = (),
    species: Sequence[int] = (),
) -> DataSet:
    """Hold structures out, and make targets without using the held-out labels.

    Args:
        kind: kind of the networks.
        labelled: structures with the labels that the kind needs.
        cutoff: cutoff of the networks, angstrom.
        test_fraction: fraction of the structures to hold out.
        seed: seed for the choice of held-out structures.
        fold: False if all dipoles are on one branch already, which is then kept.
        also: structures of further files, for training only.
        test: structures to hold out instead of a fraction.
        species: atomic numbers that the networks know; empty for those of the structures.

    Raises:
        ConfigError: the branches of the dipoles cannot be determined, or Born charges have the
            coordinate as first index; see :func:`mlobs_client.learn.split.hold_out`.
    """
    split = hold_out(labelled, test, test_fraction, seed)
    everything, shares = [*labelled, *test], []
    for addition in also:
        places = np.arange(len(everything), len(everything) + len(addition.labelled))
        shares.append(Share(places, addition.weight))
        everything.extend(addition.labelled)
    known = tuple(species) or species_of(everything)
    return _with_targets(kind, everything, split, shares, known, cutoff, seed=seed, fold=fold)


def _with_targets(
    kind: str,
    labelled: Sequence[LabelledStructure],
    split: Split,
    also: Sequence[Share],
    species: tuple[int, ...],
    cutoff: float,
    *,
    seed: int,
    fold: bool,
) -> DataSet:
    rest = split.rest
    further = np.concatenate([np.array([], dtype=np.int64), *(share.places for share in also)])
    for_training = np.append(rest, further)
    theories = _theories(labelled)
    targets: list[dict[str, Array]] = [{} for _ in labelled]
    quanta, first, free_atoms = [NO_QUANTA] * len(labelled), None, None
    for name in KINDS[kind].learns:
        if name == "dipole":
            if fold:
                quanta = [one.quanta for one in labelled]
            first = set_dipoles(targets, labelled, quanta, species, cutoff, rest, further, seed)
        elif name == "energy":
            free_atoms = set_energies(targets, labelled, species, for_training, theories)
        else:
            set_as_labelled(targets, labelled, name)
    learned = [targets[s] for s in for_training], [labelled[s] for s in for_training]
    return DataSet(
        kind=kind,
        labelled=tuple(labelled),
        species=species,
        quanta=tuple(quanta),
        targets=tuple(targets),
        scales=find_scales(kind, *learned, species, len(rest)),
        held_out=split,
        also=tuple(also),
        theories=theories,
        free_atoms=free_atoms,
        first=first,
        order=check_order(*learned),
    )


def _theories(labelled: Sequence[LabelledStructure]) -> tuple[int, ...]:
    """Return the level of theory of each structure, numbered in the order of the structures."""
    numbers: dict[str, int] = {}
    return tuple(numbers.setdefault(one.theory, len(numbers)) for one in labelled)
