"""Files of a real i-PI run, in all units, continued from a checkpoint."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from ipi_runs import OSCILLATORS, OSCILLATORS_CLIENT, ffdirect, make_input, run_ipi

from mlobs_client.ipi import (
    open_trajectory,
    read_bead_extras,
    read_beads,
    read_extras,
    read_properties,
)
from mlobs_client.record import join_record, open_record

OBSERVABLES = """[observables]
extras = ["dipole", "born_charges", "polarizability"]
record = ["dipole", "polarizability", "born_charges", "positions"]
"""
PROPERTIES = (
    "step, time{picosecond}, conserved, potential{kilocal/mol}, temperature{kelvin}, "
    "kinetic_cv(H){electronvolt}, pressure_md{megapascal}, stress_md{gigapascal}, cell_abcABC, "
    "volume{angstrom3}, atom_x{angstrom}(atom=1;bead=0), potential_tdsc"
)
TRAJECTORIES = {
    "pos": ("xyz", "angstrom", "positions{angstrom}"),
    "posau": ("xyz", "atomic_unit", "positions"),
    "posnm": ("xyz", "nanometer", "positions{nanometer}"),
    "posase": ("ase", "ase", "positions"),
    "vel": ("xyz", "angstrom", "velocities{m/s}"),
    "velau": ("xyz", "atomic_unit", "velocities"),
    "velase": ("ase", "ase", "velocities"),
    "mom": ("xyz", "atomic_unit", "momenta"),
    "for": ("xyz", "atomic_unit", "forces{piconewton}"),
    "forev": ("xyz", "atomic_unit", "forces{ev/ang}"),
    "forase": ("ase", "ase", "forces"),
    "xc": ("xyz", "angstrom", "x_centroid{angstrom}"),
}
EXTRAS = ("dipole", "BEC", "polarizability", "record_row", "record", "record_row,record", "raw")
OUTPUT = """<output prefix='run'>
    <properties stride='2' filename='out'> [{properties}] </properties>
    {trajectories}
    <trajectory filename='component' stride='2' extra_type='dipole'> extras_component_raw(0)
    </trajectory>
    <checkpoint stride='4' filename='chk' overwrite='false'/>
  </output>"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 10 steps, then continued from step 4 to step 12 in the same folder."""
    folder = tmp_path_factory.mktemp("ipi")
    (folder / "init.xyz").write_text(OSCILLATORS)
    (folder / "client.toml").write_text(OSCILLATORS_CLIENT + OBSERVABLES)
    trajectories = [
        f"<trajectory filename='{name}' stride='2' format='{form}' cell_units='{unit}'> {what} "
        "</trajectory>"
        for name, (form, unit, what) in TRAJECTORIES.items()
    ] + [
        f"<trajectory filename='{key.replace(',', '+')}' stride='2' extra_type='{key}'> extras "
        "</trajectory>"
        for key in EXTRAS
    ]
    output = OUTPUT.format(properties=PROPERTIES, trajectories="\n".join(trajectories))
    xml = make_input(output, ffdirect(), timestep=0.5, mode="nvt")
    (folder / "input.xml").write_text(xml)
    run_ipi(folder)
    for path in folder.glob("run.*"):  # what the first run wrote, for a comparison
        shutil.copy(path, folder / path.name.replace("run.", "first."))
    checkpoint = (folder / "run.chk_1").read_text()  # number 0 is of step 0
    (folder / "again.xml").write_text(
        re.sub(r"<total_steps>.*</total_steps>", "<total_steps>12</total_steps>", checkpoint)
    )
    run_ipi(folder, "again.xml")
    return folder


def test_every_step_is_there_once(folder: Path) -> None:
    steps = [0, 2, 4, 6, 8, 10, 12]
    rows = (folder / "run.out").read_text().splitlines()[12:]
    assert [int(float(row.split()[0])) for row in rows] == [0, 2, 4, 6, 8, 10, 6, 8, 10, 12]
    assert read_properties(folder / "run.out")["step"].tolist() == steps
    for name in TRAJECTORIES.keys() - {"xc"}:
        assert read_beads(folder / f"run.{name}").steps.tolist() == steps
    for key in EXTRAS:
        name = key.replace(",", "+")
        assert read_bead_extras(folder / f"run.{name}").steps.tolist() == steps


def test_files_of_two_folders_are_joined_as_one_file_is(folder: Path) -> None:
    both = read_properties(folder / "first.out", folder / "run.out")
    assert both["step"].tolist() == [0, 2, 4, 6, 8, 10, 12]
    one, two = read_beads(folder / "run.pos"), read_beads(folder / "first.pos", folder / "run.pos")
    np.testing.assert_array_equal(one.values, two.values)


