"""``mlobs observe``: any trajectory, resumed, in the record and as extended xyz."""

from __future__ import annotations

from pathlib import Path

import ase.io
import numpy as np
import pytest
from click.testing import CliRunner

from mlobs_client.cli.observe import command
from mlobs_client.client.observe import read_observed
from mlobs_client.errors import MissingObservable, RecordError
from mlobs_client.units import ANGSTROM


def test_all_beads_are_observed_by_step_and_bead(finished_run: Path, tmp_path: Path) -> None:
    output = tmp_path / "observed.h5"
    arguments = [str(finished_run / "client.toml"), str(finished_run / "simulation.pos")]
    more = ["-w", "dipole", "-w", "born_charges", "-o", str(output), "--batch-size", "7"]
    done = CliRunner().invoke(command, [*arguments, *more], catch_exceptions=False)
    assert done.exit_code == 0
    observed = read_observed(output)
    assert observed.values["dipole"].shape == (201, 2, 3)
    # the acoustic sum rule of a neutral molecule
    np.testing.assert_allclose(observed.values["born_charges"].sum(axis=2), 0.0, atol=1e-12)


def test_the_same_numbers_come_as_extended_xyz_in_e_angstrom(
    finished_run: Path, tmp_path: Path
) -> None:
    client, frames = finished_run / "client.toml", finished_run / "simulation.pos_1.xyz"
    paths = [str(tmp_path / "o.h5"), "--extxyz", str(tmp_path / "o.extxyz")]
    CliRunner().invoke(command, [str(client), str(frames), "-o", *paths], catch_exceptions=False)
    dipoles = read_observed(tmp_path / "o.h5").values["dipole"][:, 0]
    atoms = ase.io.read(tmp_path / "o.extxyz", index=":")
    found = np.array([frame.info["mlobs_dipole"] for frame in atoms])
    np.testing.assert_allclose(found, dipoles / ANGSTROM, atol=1e-7)


def test_files_and_names_of_beads_are_not_mixed(finished_run: Path, tmp_path: Path) -> None:
    paths = [finished_run / "simulation.pos_0.xyz", finished_run / "simulation.pos"]
    arguments = [str(finished_run / "client.toml"), *map(str, paths), "-o", str(tmp_path / "o.h5")]
    with pytest.raises(RecordError, match="is not a file, but others are"):
        CliRunner().invoke(command, arguments, catch_exceptions=False)


def test_the_files_of_beads_are_not_taken_for_pieces_of_one_run(
    finished_run: Path, tmp_path: Path
) -> None:
    beads = [str(finished_run / f"simulation.pos_{bead}.xyz") for bead in (0, 1)]
    arguments = [str(finished_run / "client.toml"), *beads, "-o", str(tmp_path / "o.h5")]
    with pytest.raises(RecordError, match=r"are beads of one run.*simulation\.pos$"):
        CliRunner().invoke(command, arguments, catch_exceptions=False)


def test_several_processes_write_the_same_record_also_after_an_interruption(
    finished_run: Path, tmp_path: Path
) -> None:
    arguments = [str(finished_run / "client.toml"), str(finished_run / "simulation.pos")]
    alone, together = tmp_path / "alone.h5", tmp_path / "together.h5"
    options = ["-w", "dipole", "-w", "born_charges", "--batch-size", "16", "-o"]
    CliRunner().invoke(command, [*arguments, *options, str(alone)], catch_exceptions=False)
    more = [*arguments, *options, str(together), "--at-once", "2"]
    for kept in (0.0, 0.4):
        if kept:  # as a kill leaves it
            with together.open("r+b") as file:
                file.truncate(int(kept * together.stat().st_size))
        assert CliRunner().invoke(command, more, catch_exceptions=False).exit_code == 0
        one, other = read_observed(alone), read_observed(together)
        assert one.steps.tolist() == other.steps.tolist()
        for name in ("dipole", "born_charges"):
            np.testing.assert_array_equal(one.values[name], other.values[name])


def test_a_dipole_needs_no_potential(finished_run: Path, tmp_path: Path) -> None:
    text = (finished_run / "client.toml").read_text()
    (tmp_path / "init.xyz").write_text((finished_run / "init.xyz").read_text())
    (tmp_path / "client.toml").write_text(text.replace("[potential]", "[dipole]"))
    client, frames = str(tmp_path / "client.toml"), str(finished_run / "simulation.pos_0.xyz")
    arguments = [client, frames, "-o", str(tmp_path / "o.h5")]
    assert CliRunner().invoke(command, arguments, catch_exceptions=False).exit_code == 0
    assert read_observed(tmp_path / "o.h5").values["dipole"].shape == (201, 1, 3)
    with pytest.raises(MissingObservable, match=r"neither a potential.*add \[potential\]"):
        CliRunner().invoke(command, [*arguments, "-w", "forces"], catch_exceptions=False)
