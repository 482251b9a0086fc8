"""A result is drawn with its errors, and the files beside the figure can be read by anybody."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from csv_files import read_csv
from matplotlib.lines import Line2D
from PIL import Image

from mlobs_client import plot
from mlobs_client.errors import ConfigError, RecordError
from mlobs_client.results import Curve, Estimate, Points, Result

ERROR = "±1 standard error,\nscatter of 3 blocks"


def spectrum(center: float, members: bool = False, unit: str = "cm^-1") -> Curve:
    grid = np.arange(0.0, 4600.0, 10.0)
    line = 4000.0 * np.exp(-0.5 * ((grid - center) / 60.0) ** 2)
    return Curve(
        "infrared absorption n(ω)α(ω)", unit, "wavenumber", "cm^-1", grid,
        np.array([0.9, 1.0, 1.15])[:, None] * line,
        np.array([0.8, 1.3])[:, None] * line if members else None, 10.0,
    )  # fmt: skip


def result(curves: Mapping[str, Curve]) -> Result:
    return Result("test", tuple(replace(one, label=label) for label, one in curves.items()))


def labels_of(found: Result) -> list[str]:
    return [text.get_text() for text in plot.draw(found).legends[0].get_texts()]


def title_of(found: Result) -> str:
    return plot.draw(found).legends[0].get_title().get_text()


def test_a_result_is_written_with_its_figure(tmp_path: Path) -> None:
    given = {"classical": spectrum(3600.0), "TRPMD": spectrum(3400.0, members=True)}
    shown = {label: one.between(3000, 4000) for label, one in given.items()}
    files = plot.write(result(shown), tmp_path / "new" / "ir_300.5K")
    assert [file.name for file in files] == [
        f"ir_300.5K.{e}" for e in ("png", "pdf", "json", "h5", "csv")
    ]
    rows = read_csv(files[4])
    assert list(rows[0]) == [
        "quantity", "unit", "curve", "wavenumber (cm^-1)", "value", "error", "member spread",
        "window bias",
    ]  # fmt: skip
    assert len(rows) == 2 * 101
    top = next(r for r in rows if r["curve"] == "TRPMD" and r["wavenumber (cm^-1)"] == "3400")
    assert float(top["value"]) == pytest.approx(4000 * 3.05 / 3)
    assert float(top["member spread"]) == pytest.approx(4000 * 0.5 / np.sqrt(2))
    assert rows[0]["member spread"] == ""


def test_different_quantities_stand_one_above_the_other() -> None:
    curve = spectrum(3600.0, members=True)
    density = replace(curve, quantity="vibrational density of states of H", unit="1/cm^-1")
    above, below = plot.draw(Result("test", (curve, density))).axes
    assert (above.get_xlabel(), below.get_xlabel()) == ("", r"wavenumber / cm$^{-1}$")
    assert below.get_ylabel().startswith("VDOS / ")


def test_a_figure_is_one_column_wide_at_300_dots_per_inch(tmp_path: Path) -> None:
    png = plot.write(result({"a": spectrum(3600.0)}), tmp_path / "ir")[0]
    with Image.open(png) as image:
        assert image.width == pytest.approx(3.37 * 300, abs=1)
        colors = {color for _, color in image.convert("RGB").getcolors(maxcolors=10**6) or []}
    assert (0, 0x72, 0xB2) in colors  # the first curve


def test_axes_carry_units_and_the_legend_lies_outside() -> None:
    curves = result({"a": spectrum(3600.0, members=True)})
    figure = plot.draw(curves, marks={"measured": [3657, 3756]})
    (axes,) = figure.axes
    assert axes.get_xlabel() == r"wavenumber / cm$^{-1}$"
    assert axes.get_ylabel() == r"$n(\omega)\,\alpha(\omega)$ / 10$^{3}\,$cm$^{-1}$"
    figure.draw_without_rendering()
    (legend,) = figure.legends
    assert legend.get_window_extent().y0 >= axes.get_window_extent().y1
    labels = [text.get_text() for text in legend.get_texts()]
    assert labels == ["a", "measured", ERROR, "committee spread"]


def test_the_legend_says_which_scatter_the_band_is_and_none_without_one() -> None:
    given = spectrum(3600.0)
    pairs = replace(given, rows="pairs")
    unknown = replace(given, no_error="too short")
    both = "±1 standard error,\nscatter of 3 blocks, scatter of 3 pairs"
    assert labels_of(result({"a": given, "b": pairs})) == ["a", "b", both]
    known = result({"a": unknown, "b": pairs})
    assert labels_of(known)[2:] == [ERROR.replace("block", "pair")]
    assert title_of(known) == "no error: too short"
    assert labels_of(result({"a": unknown})) == ["a (no error)"]
    other = replace(given, no_error="too few")
    assert labels_of(result({"a": unknown, "b": other})) == ["a (no error)", "b (no error)"]


def test_the_legend_says_which_beads_or_centroids_a_curve_is_of() -> None:
    beads = replace(spectrum(3600.0), details={"estimator": "mean over 8 beads"})
    assert labels_of(result({"TRPMD": beads})) == ["TRPMD", ERROR]
    assert title_of(result({"TRPMD": beads})) == "mean over 8 beads"
    assert title_of(result({"TRPMD": spectrum(3600.0)})) == ""


def test_every_entry_of_the_legend_has_a_symbol() -> None:
    noted = replace(spectrum(3600.0), details={"estimator": "mean over 8 beads", "note": "a note"},
                    no_error="too short")  # fmt: skip
    for handle in plot.draw(result({"TRPMD": noted})).legends[0].legend_handles:
        is_line = isinstance(handle, Line2D)
        assert not is_line or (handle.get_linestyle(), handle.get_marker()) != ("None", "None")


def test_a_window_bias_is_faint_and_in_the_legend_and_in_the_numbers() -> None:
    given = spectrum(3600.0)
    others = np.stack([given.mean, given.mean])
    others[0, 300:] *= 0.1  # from 3000 cm^-1 on
    biased = result({"a": replace(given, other_windows=others)})
    assert labels_of(biased) == ["a", ERROR, "faint: window bias"]
    sure, faint = plot.draw(biased).axes[0].get_lines()[:2]
    assert faint.get_alpha() == pytest.approx(0.35)
    drawn = np.isfinite(np.asarray(faint.get_ydata(), dtype=float))
    assert not drawn[10:298].any()
    # where three blocks do not know the line to the third of a factor of ten
    assert drawn[350:370].all()
    assert np.isnan(np.asarray(sure.get_ydata(), dtype=float)[350:370]).all()
    marked = biased.columns["window bias"]
    assert marked[10:12] == [0.0, 0.0]
    assert marked[358:361] == [1.0, 1.0, 1.0]


def test_long_labels_stand_one_below_the_other_within_the_figure() -> None:
    curves = {f"{name}, a run with a rather long name": spectrum(3600.0) for name in "ab"}
    figure = plot.draw(result(curves))
    figure.draw_without_rendering()
    box = figure.legends[0].get_window_extent()
    assert box.x0 >= 0.0
    assert box.x1 <= figure.get_window_extent().x1


def test_points_have_bars_and_are_open_without_an_error() -> None:
    sure = Estimate(1.0, 0.1, "uC/cm^2", 50.0, error_from="scatter of 4 runs")
    y = (sure.without_error("too short"), sure, sure)
    points = Points("polarization", "field", "V/angstrom", np.array([-0.1, 0.0, 0.1]), y, "a")
    found = Result("test", points=(points,))
    bars = "bars: ±1 standard error,\nscatter of 4 runs"
    assert labels_of(found) == ["a", bars, "open symbols: no error"]
    (axes,) = plot.draw(found).axes
    assert axes.get_xlabel() == r"field / V$\,$Å$^{-1}$"
    assert points.error_from == "too short; scatter of 4 runs"


def test_the_band_of_the_lowest_point_is_within_the_axes() -> None:
    grid = np.arange(3.0)
    blocks = np.array([[1.0, -4.0, 1.0], [1.0, -6.0, 1.0], [1.0, -5.0, 1.0]])
    curve = Curve("dielectric function, real", "1", "wavenumber", "cm^-1", grid, blocks)
    (axes,) = plot.draw(Result("test", (curve,))).axes
    assert axes.get_ylim()[0] < -5.0 - curve.error[1]


def test_numbers_of_blocks_that_differ_are_one_line_of_the_legend() -> None:
    y = tuple(
        Estimate(1.0, 0.1, "K", n, error_from=f"jackknife over {n} blocks") for n in (9, 12, 10)
    )
    points = Points("temperature", "field", "V/angstrom", np.arange(3.0), y, "a")
    bars = "bars: ±1 standard error,\njackknife over 9 to 12\nblocks"
    assert labels_of(Result("test", points=(points,))) == ["a", bars]


def test_joined_points_are_a_line_with_a_band_and_only_chosen_quantities_are_drawn() -> None:
    y = tuple(Estimate(x, 0.5 * x, "K", 9.0, error_from="one line") for x in (0.0, 1.0, 3.0))
    axis = ("time", "ps", np.array([0.0, 2.0, 1.0]))  # a path may go back
    line = Points("temperature", *axis, y, "a", is_line=True)
    other = Points("pressure", *axis, y, "a")
    figure = plot.draw(Result("test", points=(other, line)), quantities=["temperature"])
    (axes,) = figure.axes
    (drawn,) = axes.get_lines()
    np.testing.assert_array_equal(drawn.get_data(), [axis[2], [0.0, 1.0, 3.0]])
    (band,) = axes.collections
    assert band.get_paths()[0].vertices[:, 1].max() == 4.5
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["a", "band: ±1 standard error,\none line"]


def test_a_line_through_points_has_their_colour_and_no_name_of_its_own() -> None:
    axis = ("field", "V/angstrom", np.array([-0.1, 0.1]))
    points = Points("polarization", *axis, (Estimate(1.0, 0.1, "uC/cm^2", 50.0),) * 2, "a",
                    {"note": "lines through 0 by symmetry"})  # fmt: skip
    line = Curve.of_one_series(
        "polarization", "uC/cm^2", "field", "V/angstrom", axis[2], np.array([-2.0, 2.0]), "a"
    )
    found = Result("test", (line,), (points,))
    assert labels_of(found) == ["a", "bars: ±1 standard error"]
    assert title_of(found) == "lines through 0 by symmetry"
    (axes,) = plot.draw(found).axes
    assert {one.get_color() for one in axes.get_lines()} == {"#0072B2"}


@pytest.mark.parametrize(
    ("highest", "scale"), [(0.98, ""), (999.0, ""), (0.05, r"10$^{-3}\,$"), (1e3, r"10$^{3}\,$")]
)
def test_only_numbers_that_are_long_are_divided_by_a_power_of_ten(
    highest: float, scale: str
) -> None:
    x = np.arange(3.0)
    curve = Curve.of_one_series("charge", "e", "time", "ps", x, highest * x / 2.0, "a")
    (axes,) = plot.draw(Result("test", (curve,))).axes
    assert axes.get_ylabel() == f"charge / {scale}$e$"


@pytest.mark.parametrize("end", [-2e-2, -2.0])
def test_integers_are_those_of_the_numbers_also_where_these_are_small(end: float) -> None:
    path = Curve.of_one_series("dipole", "e a", "fraction", "1", np.arange(2.0), [0.0, end], "O")
    (axes,) = plot.draw(Result("test", (path,)), integers=True).axes
    drawn = [float(one.vertices[0, 1]) for one in axes.collections[-1].get_paths()]
    assert drawn == list(range(round(end), 1))
    assert axes.lines[0].get_ydata()[1] == end


def test_integers_of_a_path_are_lines() -> None:
    along = np.array([0.0, -0.7, -1.2, -2.0])
    path = Curve.of_one_series("dipole", "e a", "fraction", "1", np.arange(4.0), along, "O")
    (axes,) = plot.draw(Result("test", (path,)), integers=True).axes
    drawn = [float(one.vertices[0, 1]) for one in axes.collections[-1].get_paths()]
    assert drawn == [-2.0, -1.0, 0.0]
    assert labels_of(Result("test", (path,))) == ["O"]


def test_what_cannot_be_drawn_or_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="different units"):
        plot.draw(result({"a": spectrum(3600.0), "b": spectrum(3600.0, unit="1/cm^-1")}))
    with pytest.raises(ConfigError, match="test: there are no curves"):
        plot.draw(result({}))
    with pytest.raises(ConfigError, match="logarithmic axis cannot start at 0 cm"):
        plot.draw(result({"a": spectrum(3600.0)}), logarithmic=True)
    (tmp_path / "file").touch()
    with pytest.raises(RecordError, match="cannot write the figure"):
        plot.write(result({"a": spectrum(3600.0)}), tmp_path / "file" / "x")


@pytest.mark.parametrize("end", ["png", "json", "h5"])
def test_an_older_file_stays_whole_where_the_disk_is_full(tmp_path: Path, end: str) -> None:
    curve = result({"a": spectrum(3600.0).between(3000, 4000)})
    file = tmp_path / f"ir.{end}"
    file.write_text("an older one")
    (tmp_path / f"ir.{end}.partial").symlink_to("/dev/full")  # Linux: no space is left there
    with pytest.raises(RecordError, match=r"cannot write the .*No space left on device"):
        plot.write(curve, tmp_path / "ir")
    assert file.read_text() == "an older one"
    assert not list(tmp_path.glob("*.partial"))
