from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from mlobs_client.structure import Array

Levels = Callable[[Array, float, float], tuple[Array, Array]]


@pytest.fixture
def levels() -> Levels:
    """Energies and wave functions of a profile on a grid, from its spacing and the mass."""
    return sinc_dvr


def sinc_dvr(energies: Array, spacing: float, mass: float) -> tuple[Array, Array]:
    """Colbert and Miller, J. Chem. Phys. 96, 1982 (1992)."""
    i = np.arange(len(energies))
    distance = i[:, None] - i[None, :]
    with np.errstate(divide="ignore"):
        kinetic = np.where(distance == 0, np.pi**2 / 3.0, 2.0 / distance.astype(float) ** 2)
    kinetic = kinetic * (-1.0) ** distance / (2.0 * mass * spacing**2)
    return np.linalg.eigh(kinetic + np.diag(energies))
