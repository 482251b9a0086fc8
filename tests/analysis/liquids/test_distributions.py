"""Distances are counted once, in every cell, and normalised to what is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from mlobs_client.analysis.liquids.distributions import (
    find_bonds,
    highest,
    histogram,
    mode,
    radial_distribution,
)
from mlobs_client.errors import RecordError
from mlobs_client.results.curve import Curve
from mlobs_client.structure import Structure
from mlobs_client.units import ANGSTROM

Array = npt.NDArray[np.float64]
CELL = ANGSTROM * np.array([[9.0, 0.4, -1.1], [2.3, 8.0, 0.7], [-0.6, 1.9, 11.0]])
N_BLOCKS = 5


def test_independent_atoms_have_a_radial_distribution_of_one() -> None:
    rng = np.random.default_rng(1)
    positions = rng.uniform(-1.0, 2.0, (200, 2, 12, 3)) @ CELL  # some outside of their cell
    cells = np.tile(CELL, (200, 1, 1))
    found = radial_distribution([positions[:80], positions[80:]], [cells[:80], cells[80:]], 20)
    far = found.x > 1.0
    pulls = (found.mean[far] - 1.0) / found.error[far]
    assert len(pulls) > 20
    # about 30 pulls of width 1 (20 blocks: 1.06), mean to 0.2
    assert abs(pulls.mean()) < 0.8
    assert pulls.std() == pytest.approx(1.06, abs=0.6)


def test_the_shells_of_a_lattice_hold_its_neighbours() -> None:
    # body-centred, 2 atoms in a cell of edge 3, twice in each direction
    grid = np.array([[i, j, k] for i in (0, 1) for j in (0, 1) for k in (0, 1)], dtype=float)
    sites = 3.0 * ANGSTROM * np.concatenate([grid, grid + 0.5])
    positions = np.tile(sites, (4, 1, 1, 1))
    cells = np.tile(6.0 * ANGSTROM * np.eye(3), (4, 1, 1))
    found = radial_distribution([positions], [cells], 2, reach=2.9 * ANGSTROM)
    # V/(N (N - 1)) x N x 8 neighbours at 3 sqrt(3)/2 = 2.598 angstrom
    occupied = found.x[found.mean > 0.0]
    np.testing.assert_allclose(occupied, [2.55], atol=1e-9)
    shell = 4.0 / 3.0 * np.pi * (2.6**3 - 2.5**3)
    assert found.mean.max() == pytest.approx(216.0 / 15.0 * 8.0 / shell, rel=1e-9)
    np.testing.assert_allclose(found.error, 0.0, atol=1e-9)  # all blocks are alike


def test_a_distance_reaches_no_farther_than_half_of_the_smallest_height() -> None:
    cells = np.tile(CELL, (N_BLOCKS, 1, 1))
    positions = np.random.default_rng(0).uniform(size=(N_BLOCKS, 1, 4, 3)) @ CELL
    found = radial_distribution([positions], [cells], N_BLOCKS, reach=100.0 * ANGSTROM)
    heights = abs(np.linalg.det(CELL)) / np.array(
        [np.linalg.norm(np.cross(CELL[(i + 1) % 3], CELL[(i + 2) % 3])) for i in range(3)]
    )
    half = 0.5 * heights.min() / ANGSTROM
    assert half - 0.1 < found.x[-1] + 0.05 <= half


WATERS = Structure(
    np.array([1, 8, 1, 8, 1, 1]),
    ANGSTROM
    * np.array(
        [
            [0.96, 0.0, 0.0], [0.0, 0.0, 0.0], [-0.24, 0.93, 0.0],
            [0.1, 4.0, 5.0], [0.1, 4.96, 5.0], [0.1, 3.76, 5.93],
        ]
    )
    + np.array([[0], [0], [0], [0], [0], [1]]) * CELL[1],
    CELL,
)  # fmt: skip
"""Two molecules, the last hydrogen in the next cell."""


def test_bonds_are_found_across_boundaries_and_keep_their_images() -> None:
    bonds = find_bonds(WATERS)
    assert bonds.pairs.tolist() == [[1, 0], [1, 2], [3, 4], [3, 5]]
    assert bonds.images.tolist() == [[0, 0, 0], [0, 0, 0], [0, 0, 0], [0, -1, 0]]
    grown = 1.1 * CELL
    positions = np.stack([WATERS.positions, WATERS.positions @ np.linalg.inv(CELL) @ grown])
    vectors = bonds.vectors(positions[:, None], np.stack([CELL, grown]))
    lengths = np.linalg.norm(vectors, axis=-1)[:, 0] / ANGSTROM
    np.testing.assert_allclose(lengths[0], [0.96, 0.9605, 0.96, 0.9604], atol=1e-4)
    strained = vectors[0, 0] @ np.linalg.inv(CELL) @ grown
    np.testing.assert_allclose(vectors[1, 0], strained, atol=1e-9)


def test_a_hydrogen_without_oxygen_is_named() -> None:
    lost = WATERS.positions.copy()
    lost[2] += ANGSTROM * np.array([-1.0, 1.0, 0.0])
    with pytest.raises(RecordError, match=r"atom 2 has no neighbour within 1.50 angstrom"):
        find_bonds(Structure(WATERS.numbers, lost, WATERS.cell))
    with pytest.raises(RecordError, match=r"there is no neighbour .* \(atomic numbers 8 and 3\)"):
        find_bonds(WATERS, neighbour=3)


def test_a_density_integrates_to_what_lies_within_its_bins() -> None:
    samples = np.random.default_rng(0).normal(size=(4000, 3))
    edges = np.linspace(-1.0, 1.0, 41)
    found = histogram([samples], edges, N_BLOCKS, "1")
    # erf(1/sqrt 2) = 0.68269; 12000 samples give it to 0.0042
    assert found.mean.sum() * 0.05 == pytest.approx(0.68269, abs=4 * 0.0042)
    pulls = (found.mean - np.exp(-0.5 * found.x**2) / np.sqrt(2 * np.pi)) / found.error
    assert np.median(np.abs(pulls)) < 1.5  # 0.74 for 5 blocks


def gaussians(tops: tuple[float, ...]) -> Curve:
    centers = np.arange(0.0, 2.0, 0.1)
    blocks = np.array([2.0 * np.exp(-2.0 * (centers - top) ** 2) for top in tops])
    return Curve("density", "1/angstrom", "length", "angstrom", centers, blocks)


def test_the_errors_of_a_distribution_are_named_after_blocks_or_whole_runs() -> None:
    rng, edges = np.random.default_rng(2), np.linspace(-3.0, 3.0, 7)
    of_one = histogram([rng.normal(size=400)], edges, N_BLOCKS)
    of_three = histogram([np.cumsum(rng.normal(size=40)) for _ in range(3)], edges, N_BLOCKS)
    assert of_one.error_from == "scatter of 5 blocks"
    assert of_three.error_from == "scatter of 3 runs"


def test_mode_and_height_of_a_gaussian_are_exact_between_two_bins() -> None:
    for top in (1.04, 1.05, 1.06):
        found = gaussians((top, top, top))
        assert mode(found).value == pytest.approx(top, abs=1e-9)
        assert highest(found).value == pytest.approx(2.0, abs=1e-9)


def test_a_distribution_without_samples_has_no_mode_and_one_of_two_bins_has_its_highest() -> None:
    x, blocks = np.array([0.1, 0.2, 0.3, 0.4]), np.zeros((3, 4))
    empty = Curve("density", "1/angstrom", "length", "angstrom", x, blocks)
    assert np.isnan(mode(empty).value)
    assert mode(empty).no_error.startswith("no samples")
    assert highest(empty).value == 0.0
    blocks[1, 2] = 6.0
    in_one_block = mode(replace(empty, blocks=blocks))
    assert in_one_block.value == pytest.approx(0.3, abs=0.05)
    assert in_one_block.no_error.endswith("all of them in one block")
    two = Curve("g(r)", "1", "distance", "angstrom", x[:2], np.array([[1.0, 3.0], [1.0, 2.0]]))
    assert (mode(two).value, highest(two).value) == (0.2, 2.5)


def test_the_error_of_a_mode_is_that_of_the_modes_of_its_blocks() -> None:
    tops = (1.03, 1.05, 1.07)  # two bins are equally high
    # standard error of the three, times Student's 1.3213; the mean of Gaussians is nearly one
    scatter = np.std(tops, ddof=1) / np.sqrt(3)
    assert mode(gaussians(tops)).error == pytest.approx(1.3213 * scatter, rel=0.02)


def test_what_has_no_radial_distribution_is_refused() -> None:
    cells = np.tile(CELL, (N_BLOCKS, 1, 1))
    with pytest.raises(RecordError, match="at least two atoms, not 1"):
        radial_distribution([np.zeros((N_BLOCKS, 1, 1, 3))], [cells], N_BLOCKS)
    with pytest.raises(RecordError, match="choose narrower bins"):
        radial_distribution([np.zeros((N_BLOCKS, 1, 2, 3))], [cells], N_BLOCKS, bin_width=10.0)
