"""What an ``<output>`` of i-PI writes."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from mlobs_client.ipi.asked_outputs import (
    PropertiesOutput,
    TrajectoryOutput,
    read_components,
    read_properties,
    read_trajectory,
)


def test_what_is_not_written_has_the_defaults_of_ipi() -> None:
    properties = read_properties(ET.fromstring("<properties> [ step ] </properties>"))
    assert properties == PropertiesOutput("out", 1, ("step",))
    trajectory = read_trajectory(ET.fromstring("<trajectory> positions </trajectory>"))
    assert trajectory == TrajectoryOutput("traj", 1, "positions", ())


def test_names_of_properties_have_neither_units_nor_arguments() -> None:
    text = "[ time{picosecond}, atom_f {ev/ang} (atom=1; bead=0), kstress_md, pot_component(0) ]"
    found = read_properties(ET.fromstring(f"<properties stride=' 5 '>{text}</properties>"))
    assert found == PropertiesOutput("out", 5, ("time", "atom_f", "kstress_md", "pot_component"))


@pytest.mark.parametrize(
    "text",
    ["positions{angstrom}", " positions {angstrom}\n", "positions\n{angstrom}", "positions (1)"],
)
def test_the_quantity_of_a_trajectory_is_that_which_ipi_takes(text: str) -> None:
    from ipi.engine.properties import getkey

    found = read_trajectory(ET.fromstring(f"<trajectory>{text}</trajectory>"))
    assert found.what == getkey(text) == "positions"


@pytest.mark.parametrize(
    ("attributes", "text", "extras", "writes"),
    [
        ("extra_type='dipole'", "extras", ("dipole",), True),
        ("extra_type='dipole, charge'", "extras", ("dipole", "charge"), True),
        ("", "extras", (), True),  # raw: the whole text
        ("extra_type='raw'", "extras", (), True),
        ("extra_type='dipole'", "extras_component_raw(1)", ("dipole",), True),
        ("extra_type='dipole'", "positions", (), False),  # i-PI does not look at it
    ],
)
def test_keys_of_extras_are_those_of_trajectories_of_extras_only(
    attributes: str, text: str, extras: tuple[str, ...], writes: bool
) -> None:
    found = read_trajectory(ET.fromstring(f"<trajectory {attributes}>{text}</trajectory>"))
    assert (found.extras, found.writes_extras) == (extras, writes)


@pytest.mark.parametrize(
    ("text", "component"),
    [
        ("extras_component_raw(2)", 2),
        ("extras_component_raw ( idx = 2 )", 2),
        ("extras_component_raw", None),
        ("extras", None),
        ("forces_component_raw(2)", None),  # no extras
    ],
)
def test_the_component_of_extras_is_found(text: str, component: int | None) -> None:
    assert read_trajectory(ET.fromstring(f"<trajectory>{text}</trajectory>")).component == component


def test_components_are_found_in_all_outputs_with_any_arguments() -> None:
    outputs = ET.fromstring(
        "<output><properties> [ pot_component_raw{ev}(0), pot_component(index=3), potential ]"
        "</properties><trajectory> forces_component{ev/ang} ( 1; 0 ) </trajectory>"
        "<trajectory> extras_component_raw(idx=2) </trajectory><checkpoint/></output>"
    )
    assert sorted(read_components(outputs)) == [0, 1, 2, 3]
