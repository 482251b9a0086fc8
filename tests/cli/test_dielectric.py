"""``mlobs dielectric`` on the files of runs whose dielectric function is known."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from csv_files import read_csv
from written_runs import write_run

from mlobs_client.cli.dielectric import command
from mlobs_client.units import ANGSTROM, KELVIN, VOLT_PER_ANGSTROM

LENGTH = 10.0 * ANGSTROM
STEP = 4.0
DECAY = 20.0
"""Samples, of 2 fs."""
REST = np.array([5.0, -3.0, 2.0])
STRENGTH = 0.01


def relaxing(sign: float) -> np.ndarray:
    size = sign * STEP * LENGTH**3 / (4.0 * np.pi) * STRENGTH * VOLT_PER_ANGSTROM
    return REST + size * np.exp(-np.arange(3000) / DECAY)[:, None] * [0.0, 1.0, 0.0]


def at_rest(n_samples: int = 40_000) -> np.ndarray:
    """Ornstein-Uhlenbeck, with the variance that belongs to STEP."""
    rng = np.random.default_rng(4)
    variance = STEP * LENGTH**3 * 300.0 * KELVIN / (4.0 * np.pi)
    keep = np.exp(-1.0 / DECAY)
    noise = np.sqrt(variance * (1.0 - keep**2)) * rng.normal(size=(n_samples, 3))
    series = np.empty((n_samples, 3))
    series[0] = np.sqrt(variance) * rng.normal(size=3)
    for t in range(1, n_samples):
        series[t] = keep * series[t - 1] + noise[t]
    return series + REST


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dielectric")
    write_run(folder / "rest" / "simulation", at_rest(), LENGTH)
    for name, sign in (("up", 1.0), ("down", -1.0)):
        write_run(folder / name / "simulation", relaxing(sign), LENGTH)
    return folder


def test_fluctuations_and_relaxation_give_the_static_number_and_the_function_of_debye(
    runs: Path, tmp_path: Path
) -> None:
    arguments = [str(runs / "rest" / "simulation"), "--temperature", "300", "--resolution", "20"]
    for name, sign in (("up", 1.0), ("down", -1.0)):
        field = ["0", str(sign * STRENGTH), "0"]
        arguments += ["--response", str(runs / name / "simulation"), "--field", *field]
    arguments += ["--eps-infinity", "1.8", "-o", str(tmp_path / "eps")]
    done = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert "static dielectric constant" in done.output
    summary = json.loads((tmp_path / "eps.json").read_text())["summary"]
    errors = np.array(summary["errors of the tensor"])
    np.testing.assert_allclose(
        summary["tensor"], (1.8 + STEP) * np.eye(3), atol=4.0 * float(errors.max())
    )
    assert errors.max() < 0.3
    relaxed = float(summary["static"]["relaxation"].split()[0])
    # sample 0 counts fully; trapezoids
    assert relaxed == pytest.approx(1.8 + STEP, abs=0.05)
    rows = [row for row in read_csv(tmp_path / "eps.csv") if row["curve"] == "relaxation"]
    loss = [row for row in rows if row["quantity"].endswith("imaginary part")]
    at = np.array([float(row["wavenumber (cm^-1)"]) for row in loss])
    top = at[np.argmax([float(row["intensity"]) for row in loss])]
    # 1/(2 pi c 40 fs), broadened by 20
    assert top == pytest.approx(132.7, abs=15.0)


def test_each_response_needs_a_field(runs: Path) -> None:
    prefix = str(runs / "rest" / "simulation")
    arguments = [prefix, "--temperature", "300", "-o", "x", "--response", prefix]
    done = CliRunner().invoke(command, arguments)
    assert done.exit_code == 2
    assert "1 --response need as many --field, not 0" in done.output
