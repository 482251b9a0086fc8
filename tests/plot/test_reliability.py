"""A reliability diagram shows the bins that it is given."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from csv_files import read_csv

from mlobs_client import plot
from mlobs_client.analysis.calibration import Errors, calibrate
from mlobs_client.analysis.reliability import reliability
from mlobs_client.errors import ConfigError


def test_bins_of_all_quantities_are_drawn_and_written(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    diagrams = {}
    for name, unit, n_rows in (("energy", "eV", 1), ("forces", "eV/angstrom", 9)):
        members = random.normal(size=(4, 20 * n_rows, 3))
        mean = members.mean(axis=0)
        frames = np.repeat(np.arange(20), n_rows)
        data = Errors(name, unit, random.normal(size=mean.shape) - mean, members - mean, frames)
        found = calibrate(data)
        diagrams[name] = (found, reliability(data, found.alpha), unit)
    one = plot.plot_reliability(diagrams)
    assert len(one.figure.axes) == 2
    assert one.summary["forces"]["alpha"] == diagrams["forces"][0].alpha  # type: ignore[index]
    said = one.summary["energy"]["errors from"]  # type: ignore[index]
    assert said == "bootstrap over 20 structures"
    rows = read_csv(plot.save(one, tmp_path / "reliability")[2])
    assert {row["unit"] for row in rows if row["curve"] == "energy"} == {"eV"}
    drawn = [float(row["rms error"]) for row in rows if row["curve"] == "forces"]
    np.testing.assert_allclose(drawn, diagrams["forces"][1].errors)
    expected = [float(row["expected"]) / float(row["spread"]) for row in rows[-3:]]
    np.testing.assert_allclose(expected, diagrams["forces"][1].slope)


def test_nothing_is_not_plotted() -> None:
    with pytest.raises(ConfigError, match="no calibrated quantity"):
        plot.plot_reliability({})
