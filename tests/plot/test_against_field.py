"""Averages against the field: simulated and reweighted ones share a figure."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from csv_files import read_csv

from mlobs_client import plot
from mlobs_client.errors import ConfigError
from mlobs_client.results.estimate import Estimate


def test_each_average_has_its_error_and_its_effective_samples(tmp_path: Path) -> None:
    one, other = Estimate(1.5, 0.1, "uC/cm^2", 400.0), Estimate(2.5, 0.3, "uC/cm^2", 60.0)
    made = plot.plot_against_field(
        {"simulated": (np.array([0.1]), (one,)), "reweighted": (np.array([0.2]), (other,))},
        "polarization",
    )
    rows = read_csv(plot.save(made, tmp_path / "reweighted")[2])
    assert [row["curve"] for row in rows] == ["simulated", "reweighted"]
    assert [float(row["polarization (uC/cm^2)"]) for row in rows] == [1.5, 2.5]
    assert [float(row["effective samples"]) for row in rows] == [400.0, 60.0]


def test_nothing_is_not_drawn() -> None:
    with pytest.raises(ConfigError, match="no average"):
        plot.plot_against_field({"reweighted": (np.array([]), ())}, "polarization")
