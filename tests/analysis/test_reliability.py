"""A reliability diagram shows the bins that it is given."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mlobs_client import plot
from mlobs_client.analysis.calibration import Calibration, Errors, calibrate
from mlobs_client.analysis.reliability import Reliability, reliability
from mlobs_client.results import Result


def draw_committee(name: str, unit: str, n_rows: int) -> tuple[Calibration, Reliability]:
    random = np.random.default_rng(n_rows)
    members = random.normal(size=(6, 40 * n_rows, 3))
    mean = members.mean(axis=0)
    frames = np.repeat(np.arange(40), n_rows)
    data = Errors(name, unit, random.normal(size=mean.shape) - mean, members - mean, frames)
    found = calibrate(data)
    return found, reliability(data, found.alpha)


def test_bins_of_all_quantities_are_drawn_and_come_back_from_the_files(tmp_path: Path) -> None:
    units = {"energy": ("eV", 1), "forces": ("eV/angstrom", 9)}
    found = {name: draw_committee(name, *one) for name, one in units.items()}
    parts = [bins.parts(name, units[name][0], one) for name, (one, bins) in found.items()]
    result = Result(
        "calibration",
        tuple(line for line, _ in parts),
        tuple(bins for _, bins in parts),
        {name: n for of, (one, _) in found.items() for name, n in one.numbers(of).items()},
    )
    figure = plot.draw(result)
    assert [axes.get_xlabel() for axes in figure.axes] == [
        "calibrated spread of energy / eV", r"calibrated spread of forces / eV$\,$Å$^{-1}$",
    ]  # fmt: skip
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == [
        "perfect committee", "bins of structures or atoms",
        "bars: ±1 standard error,\nbootstrap over 40\nstructures",
    ]  # fmt: skip
    result.write(tmp_path / "reliability")
    back = Result.read(tmp_path / "reliability.h5")
    calibration, bins = found["forces"]
    np.testing.assert_array_equal(back.points[1].mean, bins.errors)
    np.testing.assert_array_equal(back.points[1].error, bins.uncertainties)
    np.testing.assert_array_equal(back.points[1].x, bins.spreads)
    line = back.curves[1]
    np.testing.assert_allclose(line.mean, bins.slope * line.x)
    alpha, ratios = (back.numbers[f"alpha of forces{end}"] for end in ("", ", mean of ratios"))
    assert (alpha.value, alpha.error) == (calibration.alpha, calibration.error)
    assert (ratios.value, ratios.error) == calibration.mean_of_ratios
    details = back.points[1].details
    one = calibration.coverage[0]
    assert details["share of errors within one spread"] == one.observed
    assert details["share of errors within one spread, expected"] == one.expected
    assert details["rank correlation of errors and spreads"] == calibration.rank_correlation
