"""Integers come out of labels on any branch, or a reason why there is none."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlobs_client.analysis.response.winding import curve_along_path, oxidation_number, wind
from mlobs_client.errors import ConfigError, RecordError
from mlobs_client.units import ANGSTROM

Array = npt.NDArray[np.float64]
CELL = np.array([[9.0, 0.4, -1.1], [2.3, 8.0, 0.7], [-0.6, 1.9, 11.0]])
CHARGES = np.array([2.0, -3.0, 1.0, -1.0])
SITES = np.array([[0.1, 0.2, 0.0], [0.5, 0.4, 0.6], [0.8, 0.1, 0.3], [0.2, 0.7, 0.9]]) @ CELL
N_IMAGES = 40


def path(atom: int, images: tuple[int, int, int]) -> Array:
    """One atom goes to its image, the others make way and return."""
    rng = np.random.default_rng(atom)
    s = np.linspace(0.0, 1.0, N_IMAGES)[:, None]
    directions = rng.normal(size=(4, 3))
    positions = SITES + 0.4 * np.sin(np.pi * s)[..., None] * directions
    positions[:, atom] = SITES[atom] + s * (np.array(images) @ CELL)
    return np.asarray(positions)


def dipole(positions: Array) -> Array:
    """Integer charges, and a periodic part that is no sum over charges."""
    fractional = np.linalg.solve(CELL.T, positions.reshape(-1, 3).T).T.reshape(positions.shape)
    phases = 2.0 * np.pi * (fractional[:, 0] - fractional[:, 1])
    periodic = 0.9 * np.sin(phases) + 0.5 * np.cos(phases[:, ::-1])
    return np.asarray(np.einsum("I,tIi->ti", CHARGES, positions) + periodic)


def on_random_branches(dipoles: Array, seed: int) -> Array:
    jumps = np.random.default_rng(seed).integers(-4, 5, dipoles.shape)
    return np.asarray(dipoles + jumps @ CELL)


@given(
    atom=st.integers(0, 3),
    images=st.tuples(*[st.integers(-1, 1)] * 3).filter(any),
    seed=st.integers(0, 2**32 - 1),
)
def test_the_integer_of_an_atom_is_found_whatever_the_branches_of_the_labels(
    atom: int, images: tuple[int, int, int], seed: int
) -> None:
    positions = path(atom, images)
    labels = on_random_branches(dipole(positions), seed)
    wrapped = np.linalg.solve(CELL.T, positions.reshape(-1, 3).T).T % 1.0 @ CELL
    for written in (positions, wrapped.reshape(positions.shape)):
        found = oxidation_number(written, labels, CELL, atom)
        assert found.value == CHARGES[atom]
        assert found.before_rounding == pytest.approx(CHARGES[atom], abs=1e-9)
        assert found.images.tolist() == list(images)
        assert found.along[0] == 0.0


def test_charges_that_change_places_are_counted_together() -> None:
    # ions 0 and 1 each go half way around along the third vector, into the place of the other
    s = np.linspace(0.0, 1.0, N_IMAGES)[:, None]
    ring = np.array([[0.1, 0.1, 0.0], [0.1, 0.1, 0.5]])
    fractional = ring + 0.5 * s[..., None] * np.array([0.0, 0.0, 1.0])
    phases = 4.0 * np.pi * fractional[:, 0]  # the same for both ends
    dipoles = fractional.sum(axis=1) @ CELL + 0.7 * np.sin(phases)
    found = wind(on_random_branches(dipoles, 3), CELL)
    assert found.turns.tolist() == [0, 0, 1]
    assert found.quanta.shape == (N_IMAGES, 3)


def test_a_path_that_is_not_closed_says_which_atom_is_where() -> None:
    positions = path(1, (1, 0, 0))
    labels = dipole(positions)
    short = positions[:-4]
    with pytest.raises(RecordError, match=r"not closed: atom 1 moves by \(0.897, 0.000, 0.000\)"):
        oxidation_number(short, labels[:-4], CELL, 1)
    moved = positions.copy()
    moved[:, 3, 1] += np.linspace(0.0, 0.5 * ANGSTROM, N_IMAGES)
    with pytest.raises(RecordError, match=r"atom 3 ends 0.5 angstrom from where it started"):
        oxidation_number(moved, labels, CELL, 1)
    carried = positions.copy()
    carried[:, 2] += np.linspace(0.0, 1.0, N_IMAGES)[:, None] * CELL[2]
    with pytest.raises(RecordError, match=r"atom 2 ends .* and not to another image"):
        oxidation_number(carried, labels, CELL, 1)


def test_a_path_that_ends_where_it_began_is_closed_but_says_nothing() -> None:
    positions = path(1, (1, 0, 0))
    back_and_forth = np.concatenate([positions, positions[-2::-1]])
    for there, atom, hint in ((positions, 0, "; atom 1 does"), (back_and_forth, 1, ", as no atom")):
        with pytest.raises(RecordError, match=r"ends where it started.*another image") as refused:
            oxidation_number(there, dipole(there), CELL, atom)
        assert "not closed" not in str(refused.value)
        assert hint in str(refused.value)
    assert oxidation_number(positions, dipole(positions), CELL, 1).value == -3


def test_ends_that_meet_within_what_is_allowed_give_the_integer() -> None:
    positions = path(1, (0, 1, 0))
    positions[-1] += 0.004 * ANGSTROM
    assert oxidation_number(positions, dipole(positions), CELL, 1).value == -3


def test_half_of_an_integer_is_refused_with_its_value() -> None:
    positions = path(0, (0, 0, 1))
    halves = 0.25 * np.einsum("I,tIi->ti", CHARGES, positions)
    with pytest.raises(RecordError, match=r"by 0.500 e times the lattice vector by which atom 0"):
        oxidation_number(positions, halves, CELL, 0)
    with pytest.raises(RecordError, match=r"changes by \(0.000, 0.000, 0.500\) quanta"):
        wind(halves, CELL)


def test_a_change_that_is_not_along_the_lattice_vector_is_refused() -> None:
    positions = path(0, (1, 0, 0))
    sideways = dipole(positions) + np.linspace(0.0, 1.0, N_IMAGES)[:, None] * CELL[1]
    with pytest.raises(RecordError, match=r"by \(2.000, 1.000, 0.000\) quanta .* no multiple"):
        oxidation_number(positions, sideways, CELL, 0)


def test_too_few_images_are_said_so() -> None:
    positions = path(1, (1, 0, 0))
    coarse = np.concatenate([positions[:-1:6], positions[-1:]])  # 0.46 quanta from one to the next
    with pytest.raises(RecordError, match=r"quanta .* put more images on the path"):
        oxidation_number(coarse, dipole(coarse), CELL, 1)
    leaps = path(1, (1, 0, 0))[[0, 20, 39]]
    with pytest.raises(RecordError, match="its direction cannot be determined"):
        oxidation_number(leaps, dipole(leaps), CELL, 1)


def test_impossible_input_is_refused() -> None:
    positions = path(1, (1, 0, 0))
    with pytest.raises(ConfigError, match="there is no atom 7: the path has 4"):
        oxidation_number(positions, dipole(positions), CELL, 7)
    with pytest.raises(RecordError, match="the path has 40 images, but 39 dipoles"):
        oxidation_number(positions, dipole(positions)[1:], CELL, 1)
    with pytest.raises(ConfigError, match=r"tolerance = 0.7"):
        wind(dipole(positions), CELL, tolerance=0.7)
    with pytest.raises(RecordError, match=r"must have shape \(t, n_atoms, 3\)"):
        oxidation_number(positions[:, 0], dipole(positions), CELL, 1)


def test_a_path_is_a_curve_from_its_start_to_its_end() -> None:
    along = np.array([0.0, -0.7, -1.2, -2.0])
    curve = curve_along_path(along, "O")
    np.testing.assert_array_equal(curve.mean, along)
    np.testing.assert_allclose(curve.x, [0, 1 / 3, 2 / 3, 1])
    assert np.isnan(curve.error).all()
