"""Give energies a zero for each level of theory, which is learned with the network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from mace.data import AtomicData

from mlobs_client.learn.batches import Tensors, join
from mlobs_client.learn.networks import fit_free_atoms
from mlobs_client.structure import Array

SLOWNESS: Final = 0.1
"""Size of a zero, in units of the energies, for each step of the learning rate."""

MOST: Final = 50
"""Largest number of structures of a level from which its first zero is fitted."""


class WithZeros(torch.nn.Module):
    """A network whose energies have a zero for each level of theory and species.

    Codes, functionals and pseudopotentials have their own zeros of energy. Only differences between
    structures of one level are compared, as the zeros are free; that of the first level is added to
    the free atoms of the network afterwards.

    Args:
        network: a network with outputs for MACE's batches.
        n_levels: number of levels of theory.
        n_species: number of species of the network.
        unit: unit of energies in the network, eV.
    """

    def __init__(
        self, network: torch.nn.Module, n_levels: int, n_species: int, unit: float
    ) -> None:
        super().__init__()
        self.network = network
        self.zeros = torch.nn.Parameter(torch.zeros(n_levels, n_species))
        self._unit = SLOWNESS * unit

    def forward(self, batch: Tensors, **options: bool) -> Tensors:
        """Return the outputs of the network, with energies from the zero of each structure."""
        output: Tensors = dict(self.network(batch, **options))
        zeros = self._unit * self.zeros[batch["theory"]]
        output["energy"] = output["energy"] + (_count(batch) * zeros).sum(dim=1)
        return output

    @property
    def energies(self) -> Array:
        """The zeros, shape ``(n_levels, n_species)``, eV per atom."""
        return np.asarray(self._unit * self.zeros.detach().cpu().double().numpy())

    def fit(self, graphs: Sequence[AtomicData], device: str) -> None:
        """Set the zeros by least squares, from a few structures of each level."""
        for level in range(len(self.zeros)):
            of_level = [g for g in graphs if int(g.theory) == level and "target_energy" in g][:MOST]
            if not of_level:
                continue
            counts, errors = [], []
            for graph in of_level:
                batch = join([graph], device)
                energy = self.network(batch, compute_force=False)["energy"].detach()
                counts.append(_count(batch)[0].double().cpu().numpy())
                errors.append(float(batch["target_energy"] - energy))
            zeros = fit_free_atoms(np.array(counts), np.array(errors)) / self._unit
            with torch.no_grad():
                self.zeros[level] = torch.tensor(zeros, dtype=self.zeros.dtype)


def _count(batch: Tensors) -> torch.Tensor:
    """Return the number of atoms of each species, shape ``(n_graphs, n_species)``."""
    attributes = batch["node_attrs"]
    counts = attributes.new_zeros((len(batch["ptr"]) - 1, attributes.shape[1]))
    return counts.index_add(0, batch["batch"], attributes)
