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
from PIL import Image

from mlobs_client import plot
from mlobs_client.analysis import PolarizationCurve, Spectrum
from mlobs_client.errors import ConfigError, RecordError
from mlobs_client.results import Estimate
from mlobs_client.studies.conserved_figure import plot_conserved

ERROR = "±1 standard error,\nscatter of 3 blocks"


def spectrum(center: float, members: bool = False, unit: str = "cm^-1") -> Spectrum:
    grid = np.arange(0.0, 4600.0, 10.0)
    line = 4000.0 * np.exp(-0.5 * ((grid - center) / 60.0) ** 2)
    blocks = np.array([0.9, 1.0, 1.15])[:, None] * line
    return Spectrum(
        "infrared absorption n(ω)α(ω)", grid, blocks, unit, 10.0,
        np.array([0.8, 1.3])[:, None] * line if members else None, {"temperature (K)": 300.0},
    )  # fmt: skip


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


def test_a_figure_is_written_with_its_numbers_beside_it(tmp_path: Path) -> None:
    given = {"classical": spectrum(3600.0), "TRPMD": spectrum(3400.0, members=True)}
    files = plot.save(plot.plot_spectra(given, low=3000, high=4000), tmp_path / "new" / "ir_300.5K")
    assert [file.name for file in files] == [
        f"ir_300.5K.{e}" for e in ("png", "pdf", "csv", "json")
    ]
    rows = read_csv(files[2])
    assert list(rows[0]) == [
        "quantity", "unit", "curve", "wavenumber (cm^-1)", "intensity", "error", "member spread",
        "window bias",
    ]  # fmt: skip
    assert len(rows) == 2 * 101
    top = next(r for r in rows if r["curve"] == "TRPMD" and r["wavenumber (cm^-1)"] == "3400")
    assert float(top["intensity"]) == pytest.approx(4000 * 3.05 / 3)
    assert float(top["member spread"]) == pytest.approx(4000 * 0.5 / np.sqrt(2))
    assert rows[0]["member spread"] == ""


def test_json_holds_the_same_columns_and_a_summary_without_nan(tmp_path: Path) -> None:
    path = plot.save(plot.plot_spectra({"a": spectrum(3600.0)}), tmp_path / "ir")[3]
    content = json.loads(path.read_text(encoding="utf-8"), parse_constant=pytest.fail)
    assert content["columns"]["member spread"][0] is None
    assert len(content["columns"]["curve"]) == len(content["columns"]["wavenumber (cm^-1)"])
    assert content["summary"]["curves"][0]["temperature (K)"] == 300.0


def test_panels_of_different_quantities_stand_one_above_the_other() -> None:
    density = {"a": spectrum(3600.0, unit="1/cm^-1")}
    both = plot.plot_spectra({"a": spectrum(3600.0, members=True)}, density)
    above, below = both.figure.axes
    assert (above.get_xlabel(), below.get_xlabel()) == ("", r"wavenumber / cm$^{-1}$")
    assert sorted(set(both.columns["unit"])) == ["1/cm^-1", "cm^-1"]


def test_a_figure_is_one_column_wide_at_300_dots_per_inch(tmp_path: Path) -> None:
    png = plot.save(plot.plot_spectra({"a": spectrum(3600.0)}), tmp_path / "ir")[0]
    with Image.open(png) as image:
        assert image.width == pytest.approx(3.37 * 300, abs=1)
        colors = {color for _, color in image.convert("RGB").getcolors(maxcolors=10**6) or []}
    assert (0, 0x72, 0xB2) in colors  # the first curve


def test_axes_carry_units_and_the_legend_lies_outside() -> None:
    one = plot.plot_spectra({"a": spectrum(3600.0, members=True)}, marks={"measured": [3657, 3756]})
    (axes,) = one.figure.axes
    assert axes.get_xlabel() == r"wavenumber / cm$^{-1}$"
    assert axes.get_ylabel() == r"$n(\omega)\,\alpha(\omega)$ / 10$^{3}\,$cm$^{-1}$"
    one.figure.draw_without_rendering()
    (legend,) = one.figure.legends
    assert legend.get_window_extent().y0 >= axes.get_window_extent().y1
    labels = [text.get_text() for text in legend.get_texts()]
    assert labels == ["a", "measured", ERROR, "committee spread"]


