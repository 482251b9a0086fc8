"""Branches of the dipole are told apart or refused; responses come with their errors."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from mlobs_client.analysis.branches import average_beads, unwrap_dipole
from mlobs_client.analysis.response.polarization import (
    along_one_line,
    linear_response,
    polarization_against_field,
    susceptibility_from_fluctuations,
)
from mlobs_client.errors import RecordError
from mlobs_client.results.estimate import Estimate
from mlobs_client.units import MICROCOULOMB_PER_CM2, VOLT_PER_ANGSTROM

Array = npt.NDArray[np.float64]
CELL = np.array([[9.0, 0.4, -1.1], [2.3, 8.0, 0.7], [-0.6, 1.9, 11.0]])
VOLUME = abs(float(np.linalg.det(CELL)))
DIRECTION = np.array([2.0, -1.0, 2.0]) / 3.0


def legs(fields: Array, susceptibility: float, n_samples: int = 2000, seed: int = 0) -> list[Array]:
    """Noisy dipoles P = chi epsilon_0 E, epsilon_0 = 1/(4 pi)."""
    rng = np.random.default_rng(seed)
    return [
        VOLUME * susceptibility / (4 * np.pi) * field + 0.3 * rng.normal(size=(n_samples, 3))
        for field in fields
    ]


def test_the_susceptibility_of_a_linear_dielectric_is_found_within_its_error() -> None:
    fields = np.outer([0.1, -0.05, 0.0, 0.05], DIRECTION) * VOLT_PER_ANGSTROM
    pulls = []
    for seed in range(100):
        curve = polarization_against_field(fields, legs(fields, 7.0, 200, seed), VOLUME)
        pulls.append((curve.susceptibility.value - 7.0) / curve.susceptibility.error)
    # 100 pulls of width 1: mean to 0.1, width to 7 %
    assert abs(np.mean(pulls)) < 0.35
    assert np.std(pulls) == pytest.approx(1.0, abs=0.25)


def test_the_curve_is_sorted_signed_and_in_the_units_of_its_readers() -> None:
    fields = np.outer([0.1, -0.05, 0.0, 0.05], DIRECTION) * VOLT_PER_ANGSTROM
    curve = polarization_against_field(fields, legs(fields, 7.0), VOLUME)
    np.testing.assert_allclose(curve.direction, DIRECTION)
    np.testing.assert_allclose(curve.field, [-0.05, 0.0, 0.05, 0.1], atol=1e-12)
    # chi epsilon_0 x 0.1 V/angstrom = 7 x 8.8541878e-12 x 1e9 C/m^2 = 6.198 uC/cm^2
    assert curve.polarization[-1].value == pytest.approx(
        6.198, abs=4 * curve.polarization[-1].error
    )
    assert curve.slope.value == pytest.approx(61.98, abs=4 * curve.slope.error)
    assert curve.slope.unit == "uC/cm^2/(V/angstrom)"
    assert curve.polarization[0].unit == "uC/cm^2"
    assert curve.susceptibility.unit == "1"


def test_a_curve_is_points_and_the_line_through_them() -> None:
    fields = np.outer([0.05, 0.1, 0.15], DIRECTION) * VOLT_PER_ANGSTROM
    curve = polarization_against_field(fields, legs(fields, 7.0), VOLUME)
    line, points = curve.parts("classical")
    assert points.y == curve.polarization
    slope = np.diff(line.mean) / np.diff(line.x)
    assert slope == pytest.approx([curve.slope.value])
    assert (line.label, line.quantity) == (points.label, points.quantity)
    paired, _ = replace(curve, paired=True).parts("classical")
    assert paired.x[0] == 0.0  # the line goes through the origin
    assert curve.numbers("a")["susceptibility, a"] == curve.susceptibility


def test_each_run_is_divided_by_its_own_volume() -> None:
    fields = np.outer([0.1, -0.05, 0.05], DIRECTION) * VOLT_PER_ANGSTROM
    runs = legs(fields, 7.0)
    same = polarization_against_field(fields, runs, VOLUME)
    found = polarization_against_field(fields, runs, VOLUME * np.array([2.0, 1.0, 1.0]))
    ratios = [
        one.value / other.value
        for one, other in zip(found.polarization, same.polarization, strict=True)
    ]
    assert ratios == pytest.approx([1.0, 1.0, 0.5])  # with increasing field


@pytest.mark.parametrize("line", [DIRECTION, np.array([0.0, 0.0, 1.0])])
@pytest.mark.parametrize("strengths", [[-0.2, 0.0, 0.1], [-0.1, 0.0, 0.1], [-0.2, -0.1, 0.0]])
def test_the_direction_of_a_line_does_not_depend_on_the_fields_along_it(
    line: Array, strengths: list[float]
) -> None:
    direction, found = along_one_line(np.outer(strengths, line))
    np.testing.assert_allclose(direction, line, atol=1e-12)
    np.testing.assert_allclose(found, strengths, atol=1e-12)


def test_a_field_off_the_line_is_named() -> None:
    fields = np.array([[0.0, 0.0, 0.2], [0.1, 0.0, 0.0]]) * VOLT_PER_ANGSTROM
    with pytest.raises(RecordError, match=r"the field of one, \[0.1, 0.0, 0.0\] V/angstrom"):
        along_one_line(fields, ["strongest", "one"])


def test_a_response_that_is_not_linear_shows_in_chi_squared() -> None:
    fields = np.outer([-0.1, -0.05, 0.0, 0.05, 0.1], DIRECTION) * VOLT_PER_ANGSTROM
    linear = legs(fields, 7.0)
    bent = [run + 1e5 * (run @ DIRECTION).mean() * (field @ DIRECTION) ** 2 * DIRECTION
            for run, field in zip(linear, fields, strict=True)]  # fmt: skip
    assert polarization_against_field(fields, linear, VOLUME).chi_squared < 4
    assert polarization_against_field(fields, bent, VOLUME).chi_squared > 10


def test_legs_on_different_branches_are_joined_from_the_weakest_field_outwards() -> None:
    fields = np.outer([-0.1, -0.05, 0.0, 0.05, 0.1], DIRECTION) * VOLT_PER_ANGSTROM
    smooth = legs(fields, 7.0)
    jumps = np.array([[1, 0, -2], [0, 3, 0], [0, 0, 0], [-1, 1, 0], [0, 0, 1]])
    jumped = [run + jump @ CELL for run, jump in zip(smooth, jumps, strict=True)]
    expected = polarization_against_field(fields, smooth, VOLUME)
    found = polarization_against_field(fields, jumped, VOLUME, CELL)
    assert found.slope.value == pytest.approx(expected.slope.value, rel=1e-9)
    assert found.intercept.value == pytest.approx(expected.intercept.value, abs=1e-9)


def test_legs_whose_branches_cannot_be_told_are_refused() -> None:
    fields = np.outer([0.0, 0.5, 1.0], DIRECTION) * VOLT_PER_ANGSTROM
    halfway = [np.zeros((50, 3)), np.tile(0.5 * CELL[2], (50, 1)), np.tile(CELL[2], (50, 1))]
    with pytest.raises(RecordError, match="from one field to the next"):
        polarization_against_field(fields, halfway, VOLUME, CELL)


def test_impossible_input_is_refused() -> None:
    fields = np.outer([0.0, 0.5, 1.0], DIRECTION)
    runs = legs(fields, 1.0, 50)
    with pytest.raises(RecordError, match="one run each"):
        polarization_against_field(fields, runs[:2], VOLUME)
    with pytest.raises(RecordError, match="fields: 2 samples, but at least 3"):
        polarization_against_field(fields[:2], runs[:2], VOLUME)
    with pytest.raises(RecordError, match="is not along"):
        polarization_against_field(np.eye(3), runs, VOLUME)
    with pytest.raises(RecordError, match="all fields are zero"):
        polarization_against_field(np.zeros((3, 3)), runs, VOLUME)
    with pytest.raises(RecordError, match="volume = 0"):
        polarization_against_field(fields, runs, 0.0)
    with pytest.raises(RecordError, match="cell must have shape"):
        unwrap_dipole(runs[0], np.zeros((3, 3)))
    with pytest.raises(RecordError, match=r"must have shape \(n_beads, t, 3\)"):
        average_beads(runs[0])
    runs[1][4, 2] = np.inf
    with pytest.raises(RecordError, match=r"dipoles of field 1\[4, 2\] is inf"):
        polarization_against_field(fields, runs, VOLUME)


KT, CHARGE = 1e-3, 0.7
CONSTANTS = np.array([0.02, 0.03, 0.06])  # of springs along x, y, z, Eh/bohr^2


def ring_polymers(field: Array, n_beads: int, n_samples: int, seed: int) -> Array:
    """Dipoles [b, t, i] of a charge in harmonic wells, drawn from their exact distribution."""
    mass = 3000.0
    spring = mass * (n_beads * KT) ** 2 if n_beads > 1 else 0.0
    ring = spring * (
        2 * np.eye(n_beads) - np.roll(np.eye(n_beads), 1, 0) - np.roll(np.eye(n_beads), -1, 0)
    )
    rng = np.random.default_rng(seed)
    dipoles = np.empty((n_beads, n_samples, 3))
    for i, constant in enumerate(CONSTANTS):
        hessian = ring + constant * np.eye(n_beads)
        beads = rng.multivariate_normal(
            np.full(n_beads, CHARGE * field[i] / constant),
            n_beads * KT * np.linalg.inv(hessian),
            n_samples,
        )
        dipoles[:, :, i] = CHARGE * beads.T
    return dipoles


@pytest.mark.parametrize("n_beads", [1, 4])
def test_fluctuations_without_a_field_give_the_response_to_it(n_beads: int) -> None:
    # chi = 4 pi q^2/(k V), classical and quantum
    exact = 4.0 * np.pi * CHARGE**2 / CONSTANTS / VOLUME
    pulls = []
    for seed in range(60):
        free = average_beads(ring_polymers(np.zeros(3), n_beads, 300, seed))
        for i, direction in enumerate(np.eye(3)):
            found = susceptibility_from_fluctuations(free, VOLUME, KT, direction)
            pulls.append((found.value - exact[i]) / found.error)
    # 180 independent pulls of width 1: mean to 0.08, width to 5 %
    assert abs(np.mean(pulls)) < 0.35
    assert np.std(pulls) == pytest.approx(1.0, abs=0.25)
    fields = np.outer([0.0, 0.002, 0.004], DIRECTION)
    runs = [average_beads(ring_polymers(field, n_beads, 4000, 7)) for field in fields]
    curve = polarization_against_field(fields, runs, VOLUME)
    along = DIRECTION**2 @ exact
    assert curve.susceptibility.value == pytest.approx(along, abs=4 * curve.susceptibility.error)


def test_a_few_correlated_samples_are_as_wide_as_many_on_average() -> None:
    rng = np.random.default_rng(0)
    values = []
    for _ in range(300):
        steps = rng.normal(size=(200, 3))
        series = np.zeros((200, 3))
        series[0] = steps[0]
        for t in range(1, 200):  # correlated over 10 samples: g = 20, ten independent ones
            series[t] = 0.905 * series[t - 1] + np.sqrt(1.0 - 0.905**2) * steps[t]
        values.append(susceptibility_from_fluctuations(series, 4e3 * np.pi, 1e-3, DIRECTION).value)
    # without the correction for the mean of so few samples 0.90; 300 values give 1 to 0.015
    assert np.mean(values) == pytest.approx(1.0, abs=0.06)


def test_fluctuations_of_a_dipole_that_only_drifts_have_no_error() -> None:
    dipoles = np.outer(np.arange(50.0), np.ones(3))
    found = susceptibility_from_fluctuations(dipoles, VOLUME, KT, DIRECTION, interval=0.1)
    assert np.isnan(found.error)
    assert re.search(
        r"no error: \d+ independent samples, needs 50: run about [0-9.]+ ps more$", str(found)
    )


def test_one_microcoulomb_per_square_centimetre_is_that_of_codata() -> None:
    # 1 e/bohr^2 = 1.602176634e-19 C / (5.29177210544e-11 m)^2 = 57.2148 C/m^2
    assert pytest.approx(1.0, rel=1e-5) == 100.0 * MICROCOULOMB_PER_CM2 * 57.21476


def test_changes_against_runs_without_a_field_take_three_pairs_for_an_error() -> None:
    fields = np.outer([0.05, 0.1, 0.15], DIRECTION) * VOLT_PER_ANGSTROM
    rng = np.random.default_rng(3)

    def change(field: Array) -> Array:
        """A response that still grows, with an error of its own in each pair."""
        growing = np.linspace(0.5, 1.0, 60)[:, None] * 40.0 * field
        return growing + rng.normal(scale=0.02, size=3)

    few = [[change(field) for _ in range(2)] for field in fields]
    found = polarization_against_field(fields, few, VOLUME, paired=True)
    assert {one.no_error for one in found.polarization} == {"2 pairs of runs, needs 3"}
    assert found.slope.no_error == "2 pairs of runs, needs 3"
    many = [[change(field) for _ in range(8)] for field in fields]
    found = polarization_against_field(fields, many, VOLUME, paired=True)
    # the mean response of 0.75 times 40 bohr^3 for each e/E
    exact = 4.0 * np.pi * 0.75 * 40.0 / VOLUME
    assert found.susceptibility.value == pytest.approx(exact, abs=3 * found.susceptibility.error)
    assert found.susceptibility.error < 0.2 * exact
    assert (found.intercept.value, found.intercept.error) == (0.0, 0.0)


def test_a_predicted_polarization_has_the_errors_of_its_start_and_of_its_slope() -> None:
    start, response = Estimate(2.0, 0.3, "uC/cm^2", 50.0), Estimate(10.0, 1.0, "1", 50.0)
    found = linear_response(start, response, -0.1)
    # epsilon_0 is 8.8541878 uC/cm^2 per V/angstrom
    assert found.value == pytest.approx(2.0 - 8.8541878)
    assert found.error == pytest.approx(np.hypot(0.3, 0.88541878))
    assert found.unit == "uC/cm^2"
    assert linear_response(start.without_error("too short"), response, 0.1).no_error == "too short"
    assert linear_response(start, response.without_error("few"), 0.1).no_error == "few"