def test_properties_agree_with_each_other_and_with_the_trajectory(folder: Path) -> None:
    out = read_properties(folder / "run.out")
    assert out["stress_md"].shape == (7, 6)
    # 1e-7: digits that i-PI prints; 0.5 fs in atomic units of time, as i-PI rounds it
    np.testing.assert_allclose(out["time"], out["step"] * 20.670687, rtol=1e-6)
    np.testing.assert_allclose(out["pressure_md"], out["stress_md"][:, :3].mean(axis=1), rtol=1e-6)
    cells = read_beads(folder / "run.posau").cells
    np.testing.assert_allclose(np.abs(np.linalg.det(cells)), out["volume"], rtol=2e-6)
    np.testing.assert_allclose(out["cell_abcABC"][:, 0], cells[:, 0, 0], rtol=1e-6)
    positions = read_beads(folder / "run.posau").values
    np.testing.assert_allclose(out["atom_x(atom=1;bead=0)"], positions[:, 0, 1], rtol=1e-5)


@pytest.mark.parametrize(
    ("names", "digits"),
    [
        (("posau", "pos", "posnm", "posase"), 1.3e-4),  # 6 digits of 23 bohr
        (("velau", "vel", "velase"), 2e-8),  # 6 digits of 0.003, 8 decimals of ASE
        (("for", "forev", "forase"), 2e-6),  # 6 digits of 0.3
    ],
)
def test_all_units_give_the_same_numbers(folder: Path, names, digits: float) -> None:
    first, *others = (read_beads(folder / f"run.{name}") for name in names)
    assert first.values.shape == (7, 2, 3, 3)
    assert np.abs(first.values).max() > 1000 * digits
    for other in others:
        assert other.quantity == first.quantity
        assert other.numbers.tolist() == [8, 1, 1]
        np.testing.assert_allclose(other.values, first.values, atol=digits)
        np.testing.assert_allclose(other.cells, first.cells, atol=2e-4)  # 5 decimals of nm


def test_momenta_are_masses_times_velocities(folder: Path) -> None:
    momenta, velocities = (read_beads(folder / f"run.{name}").values for name in ("mom", "velau"))
    masses = np.array([15.9994, 1.00794, 1.00794]) * 1822.8885
    expected = masses[:, None] * velocities
    np.testing.assert_allclose(momenta, expected, rtol=1e-4, atol=1e-5)


def test_the_centroid_is_the_mean_of_the_beads(folder: Path) -> None:
    centroid = open_trajectory(folder / "run.xc.xyz").read_all()
    assert centroid.quantity == "x_centroid"
    beads = read_beads(folder / "run.posau")
    np.testing.assert_allclose(centroid.values, beads.values.mean(axis=1), atol=2e-4)


def test_forces_are_minus_the_gradient_that_moves_the_beads(folder: Path) -> None:
    """A wrong sign or unit of forces or velocities would not give these accelerations."""
    out = read_properties(folder / "run.out")
    work = read_beads(folder / "run.forev").values * read_beads(folder / "run.velau").values
    power = work.sum(axis=(1, 2, 3)) / 2  # per bead
    change = np.gradient(out["potential"], out["time"])
    inner = slice(1, -1)
    assert np.corrcoef(-power[inner], change[inner])[0, 1] > 0.9


def test_extras_and_record_tell_the_same(folder: Path) -> None:
    records = [open_record(path) for path in sorted(folder.glob("observables*.h5"))]
    assert len(records) == 2  # each process has a record of its own
    extras = [read_bead_extras(folder / f"run.{name}") for name in ("record_row", "record")]
    joined = join_record(extras, records)
    together = join_record([read_bead_extras(folder / "run.record_row+record")], records)
    raw = read_bead_extras(folder / "run.raw")
    for name, key in (("dipole", "dipole"), ("born_charges", "BEC"), ("polarizability",) * 2):
        assert joined.values[name].shape[:2] == (7, 2)
        np.testing.assert_array_equal(joined.values[name], raw.values[name])
        np.testing.assert_array_equal(joined.values[name], together.values[name])
        printed = read_bead_extras(folder / f"run.{key}").values[name]
        np.testing.assert_allclose(printed, joined.values[name], rtol=1e-8, atol=1e-12)
    positions = read_beads(folder / "run.posau").values
    np.testing.assert_allclose(joined.values["positions"], positions, atol=1.3e-4)
    charges = np.array([-2.0, 1.0, 1.0])
    np.testing.assert_allclose(
        joined.values["dipole"],
        np.einsum("I,sbIi->sbi", charges, joined.values["positions"]),
        rtol=1e-12,
    )


def test_extras_of_a_component_are_those_of_the_beads(folder: Path) -> None:
    component = read_extras(folder / "run.component").values["dipole"]
    beads = read_bead_extras(folder / "run.dipole").values["dipole"]
    np.testing.assert_array_equal(component, beads)
