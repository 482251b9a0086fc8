"""Start members from networks that exist: a committee, or one network for all."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch

from mlobs_client.errors import ConfigError
from mlobs_client.evaluate.model_files import digest, load, quiet_third_parties
from mlobs_client.learn.labels import LabelledStructure, species_of
from mlobs_client.learn.networks import KINDS
from mlobs_client.structure import Array


class Start(NamedTuple):
    """Networks from which the members start.

    Attributes:
        paths: model files; member K starts from file K, and again from the first after the last.
        species: atomic numbers that the networks know, sorted.
        cutoff: cutoff of the networks, angstrom.
    """

    paths: tuple[Path, ...]
    species: tuple[int, ...]
    cutoff: float

    @property
    def digests(self) -> tuple[str, ...]:
        """sha256 of each file."""
        return tuple(map(digest, self.paths))

    def of_member(self, member: int) -> Path:
        """Return the file from which a member starts."""
        return self.paths[member % len(self.paths)]

    def check(self, labelled: list[LabelledStructure]) -> None:
        """Refuse structures with species that the networks do not know.

        Raises:
            ConfigError: there are such structures.
        """
        if unknown := {*species_of(labelled)} - {*self.species}:
            raise ConfigError(
                f"{self.paths[0]}: does not know the atomic numbers {sorted(unknown)}; start from "
                "another file, or without --start"
            )


def find_start(path: Path, kind: str) -> Start:
    """Find the networks in a model file, or in a folder of ``mlobs train``.

    Args:
        path: a model file, or a folder with files such as ``potential-0.model``.
        kind: kind of the networks to train.

    Raises:
        ConfigError: the folder has no networks of this kind, or these differ in species or cutoff.
        ModelError: a file is not trusted, or has a network of another kind.
    """
    if not path.exists():
        raise ConfigError(f"--start {path}: does not exist; name a model file, or a folder of one")
    paths = [path]
    if path.is_dir():
        found = {int(one.stem[len(kind) + 1 :]): one for one in path.glob(f"{kind}-[0-9]*.model")}
        paths = [found[member] for member in sorted(found)]
    if not paths:
        raise ConfigError(f"{path}: has no file {kind}-0.model to start from; name a model file")
    known = {_describe(read_start(one, kind)) for one in paths}
    if len(known) > 1:
        raise ConfigError(f"{path}: its networks have several species or cutoffs; name one file")
    return Start(tuple(paths), *known.pop())


def read_start(path: Path, kind: str) -> torch.nn.Module:
    """Read a network, and refuse one of another kind.

    Raises:
        ModelError: the file is not trusted, or has a network of another kind, several heads, or
            inputs that structures do not have.
    """
    network = load(path)
    with quiet_third_parties():
        KINDS[kind].evaluator({str(path): network})  # converts it to double precision
    return network.requires_grad_(True)


def read_to_train(path: Path, kind: str) -> torch.nn.Module:
    """Read a network in single precision, without energies of free atoms."""
    network = read_start(path, kind).float()
    set_free_atoms(network, None)
    return network


def set_free_atoms(network: torch.nn.Module, energies: Array | None) -> None:
    """Set the energies of free atoms, in place; to zero if None, and unchanged where NaN.

    Args:
        network: a network; nothing is done to one without energies.
        energies: shape ``(n_species,)``, eV.
    """
    block = getattr(network, "atomic_energies_fn", None)
    if block is None:
        return
    known = block.atomic_energies
    if energies is None:
        known.zero_()
        return
    new = torch.as_tensor(energies, dtype=known.dtype, device=known.device).reshape(known.shape)
    known.copy_(torch.where(new.isnan(), known, new))


def _describe(network: torch.nn.Module) -> tuple[tuple[int, ...], float]:
    species = tuple(int(z) for z in network.atomic_numbers)  # type: ignore[union-attr]
    return species, float(network.r_max)  # type: ignore[arg-type]
