"""Make the graphs that the networks read."""

import os
import warnings
from collections.abc import Iterable

warnings.filterwarnings("ignore", category=UserWarning)
warnings.filterwarnings("ignore", category=FutureWarning)
os.environ.setdefault("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")

import torch  # noqa: E402
from ase import Atoms  # noqa: E402
from mace import data  # noqa: E402
from mace.tools import AtomicNumberTable  # noqa: E402
from mace.tools.torch_geometric import Batch  # noqa: E402

KINDS = ("potential", "dipole", "polarizability")
CUTOFF = 4.0  # angstrom, the same for all, so that a client can share one neighbour list
ELEMENTS = AtomicNumberTable([1, 8])


def batch_of(frames: Iterable[Atoms], cutoff: float = CUTOFF) -> dict[str, torch.Tensor]:
    """Return frames as one batch for the forward of a network, in torch's default precision."""
    configurations = map(data.config_from_atoms, frames)
    graphs = [
        data.AtomicData.from_config(one, z_table=ELEMENTS, cutoff=cutoff) for one in configurations
    ]
    return Batch.from_data_list(graphs).to_dict()
