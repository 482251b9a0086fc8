"""Make the graphs that the networks read."""

from collections.abc import Iterable

import torch
from ase import Atoms

from mlobs_client.learn import batches
from mlobs_client.learn.labels import LabelledStructure
from mlobs_client.structure import Structure, from_atoms

KINDS = ("potential", "dipole", "polarizability")
CUTOFF = 4.0  # angstrom, the same for all, so that a client can share one neighbour list
SPECIES = (1, 8)


def batch_of(frames: Iterable[Atoms], cutoff: float = CUTOFF) -> dict[str, torch.Tensor]:
    """Return frames as one batch for the forward of a network, in torch's default precision."""
    dtype = torch.get_default_dtype()
    labelled = [LabelledStructure(0, Structure(*from_atoms(atoms)), {}) for atoms in frames]
    return batches.join([batches.make_graph(one, {}, SPECIES, cutoff, dtype) for one in labelled])
