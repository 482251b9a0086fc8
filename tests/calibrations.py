"""Cards of committees, and a client of bundled models that may be calibrated."""

from __future__ import annotations

import shutil
from importlib.resources import files
from pathlib import Path

import numpy as np
from ase import Atoms

from mlobs_client.evaluate.card import CalibratedQuantity

MODELS = Path(str(files("mlobs_client") / "models/water"))

CLIENT = """
structure = "init.xyz"
compile = false
[potential]
kind = "mace"
models = ["potential-*.model"]
[dipole]
kind = "mace"
models = ["dipole-*.model"]
oxidation_numbers = { O = -2, H = 1 }
"""


def quantity(alpha: float, unit: str = "eV", largest: float = 0.1) -> CalibratedQuantity:
    """What a card says of one quantity."""
    return CalibratedQuantity(
        alpha=alpha, error=0.1, formula="ratio of means", n_members=3, n_frames=20, n_atoms=4.0,
        unit=unit, rms_error=0.2, rms_spread=0.1, smallest_spread=0.05, largest_spread=largest,
        coverage=(0.6, 0.9), expected_coverage=(0.6, 0.9), data="frames.extxyz", data_sha256="0",
        date="2026-01-01", mlobs="0",
    )  # fmt: skip


def copy_models(folder: Path, n_members: int, *kinds: str) -> list[Path]:
    """Bundled models as a user's own."""
    names = [f"{kind}-{m}.model" for kind in kinds for m in range(n_members)]
    return [Path(shutil.copy(MODELS / name, folder / name)) for name in names]


def molecules(seed: int) -> Atoms:
    """Two water molecules, distorted, in a box."""
    random = np.random.default_rng(seed)
    one = np.array([[0.0, 0.0, 0.0], [0.80, 0.55, 0.03], [-0.72, 0.62, -0.05]])
    positions = np.concatenate([one, one[:, [1, 2, 0]] + [3.0, 0.4, 0.2]])
    positions += 0.06 * random.normal(size=positions.shape)
    return Atoms("OHHOHH", positions, cell=[[6.1, 0.4, -0.2], [-0.5, 5.9, 0.3], [0.6, 0.2, 6.3]],
                 pbc=True)  # fmt: skip
