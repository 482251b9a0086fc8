"""Parity is drawn with the errors that it shows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from csv_files import read_csv

from mlobs_client import plot
from mlobs_client.errors import ConfigError


def test_errors_and_points_are_those_that_were_given(tmp_path: Path) -> None:
    reference = np.linspace(-2.0, 3.0, 7)
    points = {"x": (reference, reference + 0.5), "y": (reference, reference[::-1])}
    one = plot.plot_parity(points, "dipole", "e angstrom")
    assert one.summary["rmse"]["x"] == pytest.approx(0.5)  # type: ignore[index]
    rows = read_csv(plot.save(one, tmp_path / "parity")[2])
    assert len(rows) == 14
    assert float(rows[7]["prediction (e angstrom)"]) == 3.0


def test_nothing_is_not_plotted() -> None:
    with pytest.raises(ConfigError, match="no prediction was given"):
        plot.plot_parity({}, "dipole", "e angstrom")
