"""Folding into the nearest quantum, in cells of every shape; which labels are reported."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlobs_client.errors import EvaluationError
from mlobs_client.learn.branches import Quanta, report_branches

PERIODICITIES = [pbc for pbc in product((True, False), repeat=3) if any(pbc)]

numbers = st.floats(-30.0, 30.0)
vectors = st.tuples(numbers, numbers, numbers).map(np.array)
integers = st.tuples(*[st.integers(-5, 5)] * 3).map(np.array)


@st.composite
def lattices(draw: st.DrawFn) -> tuple[np.ndarray, tuple[bool, ...]]:
    """Skewed cells, partly periodic."""
    skew = st.floats(-3.0, 3.0)
    edges = draw(st.tuples(*[st.floats(2.0, 20.0)] * 3))
    cell = np.diag(edges)
    cell[1, 0], cell[2, 0], cell[2, 1] = (draw(skew) * edges[0] for _ in range(3))
    return cell[list(draw(st.permutations(range(3))))], draw(st.sampled_from(PERIODICITIES))


@given(lattice=lattices(), vector=vectors, shift=integers)
def test_random_quanta_never_change_what_is_folded(lattice, vector, shift) -> None:
    cell, pbc = lattice
    quanta = Quanta(cell, pbc)
    inside = 0.98 * quanta.fold(vector)  # away from walls between two branches, which are as near
    moved = inside + (shift * np.array(pbc)) @ cell
    np.testing.assert_allclose(quanta.fold(moved), inside, atol=1e-10)  # rounding


@given(lattice=lattices(), vector=vectors)
def test_folding_twice_is_folding_once(lattice, vector) -> None:
    quanta = Quanta(*lattice)
    folded = quanta.fold(vector)
    np.testing.assert_array_equal(quanta.fold(folded), folded)


@settings(max_examples=30)
@given(lattice=lattices(), vector=vectors)
def test_no_lattice_vector_leads_to_a_smaller_residual(lattice, vector) -> None:
    cell, pbc = lattice
    folded = Quanta(cell, pbc).fold(vector)
    # enough around: rows are skewed by at most three edges, twice
    around = np.array(list(product(range(-12, 13), repeat=3))) * np.array(pbc)
    others = np.linalg.norm(folded - around @ cell, axis=1)
    assert np.linalg.norm(folded) <= others.min() + 1e-7  # of two equal ones, either


@given(lattice=lattices(), vector=vectors)
def test_a_dipole_moves_by_whole_lattice_vectors_of_periodic_directions_only(
    lattice, vector
) -> None:
    cell, pbc = lattice
    quanta = Quanta(cell, pbc)
    nearest = quanta.nearest(vector)
    assert nearest.dtype == np.int64
    assert not nearest[~np.array(pbc)].any()
    np.testing.assert_allclose(vector - quanta.fold(vector), nearest @ cell, atol=1e-10)


def test_a_molecule_has_no_quanta() -> None:
    quanta = Quanta(np.zeros((3, 3)), (False, False, False))
    np.testing.assert_array_equal(quanta.fold([50.0, -3.0, 1e4]), [50.0, -3.0, 1e4])
    np.testing.assert_array_equal(quanta.fractions([50.0, -3.0, 1e4]), 0.0)


def test_lattice_vectors_that_are_not_independent_are_refused() -> None:
    with pytest.raises(EvaluationError, match="has no lattice vectors for the periodicity"):
        Quanta(np.array([[1.0, 0, 0], [2.0, 0, 0], [0, 0, 1.0]]), (True, True, False))


def test_the_report_counts_moves_and_lists_what_no_branch_explains() -> None:
    cell = np.array([[10.0, 0, 0], [3.0, 9, 0], [-2.0, 1, 8]])
    random = np.random.default_rng(0)
    moves = random.integers(-1, 2, size=(40, 3))
    residuals = random.normal(0.0, 0.02, size=(40, 3)) + moves @ cell
    residuals[7] += 0.45 * cell[1]
    residuals[9] += [0.9, 0.0, 0.0]
    report = report_branches(range(100, 140), [Quanta(cell, (True,) * 3)] * 40, residuals)
    assert report.n_periodic == 40
    assert report.n_moved == int(moves.any(axis=1).sum())
    assert sum(report.moves.values()) == report.n_moved
    assert {one.index: one.reason.split(":")[0] for one in report.unexplained}.keys() == {107, 109}
    assert "a neighbouring branch" in report.unexplained[0].reason
    assert "times the median residual" in report.unexplained[1].reason
    assert report.histogram.sum(axis=1).tolist() == [40, 40, 40]


def test_the_histogram_counts_only_directions_with_quanta() -> None:
    cell = np.array([[10.0, 0, 0], [3.0, 9, 0], [-2.0, 1, 8]])
    periodicities = [(True, True, True), (True, True, False), (False, False, False)]
    report = report_branches(
        range(3), [Quanta(cell, pbc) for pbc in periodicities], np.ones((3, 3))
    )
    assert report.n_periodic == 2
    assert report.histogram.sum(axis=1).tolist() == [2, 2, 1]
