"""The table agrees with what others read, and with the models that fill it."""

from __future__ import annotations

import numpy as np
import pytest

from mlobs_client.evaluate.toys import Qtip4pf, random_crystal
from mlobs_client.quantities import QUANTITIES, Quantity
from mlobs_client.structure import Structure


@pytest.mark.parametrize("quantity", QUANTITIES.values(), ids=QUANTITIES)
def test_a_row_is_complete(quantity: Quantity) -> None:
    assert QUANTITIES[quantity.name] is quantity
    assert quantity.unit
    assert quantity.meaning
    assert all(size in (3, "n_atoms", "n_members") for size in quantity.shape)


def test_wire_names_are_unique() -> None:
    wire_names = [quantity.wire_name for quantity in QUANTITIES.values()]
    assert len(set(wire_names)) == len(wire_names)


def test_no_wire_name_clashes_with_what_ipi_reserves() -> None:
    """``raw`` everywhere; the others in ``ffcommittee``."""
    reserved = {"raw", "pot", "force", "virial", "uncertainty"}
    assert reserved.isdisjoint(quantity.wire_name for quantity in QUANTITIES.values())


def test_committees_use_the_names_that_ipi_reads() -> None:
    names = {name: QUANTITIES[name].wire_name for name in QUANTITIES}
    assert names["committee_energies"] == "committee_pot"
    assert names["committee_forces"] == "committee_force"
    assert names["committee_virials"] == "committee_virial"
    assert names["born_charges"] == "BEC"


def test_only_small_quantities_go_into_extras_by_default() -> None:
    for quantity in QUANTITIES.values():
        assert quantity.large == ("n_atoms" in quantity.shape)


@pytest.mark.parametrize("name", sorted(Qtip4pf.provides))
def test_models_give_the_shapes_of_the_table(name: str) -> None:
    random = np.random.default_rng(1)
    structure = Structure(np.array([8, 1, 1]), random.normal(size=(3, 3)), 9.0 * np.eye(3))
    value = random_crystal(structure)([structure], frozenset({name})).values[0][name]
    shape = tuple(3 if size == "n_atoms" else size for size in QUANTITIES[name].shape)
    assert value.shape == shape
