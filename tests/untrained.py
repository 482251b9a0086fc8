"""Untrained MACE networks: small, fast, and as good as trained ones for testing derivatives."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import torch

from mlobs_client.evaluate.model_files import quiet_third_parties

with quiet_third_parties():
    from mace import modules
    from mace.modules.models import o3  # e3nn cannot be imported before mace
    from mace.tools.torch_tools import default_dtype

Build = Callable[..., torch.nn.Module]


def build(kind: str, seed: int, **settings: object) -> torch.nn.Module:
    """A network for H and O with random weights in float64."""
    torch.manual_seed(seed)
    with quiet_third_parties(), default_dtype(torch.float64):
        warnings.filterwarnings("ignore", "The TorchScript type system")  # of e3nn, at building
        return _build(kind, **settings)


def _build(kind: str, r_max: float = 3.5, **settings: object) -> torch.nn.Module:
    size = {
        "r_max": r_max,
        "num_bessel": 4,
        "num_polynomial_cutoff": 5,
        "max_ell": 2,
        "interaction_cls": modules.interaction_classes["RealAgnosticResidualInteractionBlock"],
        "interaction_cls_first": modules.interaction_classes["RealAgnosticInteractionBlock"],
        "num_interactions": 2,
        "num_elements": 2,
        "hidden_irreps": o3.Irreps("4x0e+4x1o+4x2e"),
        "MLP_irreps": o3.Irreps("4x0e+4x1o+4x2e"),
        "avg_num_neighbors": 4.0,
        "atomic_numbers": [1, 8],
        "correlation": 2,
        "radial_MLP": [8],
        "gate": torch.nn.functional.silu,
    } | settings
    if kind == "potential":
        size |= {"hidden_irreps": o3.Irreps("4x0e+4x1o"), "MLP_irreps": o3.Irreps("4x0e")}
        energies = {"atomic_energies": np.array([-1.5, -7.25])}
        scale = {"atomic_inter_scale": 0.8, "atomic_inter_shift": 0.1}
        return modules.ScaleShiftMACE(**size, **energies, **scale)
    if kind == "unscaled potential":
        size |= {"hidden_irreps": o3.Irreps("4x0e+4x1o"), "MLP_irreps": o3.Irreps("4x0e")}
        return modules.MACE(**size, atomic_energies=np.array([-1.5, -7.25]), pair_repulsion=True)
    if kind == "dipole":
        # A gate that vanishes at zero would silence the last layer, which has no scalars.
        irreps = {"hidden_irreps": o3.Irreps("4x0e+4x1o"), "MLP_irreps": o3.Irreps("4x1o")}
        return modules.AtomicDipolesMACE(
            **size | irreps | {"gate": torch.sigmoid}, atomic_energies=None
        )
    if kind == "potential and dipole":
        size |= {"hidden_irreps": o3.Irreps("4x0e+4x1o"), "MLP_irreps": o3.Irreps("4x0e+4x1o")}
        return modules.EnergyDipolesMACE(**size, atomic_energies=np.array([-1.5, -7.25]))
    return modules.AtomicDielectricMACE(**size, atomic_energies=None)
