"""The figures of a field scan have all numbers with their errors beside them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scans import CELL, DIRECTION, draw_sample

from mlobs_client.errors import ConfigError
from mlobs_client.plot import draw
from mlobs_client.results import Points, Result
from mlobs_client.studies.field_scan import Scan, ScanSettings, analyse
from mlobs_client.studies.field_scan_figure import DRAWN, against_field, distributions
from mlobs_client.units import MICROCOULOMB_PER_CM2


@pytest.fixture(scope="module")
def curves() -> list[Scan]:
    return analyse(
        [
            draw_sample(field, 0.2, n_beads, n_samples=120)
            for n_beads in (1, 2)
            for field in (0.0, 0.1, 0.3)
        ],
        ScanSettings(),
    )


def of_quantity(found: Result, name: str) -> list[Points]:
    return [one for one in found.points if one.quantity == name and not one.is_line]


def test_the_scan_has_every_number_with_its_error_at_each_field(
    curves: list[Scan], tmp_path: Path
) -> None:
    against_field(curves).write(tmp_path / "scan")
    found = Result.read(tmp_path / "scan.json")
    labels = ["classical", "2 beads"]
    for name, unit in (
        ("polarization", "uC/cm^2"), ("O-H length", "angstrom"), ("P1", "1"), ("P2", "1"),
        ("O-O peak", "angstrom"), ("O-O peak height", "1"),
        ("D from displacements", "angstrom^2/ps"), ("D over D at zero field", "1"),
        ("MSD exponent alpha", "1"), ("time", "ps"), ("runs", "1"),
    ):  # fmt: skip
        points = of_quantity(found, name)
        assert [one.label for one in points] == labels, name
        for one in points:
            assert (one.unit, one.x.tolist()) == (unit, [0.0, 0.1, 0.3]), name
            assert np.isfinite(one.mean).all(), name
            assert (one.error >= 0.0).all() or name.startswith("MSD"), name
    velocities = of_quantity(found, "D from velocities")
    assert [one.label for one in velocities] == [f"{one}, from velocities" for one in labels]
    assert of_quantity(found, "D of an infinite cell") == []  # needs a viscosity
    assert found.numbers["susceptibility from fluctuations at zero field, classical"].error > 0.0
    assert found.numbers["susceptibility, 2 beads"] == curves[1].polarization.susceptibility  # type: ignore[union-attr]
    (arrest, _) = of_quantity(found, "D over D at zero field")
    assert str(arrest.details["arrest"]).startswith("diffusion is arrested (D below 0.1 of")
    (classical, _) = of_quantity(found, "D from displacements")
    assert classical.details["lags at 0.3 V/angstrom (ps)"] == "0.07 to 0.15"


def test_the_figure_has_four_panels_and_says_which_errors_and_estimators_it_shows(
    curves: list[Scan],
) -> None:
    figure = draw(against_field(curves), quantities=DRAWN)
    assert len(figure.axes) == 4
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels[:4] == [f"{one}{end}" for end in ("", ", from velocities")
                          for one in ("classical", "2 beads")]  # fmt: skip
    (bars,) = [one for one in labels if one.startswith("bars: ±1 standard error")]
    assert "scatter of 4 blocks" in bars
    notes = " ".join(figure.legends[0].get_title().get_text().split()).split("; ")
    assert {"classical nuclei", "diffusion: centroids", "lengths, angles: each bead"} <= set(notes)
    assert max(len(line) for one in labels for line in one.splitlines()) <= 26  # two columns


def linear_response(curves: list[Scan]) -> Points:
    first = next(one for one in against_field(curves).points if one.is_line)
    assert (first.quantity, first.label) == ("polarization", "classical")
    return first


def test_the_line_in_the_first_panel_is_the_linear_response(curves: list[Scan]) -> None:
    line = linear_response(curves)
    assert curves[0].susceptibility is not None
    # epsilon_0 x 1 V/angstrom = 8.8541878e-12 x 1e10 C/m^2 = 8.8541878 uC/cm^2
    slope = 8.8541878 * curves[0].susceptibility.value
    assert (line.mean[2] - line.mean[0]) / 0.3 == pytest.approx(slope)
    # it starts at the mean of a run, whose error it shares
    (polarization, _) = of_quantity(against_field(curves), "polarization")
    assert line.error[0] == polarization.error[0] > 0.0
    of_slope = 0.3 * 8.8541878 * curves[0].susceptibility.error
    assert line.error[2] == pytest.approx(np.hypot(line.error[0], of_slope))
    polarization = draw(against_field(curves), quantities=DRAWN).axes[0]
    drawn = [one for one in polarization.lines if one.get_linestyle() == "--"]
    np.testing.assert_array_equal(drawn[0].get_data(), [line.x, line.mean])


def test_the_linear_response_starts_from_the_polarization_at_zero_field() -> None:
    samples = [draw_sample(field, 0.2, n_samples=120) for field in (0.0, -0.3, 0.1)]
    line = linear_response(analyse(samples, ScanSettings()))
    at_zero = dict(zip(line.x, line.mean, strict=True))[0.0]
    zero = samples[0]
    exact = zero.dipoles.mean(axis=0) @ DIRECTION / np.linalg.det(CELL) / MICROCOULOMB_PER_CM2
    assert at_zero == pytest.approx(exact)


def test_two_fields_have_two_polarizations() -> None:
    samples = [draw_sample(field, 0.2, n_samples=120) for field in (0.1, 0.3)]
    (found,) = of_quantity(against_field(analyse(samples, ScanSettings())), "polarization")
    means = [sample.dipoles.mean(axis=0) @ DIRECTION for sample in samples]
    exact = np.array(means) / np.linalg.det(CELL) / MICROCOULOMB_PER_CM2
    np.testing.assert_allclose(found.mean, exact, rtol=1e-9)


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
        against_field([])
    with pytest.raises(ConfigError, match="no run of a field scan"):
        distributions([])
