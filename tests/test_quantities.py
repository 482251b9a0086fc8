"""The table agrees with what others read, and with the models that fill it."""

from __future__ import annotations

import numpy as np
import pytest

from mlobs_client.evaluate.toys import Qtip4pf, random_crystal
from mlobs_client.quantities import (
    OF_DATA_SETS,
    QUANTITIES,
    Quantity,
    derivatives_of,
    of_one_committee,
    predicted,
    sent_as,
    spread_by_alpha,
)
from mlobs_client.structure import Structure


@pytest.mark.parametrize("quantity", QUANTITIES.values(), ids=QUANTITIES)
def test_a_row_is_complete(quantity: Quantity) -> None:
    assert QUANTITIES[quantity.name] is quantity
    assert quantity.unit
    assert quantity.meaning
    assert all(size in (3, "n_atoms", "n_members") for size in quantity.shape)
    assert quantity.to_users.factor > 0.0
    assert sent_as(quantity.wire_name) is quantity


def test_axes_that_i_pi_orders_in_its_own_way_are_rows_and_columns_of_extras() -> None:
    row = Quantity("x", "e", "", "x", per="atom", axes=(3, 3, 3), wire_order=(3, 0, 2, 1))
    value = np.random.default_rng(0).normal(size=(5, 3, 3, 3))
    sent = row.to_wire(value)
    assert sent.shape == (3 * 5 * 3, 3)
    assert sent[(1 * 5 + 4) * 3 + 2, 0] == value[4, 0, 2, 1]
    np.testing.assert_array_equal(row.from_wire(sent), value)
    with pytest.raises(ValueError, match="reshape"):
        row.from_wire(sent[1:])


def test_what_models_predict_has_members_and_a_table_of_its_own() -> None:
    rows = list(predicted())
    assert [row.table for row in rows] == ["potential", "dipole", "polarizability"]
    assert all(QUANTITIES[row.members].members_of == row.name for row in rows)


@pytest.mark.parametrize(
    ("name", "shown", "derivatives"),
    [
        (
            "energy",
            {"energy_spread", "committee_energies", "committee_forces", "committee_virials"},
            set(),
        ),
        ("dipole", {"committee_dipoles"}, {"born_charges"}),
        ("polarizability", {"committee_polarizabilities"}, {"polarizability_gradient"}),
    ],
)
def test_a_committee_gives_the_mean_its_derivatives_and_what_has_alpha_in_it(
    name: str, shown: set[str], derivatives: set[str]
) -> None:
    row = QUANTITIES[name]
    assert spread_by_alpha(row) == shown
    assert derivatives_of(name) == derivatives
    assert of_one_committee(row) == {name} | shown | derivatives


def test_components_of_symmetric_tensors_are_named_once() -> None:
    assert QUANTITIES["dipole"].components == {"x": 0, "y": 1, "z": 2}
    upper = {"xx": 0, "xy": 1, "xz": 2, "yy": 4, "yz": 5, "zz": 8}
    assert QUANTITIES["polarizability"].components == upper
    assert QUANTITIES["born_charges"].components["zx"] == 6
    assert QUANTITIES["energy"].components == {"energy": 0}


def test_labels_that_no_client_gives_are_no_observables() -> None:
    assert {row.name for row in OF_DATA_SETS}.isdisjoint(QUANTITIES)
    assert all(row.to_users.name.startswith("eV") for row in OF_DATA_SETS)


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
