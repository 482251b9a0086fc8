"""``mlobs vdos``, and what it shares with ``mlobs ir``, on a finished run of the real i-PI."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from csv_files import column

from mlobs_client.cli.vdos import command as vdos
from mlobs_client.errors import RecordError

SHORT = ["--resolution", "500", "--blocks", "2"]


@pytest.mark.parametrize("end", ["png", "pdf", "csv", "json"])
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
    wavenumber, intensity = column(path, "wavenumber"), column(path, "intensity")
    stretch = (wavenumber > 3000) & (wavenumber < 4500)
    # harmonic 3852 and 3920 cm^-1; anharmonic, and 500 cm^-1 of resolution
    assert wavenumber[stretch][intensity[stretch].argmax()] == pytest.approx(3750, abs=200)


def test_skipping_more_than_there_is_names_the_run(finished_run: Path, tmp_path: Path) -> None:
    arguments = [str(finished_run / "simulation"), "-o", str(tmp_path / "v"), "--skip", "1"]
    with pytest.raises(RecordError, match="shorter than the 1"):
        CliRunner().invoke(vdos, arguments, catch_exceptions=False)
