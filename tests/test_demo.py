"""The demo: legs made from the shipped inputs, and a quick look that ends with all it promises."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mlobs_client import demo
from mlobs_client.check.files import check_files
from mlobs_client.check.finding import Level
from mlobs_client.config import load
from mlobs_client.errors import LaunchError

EXPECTED = Path(__file__).parents[1] / "examples" / "water_in_field" / "expected.json"


@pytest.mark.parametrize("leg", demo.LEGS, ids=lambda leg: leg.name)
def test_the_inputs_of_every_leg_pass_the_check(leg: demo.Leg, tmp_path: Path) -> None:
    demo.write(leg, tmp_path / leg.name)
    folder = tmp_path / leg.name
    findings = check_files(folder / "input.xml", [folder / "client.toml"])
    assert [f.what for f in findings if f.level is Level.ERROR] == []
    xml = (folder / "input.xml").read_text()
    assert re.search(rf"<total_steps>\s*{leg.n_steps}\s*</total_steps>", xml)
    assert f"nbeads='{leg.n_beads}'" in xml
    field = load(folder / "client.toml").field
    assert (field.vector[2] if field else 0.0) == leg.field


def test_a_leg_that_fails_ends_the_demo_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_broken(leg: demo.Leg, folder: Path, scale: float) -> None:
        folder.mkdir()
        (folder / "input.xml").write_text("<simulation><total_steps> 1 </total_steps>")
        (folder / "client.toml").write_text("")

    monkeypatch.setattr(demo, "write", write_broken)
    with pytest.raises(LaunchError, match=r"mlobs run input\.xml client\.toml failed: .*run\.log"):
        demo.run(demo.LEGS[:3], tmp_path, lambda leg, fraction: None)


@pytest.mark.timeout(900)
def test_a_quick_look_ends_with_the_table_and_the_figures(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mlobs_client", "demo", "--scale", "0.06", "-o", "out"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = json.loads((tmp_path / "out" / "table.json").read_text())
    assert [row["what"] for row in rows] == [
        row["what"] for row in json.loads(EXPECTED.read_text())
    ]
    for figure in ("conserved", "spectra", "polarization"):
        for end in ("png", "pdf", "csv", "json"):
            assert (tmp_path / "out" / f"{figure}.{end}").stat().st_size > 500
    # 0.5 fs: the conserved energy of 48 atoms swings by less than 1 meV per atom
    conserved = json.loads((tmp_path / "out" / "conserved.json").read_text())
    swings = [c for name, c in conserved["columns"].items() if "meV/atom" in name]
    assert max(abs(value) for value in swings[0]) < 1.0
