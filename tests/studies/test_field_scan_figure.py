"""The figures of a field scan have all numbers with their errors beside them."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from csv_files import read_csv
from scans import CELL, DIRECTION, draw_sample

from mlobs_client.errors import ConfigError
from mlobs_client.plot import draw, save
from mlobs_client.studies.field_scan import Scan, Settings, analyse
from mlobs_client.studies.field_scan_figure import distributions, plot_field_scan
from mlobs_client.units import MICROCOULOMB_PER_CM2


@pytest.fixture(scope="module")
def curves() -> list[Scan]:
    return analyse(
        [
            draw_sample(field, 0.2, n_beads, n_samples=120)
            for n_beads in (1, 2)
            for field in (0.0, 0.1, 0.3)
        ],
        Settings(),
    )


def test_the_scan_has_a_row_for_each_field_and_a_column_for_each_error(
    curves: list[Scan], tmp_path: Path
) -> None:
    files = save(plot_field_scan(curves), tmp_path / "scan")
    rows = read_csv(files[2])
    assert [(row["curve"], row["field (V/angstrom)"]) for row in rows] == [
        (label, field) for label in ("classical", "2 beads") for field in ("0", "0.1", "0.3")
    ]
    for name in (
        "polarization (uC/cm^2)", "O-H length (angstrom)", "P1", "P2", "O-O peak (angstrom)",
        "O-O peak height", "D from displacements (angstrom^2/ps)",
        "D from velocities (angstrom^2/ps)", "D over D at zero field",
    ):  # fmt: skip
        assert all(math.isfinite(float(row[name])) for row in rows), name
        assert all(float(row[f"{name} error"]) >= 0.0 for row in rows), name
    assert [row["D of an infinite cell (angstrom^2/ps)"] for row in rows] == [""] * 6
    summary = json.loads(files[3].read_text())["summary"]["classical"]
    assert summary["susceptibility from fluctuations at zero field"]["error"] > 0.0
    assert summary["onset"].startswith("diffusion is arrested (D below 0.1 of")
    assert summary["lags of the diffusion (ps)"]["0.3"] == pytest.approx([0.07, 0.15])


def test_the_line_in_the_first_panel_is_the_linear_response(curves: list[Scan]) -> None:
    polarization = plot_field_scan(curves).figure.axes[0]
    (line, _) = [one for one in polarization.lines if one.get_linestyle() == "--"]
    (x0, y0), *_, (x1, y1) = zip(*line.get_data(), strict=True)
    assert curves[0].susceptibility is not None
    # epsilon_0 x 1 V/angstrom = 8.8541878e-12 x 1e10 C/m^2 = 8.8541878 uC/cm^2
    assert (y1 - y0) / (x1 - x0) == pytest.approx(8.8541878 * curves[0].susceptibility.value)


def test_the_linear_response_starts_from_the_polarization_at_zero_field() -> None:
    samples = [draw_sample(field, 0.2, n_samples=120) for field in (0.0, -0.3, 0.1)]
    (curve,) = analyse(samples, Settings())
    polarization = plot_field_scan([curve]).figure.axes[0]
    (line,) = [one for one in polarization.lines if one.get_linestyle() == "--"]
    at_zero = dict(zip(*line.get_data(), strict=True))[0.0]
    zero = samples[0]
    exact = zero.dipoles.mean(axis=0) @ DIRECTION / np.linalg.det(CELL) / MICROCOULOMB_PER_CM2
    assert at_zero == pytest.approx(exact)


def test_two_fields_have_two_polarizations() -> None:
    samples = [draw_sample(field, 0.2, n_samples=120) for field in (0.1, 0.3)]
    (curve,) = analyse(samples, Settings())
    drawn = plot_field_scan([curve]).figure.axes[0].get_lines()
    heights = np.concatenate([line.get_ydata() for line in drawn])
    for sample in samples:
        mean = sample.dipoles.mean(axis=0) @ DIRECTION
        exact = mean / np.linalg.det(CELL) / MICROCOULOMB_PER_CM2
        assert np.abs(heights - exact).min() < 1e-9 * abs(exact)


def test_distributions_have_a_line_for_each_field_and_number_of_beads(curves: list[Scan]) -> None:
    found = distributions(curves)
    names = {
        f"{beads}, {field} V/angstrom"
        for beads in ("classical", "2 beads")
        for field in (0, 0.1, 0.3)
    }
    for axes in draw(found).axes:
        assert set(axes.get_legend_handles_labels()[1]) == names
    assert {one.quantity for one in found.curves} == {
        "density of O-H length", "O-O distribution g(r)", "density of cos(theta)",
    }  # fmt: skip
    (cosines,) = [
        one
        for one in found.curves
        if (one.x_name, one.label) == ("cos(theta)", "2 beads, 0.3 V/angstrom")
    ]
    assert cosines.mean.sum() * 2.0 / len(cosines.x) == pytest.approx(1.0)


def test_a_scan_without_runs_cannot_be_drawn() -> None:
    with pytest.raises(ConfigError, match="no run of a field scan"):
        plot_field_scan([])
    with pytest.raises(ConfigError, match="no run of a field scan"):
        distributions([])
