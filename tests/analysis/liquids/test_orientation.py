"""Order parameters of dipoles in a field are those of Langevin."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from mlobs_client.analysis.liquids.distributions import Bonds
from mlobs_client.analysis.liquids.orientation import find_bisectors, orientation
from mlobs_client.errors import RecordError

Array = npt.NDArray[np.float64]
DIRECTION = np.array([2.0, -1.0, 2.0]) / 3.0


def independent_dipoles(strength: float, n: tuple[int, ...], seed: int) -> Array:
    """Unit vectors with the density exp(strength cos(theta)), by inversion of its integral."""
    rng = np.random.default_rng(seed)
    u, phi = rng.uniform(size=n), rng.uniform(0.0, 2.0 * np.pi, size=n)
    cosine = 1.0 + np.log(u + (1.0 - u) * np.exp(-2.0 * strength)) / strength
    sine = np.sqrt(1.0 - cosine**2)
    first = np.cross(DIRECTION, [1.0, 0.0, 0.0])
    first /= np.linalg.norm(first)
    second = np.cross(DIRECTION, first)
    around = np.cos(phi)[..., None] * first + np.sin(phi)[..., None] * second
    return np.asarray(cosine[..., None] * DIRECTION + sine[..., None] * around)


@pytest.mark.parametrize("strength", [0.3, 3.0])
def test_independent_dipoles_are_ordered_as_langevin_says(strength: float) -> None:
    langevin = 1.0 / np.tanh(strength) - 1.0 / strength
    pulls, densities = [], []
    for seed in range(30):
        axes = independent_dipoles(strength, (200, 2, 5), seed)
        found = orientation([axes[:50], axes[50:]], DIRECTION, 10, n_bins=8)
        pulls.append((found.first.value - langevin) / found.first.error)
        second = 1.0 - 3.0 * langevin / strength
        pulls.append((found.second.value - second) / found.second.error)
        densities.append(found.distribution.mean)
    # 60 pulls of width 1, in correlated pairs: mean to 0.18, width to 15 %
    assert abs(np.mean(pulls)) < 0.7
    assert np.std(pulls) == pytest.approx(1.0, abs=0.4)
    edges = np.linspace(-1.0, 1.0, 9)
    exact = np.diff(np.exp(strength * edges)) / (2.0 * np.sinh(strength)) / 0.25
    # 60000 samples: 250 and more in each bin
    np.testing.assert_allclose(np.mean(densities, axis=0), exact, rtol=0.25, atol=0.02)


def test_a_bisector_halves_the_angle_of_unequal_bonds() -> None:
    bonds = Bonds(np.array([[4, 0], [1, 2], [4, 3], [1, 5]]), np.zeros((4, 3), dtype=np.int64))
    vectors = np.array([[0, 2.0, 0], [1.0, 0, 0], [0, 0, 0.5], [0, 3.0, 0]])[None, None]
    found = find_bisectors(bonds, vectors)[0, 0]
    np.testing.assert_allclose(found, np.sqrt(0.5) * np.array([[1, 1, 0], [0, 1, 1]]), atol=1e-12)


def test_a_molecule_with_three_bonds_has_no_bisector() -> None:
    bonds = Bonds(np.array([[1, 0], [1, 2], [1, 3]]), np.zeros((3, 3), dtype=np.int64))
    with pytest.raises(RecordError, match="atom 1 has 3 bonds in the first frame"):
        find_bisectors(bonds, np.ones((1, 1, 3, 3)))
