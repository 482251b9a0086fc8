"""``mlobs field-scan`` with the real i-PI: killed, completed, analysed."""

from __future__ import annotations

import math
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from campaigns import kill_all_in, said, wait_for_end
from click.testing import CliRunner
from csv_files import read_csv
from scans import write_scan

from mlobs_client.campaign.campaign import load
from mlobs_client.cli.field_scan import command
from mlobs_client.errors import RecordError
from mlobs_client.ipi import open_trajectory, read_properties
from mlobs_client.results import Result

STEPS = 240
FIELDS = (0.0, 0.4)


def start(folder: Path) -> subprocess.Popen[bytes]:
    words = ["field-scan", "campaign.toml", "-o", "scan", "--skip", "10%"]
    with (folder / "said.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "mlobs_client", *words], cwd=folder, stdout=log, stderr=log
        )


def n_begun(folder: Path) -> int:
    """Runs that have written 20 lines."""
    outputs = [path.read_text().count("\n") for path in folder.glob("runs/*/simulation.out")]
    return sum(n_lines > 20 for n_lines in outputs)


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A scan that is killed in its second run, and completed by the same line."""
    folder = tmp_path_factory.mktemp("scan")
    write_scan(folder, FIELDS, (1, 2), STEPS)
    process = start(folder)
    deadline = time.monotonic() + 120.0
    while n_begun(folder) < 2:
        assert time.monotonic() < deadline, said(folder)
        time.sleep(0.02)
    kill_all_in(folder)
    process.wait()
    assert wait_for_end(start(folder), folder, 280.0) == 0, said(folder)
    yield folder
    kill_all_in(folder)


@pytest.mark.skipif(not Path("/proc").exists(), reason="looks at processes in /proc")
def test_a_killed_scan_is_completed_and_no_step_is_lost_or_doubled(killed: Path) -> None:
    campaign = load(killed / "campaign.toml")
    assert len(campaign.runs) == 4
    steps = list(range(0, STEPS + 1, 2))
    for run in campaign.runs.values():
        assert run.is_done
        properties = read_properties(run.folder / "simulation.out")
        assert properties["step"].tolist() == steps
        for name in ("simulation.pos_0.xyz", "simulation.vel.xyz"):
            assert open_trajectory(run.folder / name).steps.tolist() == steps


def test_all_runs_are_in_one_figure_with_its_numbers(killed: Path) -> None:
    for stem in ("scan", "scan-distributions"):
        for end in ("png", "pdf", "csv", "json"):
            assert (killed / f"{stem}.{end}").stat().st_size > 300
    rows = read_csv(killed / "scan.csv")
    found = [(row["curve"], float(row["field (V/angstrom)"])) for row in rows]
    assert found == [(label, field) for label in ("classical", "2 beads") for field in FIELDS]
    # 240 steps of 0.25 fs, of which a tenth is skipped
    assert [float(row["time (ps)"]) for row in rows] == pytest.approx([0.054] * 4)
    assert all(0.8 < float(row["O-H length (angstrom)"]) < 1.2 for row in rows)
    assert all(math.isfinite(float(row["D from displacements (angstrom^2/ps)"])) for row in rows)
    shown = Result.read(killed / "scan-distributions.json").curves
    assert "density of O-H length" in {one.quantity for one in shown}


def test_the_stronger_field_turns_the_molecules_towards_it(killed: Path) -> None:
    rows = read_csv(killed / "scan.csv")
    for label in ("classical", "2 beads"):
        first, last = [float(row["P1"]) for row in rows if row["curve"] == label]
        # all start alike, and a molecule of 0.9 e bohr/2.3 D needs 50 fs to turn a little
        assert last > first


def test_an_analysis_without_runs_says_what_is_missing(tmp_path: Path) -> None:
    path = write_scan(tmp_path, FIELDS, (1,), STEPS)
    words = [str(path), "--no-run", "-o", str(tmp_path / "scan")]
    result = CliRunner().invoke(command, words)
    assert isinstance(result.exception, RecordError)
    assert "no run has written anything yet" in str(result.exception)


def test_an_analysis_alone_gives_the_same_numbers(killed: Path) -> None:
    words = [str(killed / "campaign.toml"), "--no-run", "--skip", "10%", "-o", str(killed / "x")]
    result = CliRunner().invoke(command, words, catch_exceptions=False)
    assert (killed / "x.csv").read_text() == (killed / "scan.csv").read_text()
    assert "no line through polarizations: fields: 2 samples, at least 3" in result.stderr
