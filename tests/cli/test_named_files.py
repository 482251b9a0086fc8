"""``mlobs vdos`` and ``mlobs ir`` read files that are named otherwise, or by other programs."""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner, Result
from csv_files import column

from mlobs_client.cli.ir import command as ir
from mlobs_client.cli.vdos import command as vdos
from mlobs_client.errors import RecordError
from mlobs_client.ipi.series import Source
from mlobs_client.studies.runs import Run
from mlobs_client.units import DALTON, FEMTOSECOND, INVERSE_CM, KELVIN

N, STEP = 600, 0.5  # frames, fs
PHASE = 2 * np.pi * 1000.0 * 2.99792458e-5 * STEP * np.arange(N)  # of 1000 cm^-1
SHORT = ["--resolution", "400", "--blocks", "2"]


def write_run(prefix: Path, has_time: bool = True) -> None:
    """A molecule of one atom that vibrates at 1000 cm^-1, in i-PI's formats, freely named."""
    time = "# column 2 --> time{femtosecond} : t\n" if has_time else ""
    head = "1\n# CELL(abcABC): 20 20 20 90 90 90 Step: {} Bead: 0 {}{{atomic_unit}}\nH {} 0 0\n"
    for name, quantity, values in (
        ("vc.xyz", "v_centroid", -np.sin(PHASE)),
        ("pos_0.xyz", "positions", np.cos(PHASE)),
    ):
        frames = [head.format(i, quantity, value) for i, value in enumerate(values)]
        prefix.with_name(f"{prefix.name}.{name}").write_text("".join(frames))
    prefix.with_name(f"{prefix.name}.md").write_text(
        "# column 1 --> step : s\n" + time + "".join(f"{i} {STEP * i}\n" for i in range(N))
        if has_time
        else "# column 1 --> potential : V\n" + "0.5\n" * N
    )
    blocks = [f" #EXTRAS(mu)# Step: {i:9d} \n {x} 0 0\n" for i, x in enumerate(np.cos(PHASE))]
    prefix.with_name(f"{prefix.name}.mu_0").write_text("".join(blocks))


def call(command: click.Command, output: Path, *arguments: str) -> Result:
    done = CliRunner().invoke(command, [*arguments, *SHORT, "-o", str(output)])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def highest(output: Path) -> float:
    path = output.with_suffix(".csv")
    return float(column(path, "wavenumber")[column(path, "value").argmax()])


def test_a_run_with_names_of_its_own_is_read_by_its_prefix(tmp_path: Path) -> None:
    write_run(tmp_path / "sim")
    run = Run(tmp_path / "sim")
    np.testing.assert_allclose(run.velocities().values[:, 0, 0], -np.sin(PHASE))
    assert run.timestep == pytest.approx(STEP * FEMTOSECOND, rel=1e-6)


def test_a_time_step_that_no_file_tells_is_asked_for_and_taken(tmp_path: Path) -> None:
    write_run(tmp_path / "sim", has_time=False)
    with pytest.raises(
        RecordError, match=r"sim: the time step is not known: .*give --timestep in fs"
    ):
        call(vdos, tmp_path / "vdos", str(tmp_path / "sim"))
    run = Run(tmp_path / "sim", given_timestep=STEP * FEMTOSECOND)  # as --timestep does, below
    assert run.spacing(run.velocities().steps) == pytest.approx(STEP * FEMTOSECOND)


def test_velocities_of_other_programs_need_no_prefix(tmp_path: Path) -> None:
    md = tmp_path / "md.extxyz"
    frame = '1\nProperties=species:S:1:pos:R:3:vel:R:3 pbc="F F F"\nH 0 0 0 {} 0 0\n'
    md.write_text("".join(frame.format(x) for x in -np.sin(PHASE)))
    call(vdos, tmp_path / "vdos", "--velocities", str(md), "--timestep", "0.5")
    assert highest(tmp_path / "vdos") == pytest.approx(1000.0, abs=60.0)  # 400 of resolution


