"""A field scan of molecules that are drawn finds what they were drawn from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scans import ANGLE, CELL, KT, MOMENT, N_MOLECULES, draw_sample

from mlobs_client.errors import RecordError
from mlobs_client.studies.field_scan import Scan, ScanSettings, analyse
from mlobs_client.units import MICROCOULOMB_PER_CM2, VOLT_PER_ANGSTROM

FIELDS = (0.0, 0.05, 0.3)
DIFFUSION = (0.2, 0.2, 0.001)  # angstrom^2/ps
# without the motion of the center of mass
HELD = 1.0 - 1.0 / N_MOLECULES


def langevin(field: float) -> float:
    """Mean cosine of a free dipole in a field of V/angstrom."""
    x = field * VOLT_PER_ANGSTROM * MOMENT / KT
    return float(1.0 / np.tanh(x) - 1.0 / x) if x != 0.0 else 0.0


@pytest.fixture(scope="module")
def curves() -> list[Scan]:
    samples = [
        draw_sample(field, diffusion, n_beads, seed=seed)
        for seed, (n_beads, field, diffusion) in enumerate(
            (n_beads, field, diffusion)
            for n_beads in (2, 1)
            for field, diffusion in zip(FIELDS, DIFFUSION, strict=True)
        )
    ]
    samples += [draw_sample(field, 0.2, 1, seed=9) for field in (0.0, 0.05)]  # another seed
    return analyse(samples, ScanSettings(n_blocks=8, window=(0.05, 0.2), viscosity=0.85))


def test_there_is_one_curve_for_each_number_of_beads(curves: list[Scan]) -> None:
    assert [curve.label for curve in curves] == ["classical", "2 beads"]
    for curve in curves:
        np.testing.assert_allclose([point.field for point in curve.points], FIELDS)


def test_runs_that_differ_in_their_seed_are_taken_together(curves: list[Scan]) -> None:
    assert [point.n_runs for point in curves[0].points] == [2, 2, 1]
    assert [point.duration for point in curves[0].points] == pytest.approx([8.0, 8.0, 4.0])


def test_polarization_and_order_are_those_of_langevin(curves: list[Scan]) -> None:
    volume = float(np.linalg.det(CELL))
    for curve in curves:
        assert curve.polarization is not None
        for row, field in zip(curve.rows, FIELDS, strict=True):
            exact = langevin(field)
            assert row["P1"].value == pytest.approx(exact, abs=4 * row["P1"].error)
            full = N_MOLECULES * MOMENT / volume / MICROCOULOMB_PER_CM2
            polarization = row["polarization"]
            assert polarization.unit == "uC/cm^2"
            assert polarization.value == pytest.approx(exact * full, abs=4 * polarization.error)


@pytest.mark.parametrize("fields", [(-0.2, 0.0, 0.1), (-0.1, 0.0, 0.1)])
def test_fields_of_both_signs_keep_their_signs_and_their_rows(
    fields: tuple[float, float, float],
) -> None:
    diffusion = dict(zip(fields, (0.001, 0.2, 0.1), strict=True))
    given = (fields[1], fields[0], fields[2])
    samples = [draw_sample(field, diffusion[field], seed=3) for field in given]
    (curve,) = analyse(samples, ScanSettings(n_blocks=8, window=(0.05, 0.2)))
    assert [point.field for point in curve.points] == list(fields)
    assert curve.arrest is not None
    assert curve.arrest.phases == ("arrested", "liquid", "liquid")
    full = N_MOLECULES * MOMENT / float(np.linalg.det(CELL)) / MICROCOULOMB_PER_CM2
    for row, field in zip(curve.rows, fields, strict=True):
        polarization, cosine = row["polarization"], row["P1"]
        assert polarization.value == pytest.approx(
            langevin(field) * full, abs=4 * polarization.error
        )
        assert cosine.value == pytest.approx(langevin(field), abs=4 * cosine.error)
        ratio = row["D over D at zero field"]
        exact = diffusion[field] / diffusion[0.0]
        assert ratio.value == pytest.approx(exact, abs=max(4 * ratio.error, 0.05))


@pytest.mark.parametrize("of", [0, 1])
def test_each_point_has_its_own_volume(of: int) -> None:
    samples = [draw_sample(field, 0.2, n_samples=120) for field in (-0.1, 0.0, 0.3)]
    samples = [replace(sample, has_barostat=True) for sample in samples]
    (same,) = analyse(samples, ScanSettings())
    grown = replace(samples[of].positions, cells=1.1 * samples[of].positions.cells)
    samples[of] = replace(samples[of], positions=grown)
    (found,) = analyse(samples, ScanSettings())
    factors = [1.0, 1.0, 1.0]
    factors[of] = 1.1**-3
    for row, before, factor in zip(found.rows, same.rows, factors, strict=True):
        assert row["polarization"].value == pytest.approx(factor * before["polarization"].value)
    response = factors[1] * same.susceptibility.value  # of the fluctuations at zero field
    assert found.susceptibility.value == pytest.approx(response)


def test_the_linear_response_is_that_of_free_dipoles(curves: list[Scan]) -> None:
    # 4 pi n mu^2/(3 V kT)
    exact = 4 * np.pi * N_MOLECULES * MOMENT**2 / (3 * KT * np.linalg.det(CELL))
    for curve in curves:
        assert curve.susceptibility.value == pytest.approx(
            exact, abs=4 * curve.susceptibility.error
        )
        assert curve.susceptibility.error < 0.15 * exact


def test_molecules_keep_their_shape(curves: list[Scan]) -> None:
    for curve in curves:
        for point in curve.points:
            assert point.bond_length.value == pytest.approx(0.975, abs=1e-6)
            # all in one bin of 0.01 angstrom
            assert point.bonds.mean.max() == pytest.approx(100.0)
    assert np.rad2deg(ANGLE) == pytest.approx(105.0)


def test_both_diffusion_coefficients_are_those_of_the_steps(curves: list[Scan]) -> None:
    for curve in curves:
        for row, exact in zip(curve.rows, DIFFUSION, strict=True):
            displacements, velocities = row["D from displacements"], row["D from velocities"]
            power = row["MSD exponent alpha"]
            error = displacements.error
            if exact == 0.001:  # shaken by hydrogens, which move the center of mass
                error = 0.2 * exact if displacements.no_error else error
            else:
                assert not displacements.no_error
                assert power.value == pytest.approx(1.0, abs=4 * power.error)
            assert displacements.value == pytest.approx(exact * HELD, abs=4 * error)
            # the same sums over the same steps, but for their ends
            assert velocities.value == pytest.approx(displacements.value, rel=0.2)


def test_the_size_of_the_cell_is_corrected_at_zero_field_only(curves: list[Scan]) -> None:
    for curve in curves:
        first, *others = curve.points
        # 0.07335 angstrom^2/ps in 10 angstrom, see the tests of diffusion
        added = first.corrected.value - first.displacements.coefficient.value
        assert added == pytest.approx(0.07335 * 10.0 / 9.0, abs=1e-4)
        assert [point.corrected for point in others] == [None, None]


def test_arrest_is_seen_where_the_steps_get_small(curves: list[Scan]) -> None:
    for curve in curves:
        assert curve.arrest.phases == ("liquid", "liquid", "arrested")


def test_atoms_that_still_fly_show_no_arrest(caplog: pytest.LogCaptureFixture) -> None:
    samples = [draw_sample(field, 0.0) for field in FIELDS]
    for sample in samples:
        speeds = np.random.default_rng(2).normal(size=(1, 1, N_MOLECULES, 1, 3))
        flight = np.arange(400).reshape(-1, 1, 1, 1, 1) * 0.01 * speeds
        sample.positions.values[:] += flight.repeat(3, axis=3).reshape(400, 1, -1, 3)
    (curve,) = analyse(samples, ScanSettings())
    assert curve.arrest is None
    assert (
        "without a field, from 0.25 to 0.5 ps the mean squared displacement grows as t^2.0"
        in caplog.text
    )
    assert curve.points[0].displacements.msd_exponent.value == pytest.approx(2.0, abs=0.1)
    assert np.isnan(curve.rows[0]["D from displacements"].error)


@pytest.mark.parametrize(("window", "n_samples"), [(None, 5), ((0.05, 0.2), 12)])
def test_a_run_that_has_just_begun_is_left_out_by_its_name(
    window: tuple[float, float] | None, n_samples: int, caplog: pytest.LogCaptureFixture
) -> None:
    samples = [draw_sample(field, 0.2, seed=4) for field in (0.0, 0.1, 0.2)]
    begun = [draw_sample(0.3, 0.2, n_beads, n_samples=n_samples, seed=5) for n_beads in (1, 2)]
    settings = ScanSettings(window=window)
    (curve,) = analyse([*samples, *begun], settings)
    assert [point.field for point in curve.points] == [0.0, 0.1, 0.2]
    assert curve.polarization is not None
    assert len(curve.polarization.polarization) == len(curve.rows) == 3
    for n_beads, label in ((1, "classical"), (2, "2 beads")):
        name = f"beads={n_beads}_field=0.3_seed=5"
        assert f"{label}: 0.3 V/angstrom is left out ({name}): " in caplog.text
    with pytest.raises(RecordError, match="no field has runs that can be analysed"):
        analyse(begun, settings)


def test_a_run_of_a_few_frames_gives_all_but_errors_and_says_how_much_longer_it_must_be() -> None:
    (curve,) = analyse([draw_sample(0.3, 0.2, n_samples=12, seed=5)], ScanSettings())
    (row,) = curve.rows
    # two blocks of six samples every 10 fs; three take 0.06 ps more, one step to each frame
    reason = "2 blocks, needs 3: run 0.06 ps (6 steps) more"
    assert row["D from displacements"].no_error == reason
    for name in ("polarization", "O-H length", "P1", "D from displacements"):
        assert np.isfinite(row[name].value)
    (longer,) = analyse([draw_sample(0.3, 0.2, n_samples=18, seed=5)], ScanSettings())
    assert longer.points[0].displacements.rate.error > 0.0


def test_what_short_runs_do_not_give_is_said(caplog: pytest.LogCaptureFixture) -> None:
    (curve,) = analyse([draw_sample(0.1, 0.2), draw_sample(0.2, 0.2)], ScanSettings())
    assert (curve.polarization, curve.susceptibility, curve.arrest) == (None, None, None)
    for what in ("no line through polarizations", "no linear response", "no field of arrest"):
        assert f"classical: {what}: " in caplog.text


def test_runs_of_one_field_on_other_branches_count_as_on_one(
    caplog: pytest.LogCaptureFixture,
) -> None:
    samples = [draw_sample(field, 0.2, seed=k) for k, field in enumerate((0.0, 0.0, 0.1, 0.2))]
    (right,) = analyse(samples, ScanSettings())
    moved = samples[1].dipoles + np.array([1.0, 0.0, -2.0]) @ CELL
    samples[1] = replace(samples[1], dipoles=moved)
    (found,) = analyse(samples, ScanSettings())
    said = f"{samples[1].name}: the mean dipole is [1, 0, -2] quanta"
    assert caplog.text.count(said) == 1
    assert right.susceptibility is not None
    assert found.susceptibility is not None
    assert found.susceptibility.value == pytest.approx(right.susceptibility.value)
    assert found.rows[0]["polarization"] is not None
    before, after = right.rows[0]["polarization"], found.rows[0]["polarization"]
    assert after.value == pytest.approx(before.value)
    assert after.error == pytest.approx(before.error)
