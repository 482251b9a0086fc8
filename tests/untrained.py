"""Untrained MACE networks: small, fast, and as good as trained ones for testing derivatives."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable

import numpy as np
import pytest
import torch

from mlobs_client.evaluate.model_files import quiet_third_parties
from mlobs_client.structure import Structure

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


@pytest.fixture(scope="session")
def network() -> Build:
    """Networks by kind, seed and settings; each test gets copies of its own."""
    made: dict[str, torch.nn.Module] = {}

    def get(kind: str, seed: int = 0, **settings: object) -> torch.nn.Module:
        key = f"{kind} {seed} {settings}"
        if key not in made:
            made[key] = build(kind, seed, **settings)
        with quiet_third_parties():
            return copy.deepcopy(made[key])

    return get


@pytest.fixture(scope="session")
def water() -> Callable[..., Structure]:
    """Distorted water molecules in a triclinic cell (bohr)."""

    def get(
        n_molecules: int = 2,
        seed: int = 0,
        length: float = 9.0,
        pbc: tuple[bool, bool, bool] = (True, True, True),
    ) -> Structure:
        rng = np.random.default_rng(seed)
        molecule = np.array([[0.0, 0.0, 0.0], [1.8, 0.0, 0.0], [-0.45, 1.75, 0.0]])
        cell = length * (np.eye(3) + 0.15 * rng.normal(size=(3, 3)))
        # On a lattice of their own, so that no two molecules meet; some outside of the cell.
        places = rng.permutation(27)[:n_molecules]
        corners = np.stack([places // 9, places // 3 % 3, places % 3], axis=1) / 3
        images = rng.integers(-1, 2, size=(n_molecules, 3)) * np.array(pbc)
        positions = ((corners + images) @ cell)[:, None] + molecule
        positions = positions.reshape(-1, 3) + 0.1 * rng.normal(size=(3 * n_molecules, 3))
        return Structure(np.array([8, 1, 1] * n_molecules), positions, cell, pbc)

    return get
