"""Hold structures out from all members of a committee, and write down which."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal, NamedTuple

import numpy as np

from mlobs_client.errors import ConfigError
from mlobs_client.files import read_json, write_json
from mlobs_client.learn.labels import LabelledStructure
from mlobs_client.structure import Integers, Structure

FEWEST: Final = 5
"""Smallest number of structures for training, validation and test."""


HeldOutBy = Literal["random", "groups", "files"]
"""The way in which structures were chosen to be held out."""


class Split(NamedTuple):
    """The structures that are held out, and the others.

    Attributes:
        test: indices of structures that are held out from all members, shape ``(n_test,)``.
        rest: indices of the other structures, shape ``(n_rest,)``.
        by: how they were chosen: at random, as groups, or as files of their own.
    """

    test: Integers
    rest: Integers
    by: HeldOutBy


def hold_out(
    labelled: Sequence[LabelledStructure],
    files: Sequence[LabelledStructure],
    fraction: float,
    seed: int,
) -> Split:
    """Choose the structures to hold out.

    Args:
        labelled: structures of the main file; if they have groups, whole groups are held out.
        files: structures to hold out, which count on from those of the main file; if empty, a
            fraction of the main file is held out.
        fraction: fraction to hold out; of groups, as many as reach it.
        seed: seed of the choice.

    Raises:
        ConfigError: there are too few structures or groups, or structures that should be held out
            have another level of theory than the first one.
    """
    if len(labelled) + len(files) < FEWEST:
        raise ConfigError(
            f"{len(labelled) + len(files)} structures are too few for training, validation and "
            f"test; give at least {FEWEST}"
        )
    theory = labelled[0].theory
    if files:
        if other := next((one for one in files if one.theory != theory), None):
            raise ConfigError(
                f"a held-out structure has the level of theory {other.theory!r} (key head), but "
                f"the first structure has {theory!r}; their energies cannot be compared"
            )
        places = np.arange(len(labelled) + len(files))
        return _checked(Split(places[len(labelled) :], places[: len(labelled)], "files"))
    random = np.random.default_rng([seed, 5])
    n_test = max(1, round(fraction * len(labelled)))
    by: HeldOutBy = "groups" if any(one.group for one in labelled) else "random"
    if by == "groups":
        test = _whole_groups([one.group for one in labelled], n_test, random)
        if len(theories := {labelled[s].theory for s in test}) > 1:
            raise ConfigError(
                f"a held-out group has the levels of theory {sorted(theories)} (key head); give "
                "structures of another level than the first one in a file of their own, with --also"
            )
    else:
        test = random.permutation(len(labelled))[:n_test]
    # energies of other levels have their own zeros, which no network knows
    test = np.array(sorted(s for s in test if labelled[s].theory == theory), dtype=np.int64)
    if not len(test):
        raise ConfigError(
            f"no held-out structure has the level of theory {theory!r} (key head) of the first "
            "structure; give others with --test, or a larger --test-fraction"
        )
    return _checked(Split(test, np.setdiff1d(np.arange(len(labelled)), test), by))


def _checked(split: Split) -> Split:
    """Refuse a split that leaves nothing to train on beside one structure for validation."""
    if len(split.rest) < 2:
        raise ConfigError(
            f"{len(split.rest)} structures are left for training and validation; give at least 2, "
            "or hold out fewer"
        )
    return split


def write_split(
    path: Path, labelled: Sequence[LabelledStructure], split: Split, n_judged: int
) -> None:
    """Write the hash and the set of each structure, or compare them with those of the file.

    Args:
        path: file that is written before the first training, and compared later.
        labelled: all structures; from ``n_judged`` on, they are of further files.
        split: the structures that are held out.
        n_judged: number of structures of the main file and of held-out ones.

    Raises:
        ConfigError: a held-out structure is also used for training, or the file has another split.
        LaunchError: the file cannot be written.
    """
    held_out = {int(s) for s in split.test}
    sets: dict[str, str] = {}
    for s, one in enumerate(labelled):
        name = "test" if s in held_out else "training" if s < n_judged else "further training"
        known = sets.setdefault(_hash(one.structure), name)
        if "test" in (known, name) and known != name:
            raise ConfigError(
                f"structure {one.index} (counted from 0 over all files) is there twice, held out "
                "and for training, so that it tells nothing about errors; remove one of the two"
            )
    content = {"held_out_by": split.by, "sets": sets}
    if not path.exists():
        write_json(path, content)
        return
    stored = read_json(path)["sets"]
    if differing := [key for key in {*sets, *stored} if sets.get(key) != stored.get(key)]:
        raise ConfigError(
            f"{path}: {len(differing)} of {len(sets)} structures were in another set, or absent, "
            "when this training began; give the same files, or train in another folder"
        )


def _whole_groups(names: Sequence[str], n_test: int, random: np.random.Generator) -> Integers:
    groups = sorted({*names})
    if len(groups) < 2:
        raise ConfigError(
            f"all structures are of the group {groups[0]!r}; --test-group needs at least two"
        )
    chosen: list[int] = []
    for group in random.permutation(groups)[:-1]:
        chosen.extend(s for s, name in enumerate(names) if name == group)
        if len(chosen) >= n_test:
            break
    return np.array(chosen)


def _hash(structure: Structure) -> str:
    """Return a sha256 of species, positions, cell and periodicity."""
    arrays = (structure.numbers, structure.positions, structure.cell, np.array(structure.pbc))
    return hashlib.sha256(b"".join(np.ascontiguousarray(a).tobytes() for a in arrays)).hexdigest()
