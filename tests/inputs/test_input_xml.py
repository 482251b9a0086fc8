from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.constraints import FixAtoms, FixCartesian

from mlobs_client.inputs.input_xml import render_input
from mlobs_client.inputs.settings import choose
from mlobs_client.inputs.starting_structure import prepare

COPPER, WATER = bulk("Cu", cubic=True), molecule("H2O")


def render(atoms: Atoms, ensemble: str = "nvt", kind: str | None = None, **others: object) -> str:
    extras = others.pop("extras", ())
    start = prepare(atoms, kind)
    return render_input(start, choose(start, ensemble, **others), extras, "here")


def text_at(xml: str, path: str) -> str | None:
    found = ET.fromstring(xml).find(path)
    return None if found is None else (found.text or "").strip()


def modes(xml: str) -> dict[str, str]:
    tags = ("dynamics", "thermostat", "barostat")
    return {tag.tag: tag.get("mode") for tag in ET.fromstring(xml).iter() if tag.tag in tags}


def test_it_opens_with_what_it_computes_and_what_to_change() -> None:
    head = render(WATER, "trpmd").partition("-->")[0]
    assert head.startswith(
        "<!-- Thermostatted ring-polymer dynamics (TRPMD) of H2O (3 atoms, a mol"
    )
    assert "Change here: the length (total_steps)" in head
    assert "mlobs run input.xml client.toml -n 2" in head


@pytest.mark.parametrize(
    ("atoms", "ensemble", "beads", "expected"),
    [
        (COPPER, "nve", 1, {"dynamics": "nve"}),
        (COPPER, "nve", 4, {"dynamics": "nve"}),
        (COPPER, "nvt", 1, {"dynamics": "nvt", "thermostat": "svr"}),
        (WATER, "nvt", 1, {"dynamics": "nvt", "thermostat": "langevin"}),
        (COPPER, "nvt", 4, {"dynamics": "nvt", "thermostat": "pile_g"}),
        (WATER, "trpmd", 4, {"dynamics": "nvt", "thermostat": "pile_l"}),
        (COPPER, "trpmd", 4, {"dynamics": "nvt", "thermostat": "pile_g"}),
        (COPPER, "npt", 1, {"dynamics": "npt", "barostat": "isotropic", "thermostat": "svr"}),
    ],
)
def test_the_thermostat_fits_the_ensemble_the_beads_and_the_structure(
    atoms: Atoms, ensemble: str, beads: int, expected: dict[str, str]
) -> None:
    assert modes(render(atoms, ensemble, beads=beads)) == expected


def test_the_internal_modes_are_damped_for_trpmd_or_sampled() -> None:
    path = "system/motion/dynamics/thermostat/pile_lambda"
    assert text_at(render(COPPER, "trpmd"), path) == "0.5"
    assert text_at(render(COPPER, "nvt", beads=4), path) == "1"


def test_a_crystal_changes_its_shape_and_a_liquid_its_volume() -> None:
    assert modes(render(COPPER, "npt", "crystal"))["barostat"] == "flexible"
    assert modes(render(COPPER, "npt", "liquid"))["barostat"] == "isotropic"
    assert text_at(render(COPPER, "npt"), "system/ensemble/pressure") == "0.1"
    assert "cell_h{angstrom}" in render(COPPER, "npt")
    assert "cell_h" not in render(COPPER)


def test_the_temperature_is_that_of_the_thermostat_and_of_the_velocities() -> None:
    xml = render(COPPER, temperature=123.5)
    assert text_at(xml, "system/ensemble/temperature") == "123.5"
    assert text_at(xml, "system/initialize/velocities") == "123.5"


def test_fixed_atoms_are_fixed_and_the_centre_of_mass_is_not() -> None:
    atoms = COPPER.copy()
    atoms.set_constraint(FixAtoms([0, 2]))
    assert text_at(render(atoms), "system/motion/fixatoms") == "[0, 2]"
    assert text_at(render(atoms), "system/motion/fixcom") == "False"
    assert text_at(render(COPPER), "system/motion/fixcom") is None
    atoms.set_constraint(FixCartesian(1, [False, True, True]))
    assert text_at(render(atoms), "system/motion/fixatoms_dof") == "[4, 5]"


def test_extras_are_written_with_the_name_that_the_analysis_looks_for() -> None:
    root = ET.fromstring(render(WATER, extras=("dipole", "energy_spread")))
    written = {
        one.get("filename"): (one.get("extra_type"), one.get("stride"))
        for one in root.iter("trajectory")
    }
    assert written == {
        "pos": (None, "40"),
        "vel": (None, "4"),
        "dipole": ("dipole", "4"),
        "spread": ("energy_spread", "40"),
    }


def test_beads_are_shared_by_two_clients() -> None:
    assert text_at(render(COPPER, "trpmd", beads=6), "ffsocket/batch_size") == "3"
    assert text_at(render(COPPER), "ffsocket/batch_size") is None
