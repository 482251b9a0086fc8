"""Every input of ``ipi_inputs/`` is right, and runs in the real i-PI with the real client."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import uuid
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from mlobs_client.check.files import check_files
from mlobs_client.check.finding import Level
from mlobs_client.cli.client import command as serve
from mlobs_client.cli.init import copy_kind, find_kinds

README = Path(__file__).parents[1] / "ipi_inputs" / "README.md"
OPTIONS = {"ffdirect": ["-n", "0"], "ffmpi": ["-n", "2"]}
PROGRAMS = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
PREFIXES = {"water-remd-field": "r2_simulation"}
"""Of outputs, where it is not that of the others."""
CAMPAIGNS = {
    "campaign-temperatures": ("temperature", "[280, 300, 320]", "[280, 300]", "[1, 2]"),
    "field-scan": ("field", "[0.0, 0.025, 0.05]", "[0.05]", "[1, 8]"),
}
"""A parameter, its values, those that are run, and values of another: the first will do."""
RUNS = [kind for kind in find_kinds() if kind not in CAMPAIGNS]
SERVED_HERE = [kind for kind in RUNS if kind.startswith("water-") and kind not in PREFIXES]
"""By one client at a unix socket: it works in this process, where networks are read faster."""


def client_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.toml"))


@pytest.fixture
def address():
    """A word for all addresses that nobody else uses."""
    word = uuid.uuid4().hex[:8]
    yield word
    for left in Path("/tmp").glob(f"ipi_{word}-*"):
        left.unlink()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def shorten(folder: Path, address: str) -> None:
    """Two steps, everything written at each, two members, addresses of our own."""
    xml = folder / "input.xml"
    port = str(free_port())
    text = re.sub(r"<total_steps> \d+", "<total_steps> 2", xml.read_text())
    text = re.sub(r"stride='\d+'", "stride='1'", text)
    text = re.sub(r"<address> (?!0\.)", f"<address> {address}-", text)
    xml.write_text(text.replace("31415 </port>", f"{port} </port>"))
    for client in client_files(folder):
        text = client.read_text().replace("-*", "-[01]*").replace("port = 31415", f"port = {port}")
        client.write_text(re.sub(r'address = "(?!localhost)', f'address = "{address}-', text))


def command(kind: str, folder: Path) -> list[str | Path]:
    if kind in SERVED_HERE:
        return [Path(sys.executable).with_name("i-pi"), "input.xml"]
    clients = [path.name for path in client_files(folder)]
    options = [*OPTIONS.get(kind, []), "--no-check"]
    return [sys.executable, "-m", "mlobs_client", "run", "input.xml", *clients, *options]


@pytest.mark.parametrize("kind", RUNS)
def test_an_input_has_nothing_that_check_complains_about(kind: str, tmp_path: Path):
    copy_kind(kind, tmp_path)
    shorten(tmp_path, "other")  # with ffdirect, i-PI loads the models to read the input
    findings = check_files(tmp_path / "input.xml", client_files(tmp_path))
    assert [f for f in findings if f.level is not Level.OK] == []


@pytest.mark.parametrize("kind", RUNS)
def test_an_input_runs_and_writes_finite_numbers(kind: str, tmp_path: Path, address: str):
    if kind == "ffmpi" and shutil.which("mpirun", path=PROGRAMS) is None:
        pytest.skip("mpirun is not installed")
    copy_kind(kind, tmp_path)
    shorten(tmp_path, address)
    log = tmp_path / "said.log"
    with log.open("wb") as stream:
        run = subprocess.Popen(command(kind, tmp_path), cwd=tmp_path, stdout=stream, stderr=stream)
    try:
        if kind in SERVED_HERE:
            served = CliRunner().invoke(serve, [str(tmp_path / "client.toml")])
            assert served.exit_code == 0, (served.exception, log.read_text())
        assert run.wait(240) == 0, log.read_text()
    finally:
        run.kill()
    prefix = PREFIXES.get(kind, "simulation")
    properties = np.loadtxt(tmp_path / f"{prefix}.out")
    assert properties[:, 0].tolist() == [0.0, 1.0, 2.0]
    assert np.isfinite(properties).all()
    dipoles = np.loadtxt(tmp_path / f"{prefix}.dipole_0")
    assert dipoles.shape == (3, 3)
    assert np.isfinite(dipoles).all()


@pytest.mark.parametrize("kind", CAMPAIGNS)
def test_a_campaign_runs_and_collects_finite_numbers(kind: str, tmp_path: Path):
    parameter, values, fewer, others = CAMPAIGNS[kind]
    copy_kind(kind, tmp_path)
    shorten(tmp_path / "template", kind.partition("-")[0])
    xml = tmp_path / "template" / "input.xml"
    xml.write_text(xml.read_text().replace("<total_steps> 2", "<total_steps> 6"))  # for averages
    campaign = tmp_path / "campaign.toml"
    text = campaign.read_text().replace(values, fewer)
    campaign.write_text(text.replace(others, "[1]"))
    for words in (["run"], ["collect", "-o", "results"]):
        command = [sys.executable, "-m", "mlobs_client", "campaign", *words]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=240)
        assert done.returncode == 0, done.stdout + done.stderr
    with (tmp_path / "results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(float(row[parameter]), row["state"]) for row in rows] == [
        (value, "done") for value in json.loads(fewer)
    ]
    assert all(np.isfinite(float(row["potential (electronvolt)"])) for row in rows)


def test_the_readme_has_one_row_for_each_kind():
    rows = re.findall(r"^\| `([a-z-]+)` \|", README.read_text(), flags=re.MULTILINE)
    assert sorted(rows) == sorted(find_kinds())


@pytest.mark.parametrize("kind", find_kinds())
def test_every_dimensional_number_of_an_input_has_its_unit(kind: str, tmp_path: Path):
    copy_kind(kind, tmp_path)
    (path,) = tmp_path.rglob("input.xml")
    text = path.read_text()
    for tag in (
        "temperature",
        "pressure",
        "timestep",
        "tau",
        "velocities",
        "amp",
        "freq",
        "peak",
        "sigma",
    ):
        for attributes in re.findall(rf"<{tag}\b([^>]*)>", text):
            assert "units='" in attributes, f"<{tag}{attributes}>"


@pytest.mark.parametrize("kind", find_kinds())
def test_an_input_says_what_its_time_step_does_to_spectra(kind: str, tmp_path: Path):
    copy_kind(kind, tmp_path)
    (path,) = tmp_path.rglob("input.xml")
    text = path.read_text()
    # the innermost is 0.5 fs, with which 3700 cm^-1 move by 18.99: tests/analysis/test_timestep.py
    assert f"> {2.0 if kind == 'field-mts' else 0.5} </timestep>" in text
    said = " ".join(text.split())
    assert re.search(r"shifts? O-H stretches by \+19 cm\^-1", said)