def test_the_legend_says_which_scatter_the_band_is_and_none_without_one() -> None:
    given = spectrum(3600.0)
    pairs = replace(given, details={"from": "pulse", "pairs": 3})
    for curves, expected in (
        ({"a": given, "b": pairs}, "±1 standard error,\nscatter of 3 blocks, scatter of 3 pairs"),
        ({"a": replace(given, no_error="too short"), "b": pairs}, ERROR.replace("block", "pair")),
    ):
        labels = [t.get_text() for t in plot.plot_spectra(curves).figure.legends[0].get_texts()]
        assert labels[2:] == [expected]
    no_error = plot.plot_spectra({"a": replace(given, no_error="too short")})
    assert [t.get_text() for t in no_error.figure.legends[0].get_texts()] == ["a (no error)"]
    (curve,) = plot.plot_spectra({"b": pairs}).summary["curves"]  # type: ignore[misc]
    assert curve["error_from"] == "scatter of 3 pairs"


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


def test_a_window_bias_is_faint_and_in_the_legend_and_in_the_numbers(tmp_path: Path) -> None:
    given = spectrum(3600.0)
    others = np.stack([given.intensity, given.intensity])
    others[0, 300:] *= 0.1  # from 3000 cm^-1 on
    one = plot.plot_spectra({"a": replace(given, other_windows=others)})
    labels = [text.get_text() for text in one.figure.legends[0].get_texts()]
    assert labels == ["a", ERROR, "window bias"]
    sure, faint = one.figure.axes[0].get_lines()[:2]
    assert faint.get_alpha() == pytest.approx(0.35)
    drawn = np.isfinite(np.asarray(faint.get_ydata(), dtype=float))
    assert not drawn[10:298].any()
    # where three blocks do not know the line to the third of a factor of ten
    assert drawn[350:370].all()
    assert np.isnan(np.asarray(sure.get_ydata(), dtype=float)[350:370]).all()
    rows = read_csv(plot.save(one, tmp_path / "ir")[2])
    assert [row["window bias"] for row in rows[10:12]] == ["0", "0"]
    assert [row["window bias"] for row in rows[358:361]] == ["1", "1", "1"]


def test_polarization_is_drawn_with_its_errors_and_its_slope(tmp_path: Path) -> None:
    one = plot.plot_polarization({"classical": polarization_curve()})
    text = one.figure.legends[0].get_texts()[0].get_text()
    assert text == r"classical: $\chi$ = 2.310 ± 0.080"
    rows = read_csv(plot.save(one, tmp_path / "polarization")[2])
    assert [row["error (uC/cm^2)"] for row in rows] == ["0.1"] * 3


def test_drawing_leaves_no_state_in_pyplot() -> None:
    code = "import sys, mlobs_client.plot; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_what_cannot_be_drawn_or_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="different units"):
        plot.plot_spectra({"a": spectrum(3600.0), "b": spectrum(3600.0, unit="1/cm^-1")})
    with pytest.raises(ConfigError, match="no spectrum"):
        plot.plot_spectra({})
    with pytest.raises(ConfigError, match="0 runs"):
        plot_conserved({}, 3)
    with pytest.raises(ConfigError, match="no polarization"):
        plot.plot_polarization({})
    (tmp_path / "file").touch()
    with pytest.raises(RecordError, match="cannot write the figure"):
        plot.save(plot.plot_polarization({"a": polarization_curve()}), tmp_path / "file" / "x")


@pytest.mark.parametrize("end", ["png", "json"])
def test_an_older_file_stays_whole_where_the_disk_is_full(tmp_path: Path, end: str) -> None:
    curve = plot.plot_spectra({"a": spectrum(3600.0)}, low=3000, high=4000)
    file = tmp_path / f"ir.{end}"
    file.write_text("an older one")
    (tmp_path / f"ir.{end}.partial").symlink_to("/dev/full")  # Linux: no space is left there
    with pytest.raises(RecordError, match=r"cannot write the figure .*No space left on device"):
        plot.save(curve, tmp_path / "ir")
    assert file.read_text() == "an older one"
    assert not list(tmp_path.glob("*.partial"))
