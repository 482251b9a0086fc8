"""Make the three small networks, and the graphs that they read."""

import os
import warnings
from collections.abc import Iterable
from typing import Any

warnings.filterwarnings("ignore", category=UserWarning)
warnings.filterwarnings("ignore", category=FutureWarning)
os.environ.setdefault("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")

import mace  # noqa: E402, F401  (before e3nn: it makes torch.load accept e3nn's constants)
import numpy as np  # noqa: E402
import torch  # noqa: E402
from ase import Atoms  # noqa: E402
from e3nn import o3  # noqa: E402
from mace import data, modules  # noqa: E402
from mace.tools import AtomicNumberTable  # noqa: E402
from mace.tools.torch_geometric import Batch  # noqa: E402

KINDS = ("potential", "dipole", "polarizability")
CUTOFF = 4.0  # angstrom, the same for all, so that a client can share one neighbour list
ELEMENTS = AtomicNumberTable([1, 8])
KEYS = data.KeySpecification(
    info_keys={
        "energy": "REF_energy",
        "dipole": "REF_remainder",
        "polarizability": "REF_polarizability",
    },
    arrays_keys={"forces": "REF_forces"},
)
# Only the weights that set size and cost; `common` is shared.
ARCHITECTURE: dict[str, dict[str, Any]] = {
    "potential": {
        "hidden": "16x0e",
        "readout": "16x0e",
        "correlation": 2,
        "radial": [32, 32],
        "layers": 2,
    },
    "dipole": {
        "hidden": "8x0e+8x1o",
        "readout": "8x1o",
        "correlation": 2,
        "radial": [16],
        "layers": 2,
    },
    "polarizability": {
        "hidden": "8x0e+8x1o+8x2e",
        "readout": "8x0e+8x1o+8x2e",
        "correlation": 3,
        "radial": [16],
        "layers": 1,
    },
}


def build(
    kind: str, neighbours: float, e0: np.ndarray | None = None, scale: float = 1.0
) -> torch.nn.Module:
    """Make an untrained network in torch's default precision.

    Args:
        kind: one of ``KINDS``.
        neighbours: mean number of edges per atom, a normalisation.
        e0: energies of the free H and O atoms, eV; the potential only.
        scale: of the atomic energies, eV; the potential only.
    """
    size = ARCHITECTURE[kind]
    common: dict[str, Any] = {
        "r_max": CUTOFF,
        "num_bessel": 8,
        "num_polynomial_cutoff": 5,
        "max_ell": 2,
        "interaction_cls": modules.interaction_classes["RealAgnosticResidualInteractionBlock"],
        "interaction_cls_first": modules.interaction_classes["RealAgnosticInteractionBlock"],
        "num_interactions": size["layers"],
        "num_elements": len(ELEMENTS),
        "hidden_irreps": o3.Irreps(size["hidden"]),
        "MLP_irreps": o3.Irreps(size["readout"]),
        "avg_num_neighbors": neighbours,
        "atomic_numbers": ELEMENTS.zs,
        "correlation": size["correlation"],
        "radial_MLP": size["radial"],
    }
    if kind == "potential":
        return modules.ScaleShiftMACE(
            **common,
            gate=torch.nn.functional.silu,
            atomic_energies=np.zeros(2) if e0 is None else e0,
            atomic_inter_scale=scale,
            atomic_inter_shift=0.0,
        )
    if kind == "dipole":
        # The last layer of AtomicDipolesMACE has no scalars: a gate that vanishes at 0 (silu, tanh)
        # would silence its readout for ever; sigmoid(0) = 1/2 makes it a linear readout.
        return modules.AtomicDipolesMACE(**common, gate=torch.sigmoid, atomic_energies=None)
    return modules.AtomicDielectricMACE(
        **common, gate=torch.nn.functional.silu, atomic_energies=None
    )


def make_graph(atoms: Atoms, cutoff: float = CUTOFF) -> data.AtomicData:
    """Return the graph and the labels of one frame, in torch's default precision."""
    config = data.config_from_atoms(atoms, key_specification=KEYS)
    graph = data.AtomicData.from_config(config, z_table=ELEMENTS, cutoff=cutoff)
    graph.n_molecules = torch.tensor(float((atoms.numbers == 8).sum()))
    if "REF_apt" in atoms.arrays:
        graph.apt = torch.tensor(
            atoms.arrays["REF_apt"].reshape(-1, 3, 3), dtype=torch.get_default_dtype()
        )
    return graph


def join(graphs: Iterable[data.AtomicData]) -> dict[str, torch.Tensor]:
    """Return several graphs as one batch for the forward of a network."""
    return Batch.from_data_list(list(graphs)).to_dict()
