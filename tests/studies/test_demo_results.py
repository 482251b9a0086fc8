"""A quick look at the demo ends with all that it promises."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from mlobs_client.client.config import load_config
from mlobs_client.results import Result
from mlobs_client.studies import demo
from mlobs_client.studies.demo_plan import (
    BEADS,
    CLASSICAL,
    FIRST,
    QUANTUM,
    RUNS,
    DemoRun,
    scaled,
)

SCALE = 0.045
EXPECTED = Path(__file__).parents[2] / "examples" / "water_in_field" / "expected.json"


TOY = """
structure = "init.xyz"
pbc = [false, false, false]
[socket]
address = "{address}"
[potential]
kind = "toy"
name = "qtip4pf"
[field]
vector = [0.0, 0.0, {field}]
unit = "V/angstrom"
[observables]
extras = ["dipole"]
"""
"""For a run of a kind that another run shows with networks, which take ten seconds to load."""
WITH_NETWORKS = (QUANTUM, CLASSICAL, FIRST)
"""TRPMD in a field with networks: tests/test_inputs.py."""


def give_toy(run: DemoRun, folder: Path) -> None:
    """Let a run run with an analytic model of water, which has no committee."""
    address = load_config(folder / "client.toml").socket.address
    (folder / "client.toml").write_text(TOY.format(address=address, field=run.field))
    xml = (folder / "input.xml").read_text().splitlines(keepends=True)
    kept = [line for line in xml if "extra_type='energy_spread'" not in line]
    assert len(kept) == len(xml) - 1
    (folder / "input.xml").write_text("".join(kept))


@pytest.fixture(scope="module")
def quick_look(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    for run, n_steps in scaled(SCALE).items():
        demo.write(run, folder / "out" / run.name, n_steps)
        client = folder / "out" / run.name / "client.toml"
        if run in WITH_NETWORKS:
            client.write_text(client.read_text().replace("-*", "-[01]"))  # two members, for speed
        else:
            give_toy(run, client.parent)
    command = [sys.executable, "-m", "mlobs_client", "demo", "--scale", str(SCALE), "-o", "out"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (folder / "out" / "said.txt").write_text(done.stdout)
    return folder / "out"


def test_the_time_of_a_step_is_measured_with_i_pi(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = demo.write

    def write_toy(run: DemoRun, folder: Path, n_steps: int) -> None:
        write(run, folder, n_steps)
        give_toy(run, folder)

    monkeypatch.setattr(demo, "write", write_toy)
    begun = time.monotonic()
    costs = demo.measure([FIRST], lambda run, fraction: None)
    elapsed = time.monotonic() - begun
    assert list(costs) == [FIRST.kind]
    cost = costs[FIRST.kind]
    assert 0.0 < cost.step < cost.start
    assert cost.start + demo.MEASURED * cost.step <= elapsed


@pytest.mark.timeout(900)
def test_the_table_has_the_rows_of_the_example(quick_look: Path) -> None:
    rows = json.loads((quick_look / "table.json").read_text())
    expected = json.loads(EXPECTED.read_text())
    # a quick look may be too short to resolve the O-H stretch
    assert [(row["what"], row["unit"]) for row in rows if "stretch" not in row["what"]] == [
        (row["what"], row["unit"]) for row in expected if "stretch" not in row["what"]
    ]
    for row in rows:
        if row["no_error"]:
            assert row["error"] is None
            assert "independent sample" in row["no_error"] or "1 pair" in row["no_error"]
        else:
            assert row["error"] > 0.0


def test_one_pair_of_runs_gives_no_error_of_the_polarization_and_says_what_it_needs(
    quick_look: Path,
) -> None:
    rows = json.loads((quick_look / "table.json").read_text())
    polarizations = [row for row in rows if row["what"].startswith("change of polarization")]
    assert len(polarizations) == 6
    for row in polarizations:
        assert row["error"] is None
        assert row["no_error"] == "1 pair of runs, needs 3"
    found = Result.read(quick_look / "polarization.json")
    assert {points.quantity for points in found.points} == {"change of polarization"}
    for label in ("classical", f"TRPMD, {BEADS} beads"):
        assert found.numbers[f"susceptibility, {label}"].no_error == "1 pair of runs, needs 3"


def test_the_first_figure_is_shown_before_all_runs_are_over(quick_look: Path) -> None:
    said = (quick_look / "said.txt").read_text()
    assert said.index("first figure, after") < said.index("figure: out/")


@pytest.mark.parametrize("figure", ["conserved", "spectra", "polarization"])
@pytest.mark.parametrize("end", ["png", "pdf", "csv", "json", "h5"])
def test_every_figure_is_there_with_its_numbers(quick_look: Path, figure: str, end: str) -> None:
    assert (quick_look / f"{figure}.{end}").stat().st_size > 200


@pytest.mark.parametrize("figure", ["conserved", "spectra", "polarization"])
def test_a_figure_names_the_command_and_the_files_that_it_is_from(
    quick_look: Path, figure: str
) -> None:
    origin = Result.read(quick_look / f"{figure}.h5").provenance
    assert origin.command == ("mlobs", "demo", "--scale", str(SCALE), "-o", "out")
    assert f"out/{FIRST.name}/simulation.out" in origin.inputs or figure != "conserved"


def test_the_conserved_energy_swings_by_less_than_one_mev_per_atom(quick_look: Path) -> None:
    curves = Result.read(quick_look / "conserved.json").curves
    conserved = [one for one in curves if one.quantity == "conserved quantity from its start"]
    potential = [one for one in curves if one.quantity == "potential energy from its start"]
    assert len(conserved) == len(potential) == 2
    for curve in curves:
        assert curve.unit == "meV/atom"
        assert curve.mean[0] == 0.0
    for curve in conserved:
        # about 0.1 at 0.5 fs; a force that is not the gradient of the energy gives more than 1
        assert np.abs(curve.mean).max() < 1.0
    for curve in potential:  # the same energy goes into the motion of the nuclei
        assert np.abs(curve.mean).max() > 3.0


def test_the_absorption_has_the_spread_of_the_committee(quick_look: Path) -> None:
    curves = Result.read(quick_look / "spectra.json").curves
    absorption = [one for one in curves if one.quantity.startswith("infrared absorption")]
    assert len(absorption) == 2
    for curve in absorption:
        assert curve.members is not None
        assert curve.members.shape == (2, len(curve.x))


def test_the_inputs_are_left_for_the_user(quick_look: Path) -> None:
    assert len(list(quick_look.glob("*/input.xml"))) == len(RUNS)
    assert len(list(quick_look.glob("*/client.toml"))) == len(RUNS)
