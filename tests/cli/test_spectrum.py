"""``mlobs vdos``, and what it shares with ``mlobs ir``, on a finished run of the real i-PI."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from csv_files import column

from mlobs_client.cli.ir import command as ir
from mlobs_client.cli.vdos import command as vdos
from mlobs_client.errors import ConfigError, RecordError
from mlobs_client.results.result import Result

SHORT = ["--resolution", "600", "--blocks", "2"]


@pytest.mark.parametrize("end", ["png", "pdf", "csv", "json", "h5"])
def test_vdos_writes_a_figure_and_its_numbers(finished_run: Path, tmp_path: Path, end: str) -> None:
    arguments = [str(finished_run / "simulation"), "-o", str(tmp_path / "vdos"), *SHORT]
    done = CliRunner().invoke(vdos, arguments, catch_exceptions=False)
    assert done.exit_code == 0
    assert (tmp_path / f"vdos.{end}").stat().st_size > 100


def test_the_stretches_of_water_are_where_its_model_has_them(
    finished_run: Path, tmp_path: Path
) -> None:
    arguments = [str(finished_run / "simulation"), "-o", str(tmp_path / "vdos"), *SHORT]
    CliRunner().invoke(vdos, arguments, catch_exceptions=False)
    path = tmp_path / "vdos.csv"
    wavenumber, intensity = column(path, "wavenumber"), column(path, "value")
    stretch = (wavenumber > 3000) & (wavenumber < 4500)
    # harmonic 3852 and 3920 cm^-1; anharmonic, and 600 cm^-1 of resolution
    assert wavenumber[stretch][intensity[stretch].argmax()] == pytest.approx(3750, abs=200)


def test_skipping_more_than_there_is_names_the_run(finished_run: Path, tmp_path: Path) -> None:
    arguments = [str(finished_run / "simulation"), "-o", str(tmp_path / "v"), "--skip", "1"]
    with pytest.raises(RecordError, match="shorter than the 1"):
        CliRunner().invoke(vdos, arguments, catch_exceptions=False)


def test_the_shift_by_the_time_step_is_printed_and_removed(
    finished_run: Path, tmp_path: Path
) -> None:
    arguments = [str(finished_run / "simulation"), "-o", str(tmp_path / "v"), *SHORT]
    simulated = CliRunner().invoke(vdos, arguments, catch_exceptions=False)
    wavenumber = column(tmp_path / "v.csv", "wavenumber")
    more = ["--correct-timestep", "--timestep", "0.25"]
    corrected = CliRunner().invoke(vdos, [*arguments, *more], catch_exceptions=False)
    assert "their shifts due to a time step of 0.5 fs" in simulated.output
    assert "--correct-timestep removes these shifts" in simulated.output
    assert "their shifts due to a time step of 0.25 fs" in corrected.output
    moved = wavenumber[: len(column(tmp_path / "v.csv", "wavenumber"))]
    at = int(np.argmin(np.abs(moved - 3700.0)))
    # 18.99 cm^-1 at 3719 and 0.5 fs: a quarter at half of the time step, as the cube of wavenumbers
    expected = 18.99 / 4.0 * (moved[at] / 3719.0) ** 3
    shift = moved[at] - column(tmp_path / "v.csv", "wavenumber")[at]
    assert shift == pytest.approx(expected, rel=0.02)
    with pytest.raises(ConfigError, match=r"--timestep 2 fs is longer than .* 0.5 fs"):
        CliRunner().invoke(vdos, [*arguments, "--timestep", "2"], catch_exceptions=False)


def test_correlation_left_and_window_bias_are_said(finished_run: Path, tmp_path: Path) -> None:
    arguments = [str(finished_run / "simulation"), "-o", str(tmp_path / "v"), *SHORT]
    said = CliRunner().invoke(vdos, arguments, catch_exceptions=False).output
    assert "correlation left at the longest lag: " in said
    assert "the blocks are too short to try a window twice as long" in said
    summary = json.loads((tmp_path / "v.json").read_text())["curves"][0]["details"]
    assert 0.0 < summary["correlation left at the longest lag"] < 1.0
    assert summary["noise of the correlation left"] > 0.0
    # lines of a molecule are sharper than 600 cm^-1
    assert 1.0 in column(tmp_path / "v.csv", "window bias")


@pytest.mark.parametrize("name", ["vdos", "ir"])
def test_a_run_far_too_short_gives_a_curve_and_says_what_its_error_takes(
    finished_run: Path, tmp_path: Path, name: str
) -> None:
    arguments = [str(finished_run / "simulation"), "-o", str(tmp_path / "v")]
    if name == "ir":
        arguments += ["--temperature", "300"]
    command = {"vdos": vdos, "ir": ir}[name]
    said = CliRunner().invoke(command, arguments, catch_exceptions=False).output
    (curve,) = Result.read(tmp_path / "v.json").curves
    # blocks of 5.1 ps have 10 cm^-1; the run has 0.2 ps
    assert curve.resolution == pytest.approx(10.0 * 5.1 / 0.2, rel=0.05)
    found = re.search(r"1 block at \d+ cm\^-1, needs 3 .* run 15.5 ps \(31000 steps\) more", said)
    assert found is not None
    assert curve.no_error.startswith(found[0])
    assert np.isnan(curve.error).all()
    assert np.isfinite(curve.mean).all()