@pytest.mark.parametrize("name", ["mu", "dipole"])
def test_a_header_with_another_name_is_told_with_the_remedy(tmp_path: Path, name: str) -> None:
    write_run(tmp_path / "sim")
    (tmp_path / "sim.mu_0").rename(tmp_path / f"sim.{name}_0")  # filename= of i-PI's input
    base = (str(tmp_path / "sim"), "--temperature", "300")
    with pytest.raises(RecordError, match=rf"no output holds dipole; .*sim\.{name} \(mu\).*--key"):
        call(ir, tmp_path / "ir", *base)
    dipoles = Run(tmp_path / "sim", sources={"dipole": Source("mu", "debye")}).dipoles()
    # a debye in e bohr, seven digits
    np.testing.assert_allclose(dipoles.mean[:, 0], 0.3934303 * np.cos(PHASE), rtol=2e-7)


def test_dipoles_of_any_name_and_unit_are_read(tmp_path: Path) -> None:
    write_run(tmp_path / "sim")
    files = ("--dipoles", str(tmp_path / "sim.mu"), "--key", "mu", "--unit", "debye")
    call(ir, tmp_path / "ir", str(tmp_path / "sim"), "--temperature", "300", *files)
    assert highest(tmp_path / "ir") == pytest.approx(1000.0, abs=60.0)


def test_a_molecule_in_a_vacuum_box_has_its_bands_in_km_per_mol(tmp_path: Path) -> None:
    write_run(tmp_path / "sim")  # one atom in a cube of 20 bohr
    # 1 u, 1 e, and a thermal amplitude along x: m w^2 a^2 = 2 kT
    amplitude = np.sqrt(2.0 * 300.0 * KELVIN / DALTON) / (1000.0 * INVERSE_CM)
    (tmp_path / "mu.dat").write_text("".join(f"{amplitude * x} 0 0\n" for x in np.cos(PHASE)))
    files = ("--dipoles", str(tmp_path / "mu.dat"), "--unit", "atomic_unit")
    done = call(ir, tmp_path / "ir", str(tmp_path / "sim"), "--temperature", "300", *files)
    assert "a molecule in vacuum: intensities in km/mol" in done.output
    (band,) = [line for line in done.output.splitlines() if line.startswith("band ")]
    intensity = float(band.split(": ")[1].split()[0])
    # one mode of 1 e/sqrt(u), 42.2561 km/mol for 1 (debye/angstrom)^2/u; broken periods in blocks
    assert intensity == pytest.approx(42.2561 * 4.803205**2, rel=0.02)


def test_neither_prefix_nor_file_and_numbers_that_differ_are_refused(tmp_path: Path) -> None:
    assert (
        "give the PREFIX of i-PI's outputs, or --velocities FILE"
        in call(vdos, tmp_path / "v").output
    )
    done = call(vdos, tmp_path / "v", "sim", "--velocities", "a", "--velocities", "b")
    assert "give --velocities once for each of the 1 PREFIX, not 2 times" in done.output


def test_a_table_of_dipoles_needs_a_volume_and_the_given_option_gives_it(tmp_path: Path) -> None:
    table = tmp_path / "mu.txt"
    table.write_text("".join(f"{x} 0 0\n" for x in np.cos(PHASE)))
    files = ("--dipoles", str(table), "--timestep", "0.5", "--temperature", "300")
    with pytest.raises(RecordError, match=r"there is no volume; .*--volume V \(angstrom\^3\) or"):
        call(ir, tmp_path / "ir", *files)
    heights = []
    for volume in ("100", "200"):
        call(ir, tmp_path / "ir", *files, "--volume", volume)
        heights.append(column(tmp_path / "ir.csv", "value").max())
    assert heights[0] == pytest.approx(2.0 * heights[1])  # one over the volume
    assert (
        "leave out --molecule"
        in call(ir, tmp_path / "i", *files, "--volume", "1", "--molecule").output
    )
