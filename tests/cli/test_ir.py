"""``mlobs ir`` on a finished run of the real i-PI."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from csv_files import column
from written_runs import write_record, write_run

from mlobs_client.cli.ir import command as ir
from mlobs_client.cli.observe import command as observe
from mlobs_client.errors import ConfigError
from mlobs_client.results import Result
from mlobs_client.units import FEMTOSECOND, INVERSE_CM

SHORT = ["--resolution", "600", "--blocks", "2"]


def test_ir_from_extras_and_from_observed_dipoles_agree(finished_run: Path, tmp_path: Path) -> None:
    base = [str(finished_run / "simulation"), "--temperature", "300", *SHORT]
    CliRunner().invoke(ir, [*base, "-o", str(tmp_path / "ir")], catch_exceptions=False)
    record = str(tmp_path / "dipoles.h5")
    arguments = [str(finished_run / "client.toml"), str(finished_run / "simulation.pos")]
    done = CliRunner().invoke(observe, [*arguments, "-o", record], catch_exceptions=False)
    assert "dipole of 402 frames" in done.output
    more = ["--observed", record, "-o", str(tmp_path / "observed")]
    CliRunner().invoke(ir, [*base, *more], catch_exceptions=False)
    first, second = (column(tmp_path / f"{n}.csv", "value") for n in ("ir", "observed"))
    # to the digits of the positions that i-PI prints
    np.testing.assert_allclose(first, second, atol=1e-3 * first.max())


def test_ir_needs_one_record_for_each_run(finished_run: Path) -> None:
    prefix = str(finished_run / "simulation")
    arguments = [prefix, prefix, "--observed", "a.h5", "--temperature", "300", "-o", "ir"]
    done = CliRunner().invoke(ir, arguments)
    assert done.exit_code == 2
    assert "give --observed once for each of the 2 PREFIX, not 1 times" in done.output


@pytest.mark.parametrize("correction", ["standard", "schofield", "none"])
def test_corrections_of_classical_dynamics_are_refused_for_beads(
    finished_run: Path, tmp_path: Path, correction: str
) -> None:
    arguments = [str(finished_run / "simulation"), "--temperature", "300", *SHORT]
    arguments += ["--correction", correction, "-o", str(tmp_path / "ir")]
    with pytest.raises(ConfigError, match=f"'{correction}' for 2 beads: .* harmonic is exact"):
        CliRunner().invoke(ir, arguments, catch_exceptions=False)


def test_recorded_born_charges_are_analysed_from_the_command_line(tmp_path: Path) -> None:
    """A unit charge on a spring: its current is its velocity, and both ways see one line."""
    omega, t = 1000.0 * INVERSE_CM, 2.0 * FEMTOSECOND * np.arange(2000)[:, None]
    phases = np.array([0.0, 1.0, 2.0])
    places, velocities = np.cos(omega * t + phases), -omega * np.sin(omega * t + phases)
    prefix, record = tmp_path / "simulation", tmp_path / "observables.h5"
    write_run(prefix, places, 20.0, velocities=velocities[:, None])
    charges = np.tile(np.eye(3), (2000, 1, 1, 1, 1))
    write_record(record, prefix, {"born_charges": charges, "dipole": places[:, None]})
    base = [str(prefix), "--temperature", "300", "--resolution", "100", "--blocks", "3"]
    base += ["--periodic", "--low", "500", "--high", "1500"]
    areas = []
    for more in ([], ["--observed", str(record)], ["--observed", str(record), "--currents"]):
        CliRunner().invoke(ir, [*base, *more, "-o", str(tmp_path / "ir")], catch_exceptions=False)
        (curve,) = Result.read(tmp_path / "ir.h5").curves
        areas.append(curve.integral(500.0, 1500.0).value)
    assert areas[1] == pytest.approx(areas[0], rel=1e-10)  # 13 digits are written
    # wings of the line, and one sample less
    assert areas[2] == pytest.approx(areas[0], rel=0.01)
    assert str(record) in Result.read(tmp_path / "ir.json").provenance.inputs


def test_records_without_prefixes_ask_for_prefixes() -> None:
    done = CliRunner().invoke(ir, ["--observed", "a.h5", "--temperature", "300", "-o", "ir"])
    assert done.exit_code == 2
    assert "give the PREFIX of i-PI's outputs" in done.output


def test_currents_take_no_file_of_dipoles(tmp_path: Path) -> None:
    arguments = ["--dipoles", "a.txt", "--currents", "--temperature", "300", "-o", "ir"]
    done = CliRunner().invoke(ir, arguments)
    assert done.exit_code == 2
    assert "--observed and --currents take no file of dipoles" in done.output
