"""Velocities come from any trajectory that holds some, and from no other."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms, units
from ase.io import write as write_with_ase

from mlobs_client.errors import RecordError
from mlobs_client.ipi.series import Source
from mlobs_client.ipi.velocities import read_velocities

VELOCITIES = np.array([[[0.1, -0.2, 0.3]], [[0.4, 0.5, -0.6]]])  # [step, atom, 3]
PER_FS = 1.88972612 / 41.3413733  # bohr/atu in angstrom/fs


def write(path: Path, quantity: str, values: np.ndarray = VELOCITIES) -> Path:
    path.write_text(
        "".join(
            f"1\n# CELL(H): 9 0 0 0 9 0 0 0 9 Step: {step} Bead: 0 {quantity} cell{{angstrom}}\n"
            f"D {' '.join(map(str, frame[0]))}\n"
            for step, frame in enumerate(values)
        )
    )
    return path


def write_extended(path: Path, column: str) -> Path:
    path.write_text(
        "".join(
            f'1\nProperties=species:S:1:pos:R:3:{column}:R:3 pbc="F F F"\n'
            f"H 0 0 0 {' '.join(map(str, frame[0]))}\n"
            for frame in VELOCITIES
        )
    )
    return path


def test_the_mean_over_beads_is_the_velocity_of_the_centroid(tmp_path: Path) -> None:
    for bead in (0, 1):
        write(tmp_path / f"v_{bead}.xyz", "velocities{m/s}", (1 + bead) * VELOCITIES)
    read = read_velocities(tmp_path / "v", Source(""))
    assert read.quantity == "v_centroid"
    assert read.labels == ("D",)
    # 1 m/s = 1e-5 angstrom/fs, with the digits of i-PI's factor
    np.testing.assert_allclose(read.values, 1.5e-5 * PER_FS * VELOCITIES, rtol=1e-6)


@pytest.mark.parametrize(("unit", "factor"), [("", 1.0), ("angstrom/ps", 1e-3), ("nm/ps", 1e-2)])
def test_columns_of_others_have_the_unit_that_is_given_or_said(
    tmp_path: Path, unit: str, factor: float, caplog
) -> None:
    path = write_extended(tmp_path / "md.extxyz", "vel")
    with caplog.at_level(logging.WARNING):
        read = read_velocities(path, Source("", unit))
    np.testing.assert_allclose(read.values, factor * PER_FS * VELOCITIES, rtol=1e-8)
    assert ("no unit of velocities; angstrom/fs is assumed" in caplog.text) == (not unit)


def test_the_column_may_be_named(tmp_path: Path) -> None:
    path = write_extended(tmp_path / "md.extxyz", "speed")
    with pytest.raises(RecordError, match=r"no column velocities or .*; it has .*speed"):
        read_velocities(path, Source(""))
    assert read_velocities(path, Source("speed", "atomic_unit")).values[1, 0, 2] == -0.6


def test_positions_are_not_taken_for_velocities(tmp_path: Path) -> None:
    path = write(tmp_path / "vel.xyz", "positions{angstrom}")
    with pytest.raises(RecordError, match=r"vel\.xyz: holds positions; velocities or v_centroid"):
        read_velocities(path, Source(""))


def test_a_unit_beside_that_of_the_file_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "vel.xyz", "v_centroid{m/s}")
    with pytest.raises(RecordError, match="gives its units itself; leave out --unit nm/ps"):
        read_velocities(path, Source("", "nm/ps"))


def deuterated_hydroxide(**masses: list[float]) -> Atoms:
    atoms = Atoms("OH", positions=[[0, 0, 0], [1, 0, 0]], **masses)
    atoms.set_velocities(np.array([[0, 2, 0], [0, 0, -1]]) / units.fs)  # angstrom/fs
    return atoms


@pytest.mark.parametrize("masses", [{}, {"masses": [15.995, 2.014]}])
@pytest.mark.parametrize("key", ["", "momenta"])
def test_momenta_of_ase_are_divided_by_the_masses_that_they_were_made_with(
    tmp_path: Path, masses: dict[str, list[float]], key: str, caplog
) -> None:
    atoms = deuterated_hydroxide(**masses)
    path = tmp_path / "md.extxyz"
    write_with_ase(path, atoms, format="extxyz")
    with caplog.at_level(logging.WARNING):
        found = read_velocities(path, Source(key))
    bohr, atu, u = 0.529177210903, 0.024188843265857, 1822.888486
    expected = np.array([[0, 2, 0], [0, 0, -1]]) / bohr * atu
    np.testing.assert_allclose(found.values[0], expected, atol=1e-8)  # 8 digits written, CODATA
    np.testing.assert_allclose(found.masses, atoms.get_masses() * u, rtol=1e-8)
    origin = "the column masses" if masses else "ASE's masses of the elements"
    assert f"velocities are its momenta, in ASE's unit, divided by {origin}" in caplog.text
    with pytest.raises(RecordError, match="gives its units itself; leave out --unit nm/ps"):
        read_velocities(path, Source(key, "nm/ps"))


@pytest.mark.parametrize(("old", "new"), [("\nH ", "\nD "), (":momenta:", ":momentum:")])
def test_momenta_without_masses_or_unit_are_refused_and_the_remedy_works(
    tmp_path: Path, old: str, new: str
) -> None:
    atoms = deuterated_hydroxide()
    path = tmp_path / "md.extxyz"
    write_with_ase(path, atoms, format="extxyz")
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(RecordError, match=r"write a column of velocities, in ang") as refused:
        read_velocities(path, Source("momentum" if "momentum" in new else ""))
    remedy = str(refused.value).split("angstrom/fs: ")[1]
    assert remedy == "atoms.set_array('velocities', atoms.get_velocities() * ase.units.fs)"
    atoms.set_array("velocities", atoms.get_velocities() * units.fs)
    write_with_ase(path, atoms, format="extxyz")
    values = read_velocities(path, Source("", "angstrom/fs")).values
    np.testing.assert_allclose(values[0, 0, 1], 2 * 0.024188843265857 / 0.529177210903, rtol=1e-7)


def test_a_column_of_masses_that_changes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "md.extxyz"
    frames = [deuterated_hydroxide(masses=[16.0, mass]) for mass in (1.0, 2.0)]
    write_with_ase(path, frames, format="extxyz")
    with pytest.raises(RecordError, match=r"md\.extxyz:6: the masses differ from those"):
        read_velocities(path, Source(""))


def test_only_vectors_are_offered_for_velocities(tmp_path: Path) -> None:
    path = write_extended(tmp_path / "md.extxyz", "speed")
    with pytest.raises(RecordError, match=r"no column nix; it has speed: choose one with --key$"):
        read_velocities(path, Source("nix"))
