"""Parity is drawn with the errors that it shows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from csv_files import read_csv

from mlobs_client import plot
from mlobs_client.errors import ConfigError, RecordError
from mlobs_client.results import Curve, Parity, Result

REFERENCE = np.linspace(-2.0, 3.0, 7)
SHIFTED = Parity("dipole", "e angstrom", REFERENCE, REFERENCE + 0.5, "x")
TURNED = Parity("dipole", "e angstrom", REFERENCE, REFERENCE[::-1], "y")


def test_errors_and_points_are_those_that_were_given(tmp_path: Path) -> None:
    assert SHIFTED.rms_error == pytest.approx(0.5)
    found = Result("test", parities=(SHIFTED, TURNED))
    (axes,) = plot.draw(found).axes
    assert axes.get_legend_handles_labels()[1] == ["x: 0.50", "y: 3.3"]
    np.testing.assert_array_equal(axes.lines[0].get_data(), [REFERENCE, REFERENCE + 0.5])
    files = plot.write(found, tmp_path / "parity")
    rows = read_csv(next(file for file in files if file.suffix == ".csv"))
    assert len(rows) == 14
    assert rows[7] == {
        "quantity": "dipole", "unit": "e angstrom", "curve": "y", "reference": "-2", "value": "3",
    }  # fmt: skip


def test_a_comparison_without_a_unit_and_a_label_shows_neither() -> None:
    (axes,) = plot.draw(Result("test", parities=(replace(SHIFTED, unit="1", label=""),))).axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("reference dipole", "prediction")
    assert axes.get_legend_handles_labels()[1] == ["0.50"]


def test_what_is_not_comparable_is_refused() -> None:
    with pytest.raises(
        RecordError, match=r"dipole: references and predictions must both have shape"
    ):
        Parity("dipole", "e angstrom", REFERENCE, REFERENCE[1:])
    with pytest.raises(RecordError, match=r"got \(0,\) and \(0,\)"):
        Parity("dipole", "e angstrom", REFERENCE[:0], REFERENCE[:0])
    others = (SHIFTED, replace(SHIFTED, quantity="charge"))
    with pytest.raises(ConfigError, match="one figure compares one quantity"):
        plot.draw(Result("test", parities=others))


def test_a_comparison_is_chosen_by_its_quantity() -> None:
    others = (SHIFTED, replace(SHIFTED, quantity="charge"))
    (axes,) = plot.draw(Result("test", parities=others), quantities=["charge"]).axes
    assert axes.get_xlabel().startswith("reference charge")


@pytest.mark.parametrize(
    "options", [{"marks": {"a": [1.0]}}, {"logarithmic": True}, {"integers": True}]
)
def test_what_a_comparison_cannot_show_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="comparisons are drawn without curves, points, marks"):
        plot.draw(Result("test", parities=(SHIFTED,)), **options)


def test_a_comparison_beside_a_curve_is_drawn_only_if_it_is_chosen() -> None:
    x = np.arange(3.0)
    curve = Curve.of_one_series("energy", "eV", "time", "ps", x, x, "a")
    both = Result("test", (curve,), parities=(SHIFTED,))
    with pytest.raises(ConfigError, match="or choose quantities"):
        plot.draw(both)
    for quantity in ("dipole", "energy"):
        (axes,) = plot.draw(both, quantities=[quantity]).axes
        assert quantity in axes.get_xlabel() + axes.get_ylabel()
