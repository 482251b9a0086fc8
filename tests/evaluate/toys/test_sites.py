from __future__ import annotations

import numpy as np
import pytest

from mlobs_client.errors import ConfigError, EvaluationError
from mlobs_client.evaluate.toys.sites import Sites, array
from mlobs_client.structure import Structure

TRICLINIC = np.array([[9.0, 1.0, 0.5], [-0.7, 8.0, 1.2], [0.3, -1.1, 10.0]])


def atom(position: list[float], pbc: tuple[bool, bool, bool] = (True, True, True)) -> Structure:
    return Structure(np.array([1]), np.array([position]), TRICLINIC, pbc)


def test_an_atom_belongs_to_the_nearest_image_of_its_site() -> None:
    shift = 2 * TRICLINIC[0] - TRICLINIC[2]
    near = Sites([[0.5, 0.5, 0.5]]).displacements(atom([0.6, 0.4, 0.7]))
    far = Sites([[0.5, 0.5, 0.5]]).displacements(atom((np.array([0.6, 0.4, 0.7]) + shift).tolist()))
    assert near == pytest.approx(np.array([[0.1, -0.1, 0.2]]), abs=1e-14)
    assert far == pytest.approx(near, abs=1e-13)


@pytest.mark.parametrize("vector", [0, 1, 2])
def test_there_are_no_images_along_open_directions(vector: int) -> None:
    moved = atom((np.array([0.1, 0.2, 0.3]) + TRICLINIC[vector]).tolist(), (True, False, True))
    displacement = Sites([[0.0, 0.0, 0.0]]).displacements(moved)
    left = TRICLINIC[vector] if vector == 1 else np.zeros(3)
    assert displacement == pytest.approx(left[None] + [[0.1, 0.2, 0.3]], abs=1e-13)


def test_sites_fixed_to_the_lattice_keep_their_fractional_coordinates() -> None:
    fractional = np.array([[0.2, 0.3, 0.4]])
    sites = Sites(fractional @ TRICLINIC, reference_cell=TRICLINIC)
    larger = TRICLINIC @ np.array([[1.1, 0.05, 0.0], [0.0, 0.9, 0.0], [0.02, 0.0, 1.0]])
    there = Structure(np.array([1]), fractional @ larger, larger)
    assert sites.displacements(there) == pytest.approx(np.zeros((1, 3)), abs=1e-14)


def test_structures_that_do_not_fit_are_refused() -> None:
    with pytest.raises(EvaluationError, match="2 sites, the structure 1"):
        Sites(np.zeros((2, 3))).displacements(atom([0.0, 0.0, 0.0]))
    free = Structure(np.array([1]), np.zeros((1, 3)), np.zeros((3, 3)), (False, False, False))
    with pytest.raises(EvaluationError, match="no cell"):
        Sites(np.zeros((1, 3)), TRICLINIC).displacements(free)


@pytest.mark.parametrize("value", [np.zeros((2, 2)), [["a"]], [[0.0, np.nan, 0.0]], 1.0, None])
def test_parameters_that_are_no_such_numbers_are_refused(value: object) -> None:
    with pytest.raises(ConfigError, match="born_charges must be"):
        array("born_charges", value, (-1, 3))  # type: ignore[arg-type]
