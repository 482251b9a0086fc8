"""``mlobs field-scan`` with the real i-PI: killed, completed, analysed."""

from __future__ import annotations

import hashlib
import math
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from campaigns import kill_all_in, said, wait_for_end
from click.testing import CliRunner
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


def of_quantity(path: Path, quantity: str) -> dict[tuple[str, float], float]:
    """Values by the nuclei and the field."""
    found = [one for one in Result.read(path).points if one.quantity == quantity]
    return {
        (one.label, float(field)): float(value)
        for one in found
        for field, value in zip(one.x, one.mean, strict=True)
    }


def test_all_runs_are_in_one_figure_with_its_numbers(killed: Path) -> None:
    for stem in ("scan", "scan-distributions"):
        for end in ("png", "pdf", "csv", "json", "h5"):
            assert (killed / f"{stem}.{end}").stat().st_size > 300
    times = of_quantity(killed / "scan.json", "time")
    assert list(times) == [(label, field) for label in ("classical", "2 beads") for field in FIELDS]
    # 240 steps of 0.25 fs, of which a tenth is skipped
    assert list(times.values()) == pytest.approx([0.054] * 4)
    lengths = of_quantity(killed / "scan.h5", "O-H length")
    assert len(lengths) == 4
    assert all(0.8 < length < 1.2 for length in lengths.values())
    diffusion = of_quantity(killed / "scan.json", "D from displacements")
    assert len(diffusion) == 4
    assert all(map(math.isfinite, diffusion.values()))
    shown = Result.read(killed / "scan-distributions.json").curves
    assert "density of O-H length" in {one.quantity for one in shown}


def test_the_result_names_every_file_that_it_was_made_from(killed: Path) -> None:
    inputs = Result.read(killed / "scan.json").provenance.inputs
    assert "campaign.toml" in inputs
    folders = [
        run.folder.relative_to(killed) for run in load(killed / "campaign.toml").runs.values()
    ]
    for folder in folders:
        outputs = (f"simulation.{end}" for end in ("out", "pos_0.xyz", "vel.xyz", "dipole_0"))
        for name in ("input.xml", "client.toml", "RESTART", "init.xyz", *outputs):
            path = str(folder / name)
            content = (killed / path).read_bytes()
            assert inputs[path] == hashlib.sha256(content).hexdigest(), path


def test_the_stronger_field_turns_the_molecules_towards_it(killed: Path) -> None:
    cosines = of_quantity(killed / "scan.json", "P1")
    for label in ("classical", "2 beads"):
        first, last = (cosines[label, field] for field in FIELDS)
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
    said = " ".join(result.stderr.split())
    assert "no line through polarizations: fields: 2 samples, but at least 3" in said
