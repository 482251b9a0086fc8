"""The conserved quantity is drawn with its drift."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from csv_files import read_csv

from mlobs_client import plot
from mlobs_client.studies.conserved_figure import plot_conserved
from mlobs_client.units import EV, FEMTOSECOND


def test_the_drift_of_the_conserved_quantity_is_that_of_the_run(tmp_path: Path) -> None:
    times = np.linspace(0.0, 10_000 * FEMTOSECOND, 500)
    noise = np.random.default_rng(0).normal(0.0, 1e-7, 500)
    values = -17.0 + noise + 3e-6 * EV * 10 * times / (1000 * FEMTOSECOND)  # 3 ueV/atom/ps
    one = plot_conserved({"run": (times, values)}, n_atoms=10)
    drift = one.summary["drift"]["run"]  # type: ignore[index]
    assert drift["value"] == pytest.approx(3.0, abs=4 * drift["error"])
    assert drift["unit"] == "µeV/atom/ps"
    rows = read_csv(plot.save(one, tmp_path / "conserved")[2])
    assert list(rows[0])[1:] == ["time (ps)", "conserved quantity from its start (meV/atom)"]
    assert float(rows[-1]["time (ps)"]) == pytest.approx(10.0)
    assert float(rows[0]["conserved quantity from its start (meV/atom)"]) == 0.0
