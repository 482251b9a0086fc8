"""Figures carry their numbers, and files beside them can be read by anybody."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from csv_files import read_csv

from mlobs_client import plot
from mlobs_client.analysis import PolarizationCurve
from mlobs_client.errors import ConfigError, RecordError
from mlobs_client.results import Estimate
from mlobs_client.studies.conserved_figure import plot_conserved


def polarization_curve() -> PolarizationCurve:
    return PolarizationCurve(
        field=np.array([-0.1, 0.0, 0.1]),
        polarization=tuple(Estimate(v, 0.1, "uC/cm^2", 50.0) for v in (-2.0, 0.05, 2.1)),
        direction=np.array([0.0, 0.0, 1.0]),
        slope=Estimate(20.5, 0.7, "uC/cm^2/(V/angstrom)", 3),
        intercept=Estimate(0.05, 0.06, "uC/cm^2", 3),
        susceptibility=Estimate(2.31, 0.08, "1", 3),
        chi_squared=0.4,
    )


def test_the_bars_of_points_are_told_in_the_legend_and_their_source_in_the_numbers() -> None:
    curve = polarization_curve()
    sources = [replace(one, error_from="scatter of 4 runs") for one in curve.polarization]
    lacking = sources[0].without_error("too short")
    some = replace(curve, polarization=(lacking, *sources[1:]))
    one = plot.plot_polarization({"a": some})
    labels = [text.get_text() for text in one.figure.legends[0].get_texts()]
    assert labels[1:] == ["bars: ±1 standard error", "open symbols: no error"]
    said = one.summary["a"]["errors of the polarization from"]  # type: ignore[index]
    assert said == ["too short", "scatter of 4 runs"]


def test_polarization_is_drawn_with_its_errors_and_its_slope(tmp_path: Path) -> None:
    one = plot.plot_polarization({"classical": polarization_curve()})
    text = one.figure.legends[0].get_texts()[0].get_text()
    assert text == r"classical: $\chi$ = 2.310 ± 0.080"
    rows = read_csv(plot.save(one, tmp_path / "polarization")[2])
    assert [row["error (uC/cm^2)"] for row in rows] == ["0.1"] * 3


def test_drawing_leaves_no_state_in_pyplot() -> None:
    code = "import sys, mlobs_client.plot; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_json_holds_the_same_columns_without_nan(tmp_path: Path) -> None:
    curve = polarization_curve()
    lacking = tuple(one.without_error("too short") for one in curve.polarization)
    one = plot.plot_polarization({"a": replace(curve, polarization=lacking)})
    files = plot.save(one, tmp_path / "new" / "p_300.5K")
    assert [file.name for file in files] == [f"p_300.5K.{e}" for e in ("png", "pdf", "csv", "json")]
    content = json.loads(files[3].read_text(encoding="utf-8"), parse_constant=pytest.fail)
    assert content["columns"]["error (uC/cm^2)"] == [None] * 3
    assert content["columns"]["curve"] == ["a"] * 3


def test_what_cannot_be_drawn_or_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="0 runs"):
        plot_conserved({}, 3)
    with pytest.raises(ConfigError, match="no polarization"):
        plot.plot_polarization({})
    (tmp_path / "file").touch()
    with pytest.raises(RecordError, match="cannot write the figure"):
        plot.save(plot.plot_polarization({"a": polarization_curve()}), tmp_path / "file" / "x")
