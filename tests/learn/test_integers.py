"""Numbers are found from labels that are known up to integers."""

from __future__ import annotations

import numpy as np
import pytest

from mlobs_client.learn.integers import fold_integers, refine, search_integers


def planted(
    n_labels: int, n_numbers: int, noise: float, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows, labels on random branches, and the numbers behind them, of predictions of size 2."""
    random = np.random.default_rng(seed)
    rows = random.normal(size=(n_labels, n_numbers))
    numbers = random.normal(size=n_numbers)
    rows *= 2.0 / np.sqrt(np.mean((rows @ numbers) ** 2))
    labels = rows @ numbers + random.normal(0.0, noise, n_labels)
    return rows, labels + random.integers(-5, 6, n_labels), numbers


@pytest.mark.parametrize("seed", range(3))
def test_one_number_is_the_one_of_a_search_on_a_fine_grid(seed: int) -> None:
    rows, labels, _ = planted(40, 1, 0.05, seed)
    grid = np.arange(-4.0, 4.0, 1e-3)
    errors = np.mean(fold_integers(labels - grid[:, None] * rows[:, 0]) ** 2, axis=1)
    found, _ = refine(rows, labels, search_integers(rows, labels, 2.0, 100)[:1])
    assert found[0, 0] == pytest.approx(grid[errors.argmin()], abs=1e-3)  # of the grid


@pytest.mark.parametrize("n_numbers", [4, 8, 12])
def test_many_numbers_are_found_behind_labels_on_random_branches(n_numbers: int) -> None:
    rows, labels, numbers = planted(200, n_numbers, 0.02, n_numbers)
    found = search_integers(rows, labels, 2.0, 3000)
    assert len(found) <= 3000
    refined, errors = refine(rows, labels, found[:5])
    # of least squares; the integers are all right
    np.testing.assert_allclose(refined[errors.argmin()], numbers, atol=0.02)
    assert errors.min() < 0.025


def test_an_outlier_among_the_labels_does_not_lose_the_others() -> None:
    rows, labels, numbers = planted(100, 4, 0.02, 1)
    labels[[3, 50]] += 0.45
    found, errors = refine(rows, labels, search_integers(rows, labels, 2.0, 1000)[:50])
    np.testing.assert_allclose(found[errors.argmin()], numbers, atol=0.1)


def test_folding_leaves_at_most_half_an_integer() -> None:
    np.testing.assert_allclose(fold_integers(np.array([2.4, -0.6, 7.0])), [0.4, 0.4, 0.0])
