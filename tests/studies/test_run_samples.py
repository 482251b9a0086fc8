"""Dipoles of several runs: of one system, after the equilibration, on one branch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from written_runs import write_run

from mlobs_client.errors import ConfigError, RecordError
from mlobs_client.results.skip import Skip
from mlobs_client.studies import Run, RunSet
from mlobs_client.studies.run_samples import kept

LENGTH = 10.0  # bohr; the quantum of the dipole is 10 e bohr
STRIDE = 2.0  # fs between samples: each fourth step of 0.5 fs
FEMTOSECOND = 41.341373335  # atu, CODATA


def write(folder: Path, dipoles: np.ndarray, length: float = LENGTH) -> Path:
    write_run(folder / "simulation", dipoles, length)
    return folder / "simulation"


def noise(seed: int, n: int = 200) -> np.ndarray:
    return 0.1 * np.random.default_rng(seed).normal(size=(n, 3))


def test_runs_are_read_with_their_cell_and_the_time_between_samples(tmp_path: Path) -> None:
    prefixes = tuple(write(tmp_path / name, noise(i)) for i, name in enumerate("ab"))
    found = RunSet(prefixes).dipoles()
    for i, dipoles in enumerate(found.values):
        np.testing.assert_allclose(dipoles, noise(i), rtol=1e-11)  # 13 digits are written
    assert found.spacing == pytest.approx(STRIDE * FEMTOSECOND, rel=1e-8)
    assert found.volume == pytest.approx(1000.0, rel=1e-9)
    np.testing.assert_allclose(found.cell, LENGTH * np.eye(3), atol=1e-9)
    assert found.parts == [[slice(0, 200)]] * 2


def test_skipping_leaves_the_same_time_out_of_each_run(tmp_path: Path) -> None:
    prefixes = (write(tmp_path / "a", noise(0)), write(tmp_path / "b", noise(1, 100)))
    found = RunSet(prefixes, 0.1).dipoles()  # ps: 50 samples
    assert [len(one) for one in found.values] == [150, 50]
    np.testing.assert_allclose(found.values[1], noise(1, 100)[50:], rtol=1e-11)
    said = r"b.simulation: shorter than the 0\.3 ps of --skip: its 100 samples last 0\.198 ps; skip"
    with pytest.raises(RecordError, match=said):
        RunSet(prefixes, 0.3).dipoles()


def test_a_run_that_is_too_short_is_refused_with_what_was_skipped(tmp_path: Path) -> None:
    prefix = write(tmp_path / "a", noise(0))
    with pytest.raises(
        RecordError, match=r"shorter than the 99\.6% of --skip: its 200 samples; skip less"
    ):
        RunSet((prefix,), fraction=0.996).dipoles()
    with pytest.raises(RecordError, match=r"simulation: too few samples, 1; run longer"):
        kept(Run(prefix), np.array([0]), Skip())


def test_runs_of_different_cells_or_sampling_times_are_refused(tmp_path: Path) -> None:
    first = write(tmp_path / "a", noise(0))
    with pytest.raises(RecordError, match="the mean volumes differ"):
        _ = RunSet((first, write(tmp_path / "b", noise(1), 11.0))).dipoles().volume
    other = write(tmp_path / "c", noise(1))
    table = other.with_name("simulation.out")
    rows = table.read_text().splitlines(keepends=True)
    slower = []
    for row in rows:
        step, *rest = row.split()
        slower.append(row if step == "#" else f"{step} {2 * float(rest[0]):.10e} 0 0\n")
    table.write_text("".join(slower))
    with pytest.raises(RecordError, match=r"sampling times of .* differ"):
        _ = RunSet((first, other)).dipoles().spacing


def test_a_run_that_is_whole_quanta_away_is_moved_and_this_is_said(tmp_path: Path) -> None:
    away = np.array([2.0, 0.0, -1.0]) * LENGTH
    prefixes = (write(tmp_path / "a", noise(0)), write(tmp_path / "b", noise(1, 100) + away))
    found, said = RunSet(prefixes).dipoles().aligned()
    np.testing.assert_allclose(found.values[1], noise(1, 100), atol=1e-9)
    (line,) = said
    assert line.startswith(f"{prefixes[1]}: the mean dipole is [2, 0, -1] quanta")


def test_a_run_on_no_branch_is_refused_and_the_remedy_is_said(tmp_path: Path) -> None:
    half = np.array([0.5, 0.0, 0.0]) * LENGTH
    prefixes = (write(tmp_path / "a", noise(0)), write(tmp_path / "b", noise(1) + half))
    samples = RunSet(prefixes).dipoles()
    with pytest.raises(RecordError, match="run longer, or give --branches keep"):
        samples.aligned()
    assert len(samples.values) == 2  # which is: not to align


def test_runs_that_relax_are_moved_to_the_branch_of_those_at_rest(tmp_path: Path) -> None:
    rest = RunSet((write(tmp_path / "rest", noise(0)),)).dipoles()
    decay = np.exp(-np.arange(200) / 10.0)[:, None] * np.array([3.0, 0.0, 0.0])
    prefixes = (write(tmp_path / "pulse", noise(1) + decay + [0.0, LENGTH, 0.0]),)
    found, (said,) = RunSet(prefixes).dipoles().aligned_to(rest)
    np.testing.assert_allclose(found.values[0], noise(1) + decay, atol=1e-9)
    assert "[0, 1, 0] quanta" in said


def test_another_temperature_than_that_of_the_thermostat_is_refused(tmp_path: Path) -> None:
    prefix = write(tmp_path / "a", noise(0))
    (tmp_path / "a" / "input.xml").write_text(
        "<simulation><output prefix='simulation'/><system><motion><dynamics mode='nvt'/></motion>"
        "<ensemble><temperature units='kelvin'> 250 </temperature></ensemble></system>"
        "</simulation>"
    )
    with pytest.raises(ConfigError, match="was run at 250 K"):
        RunSet((prefix,), 0.0, 300.0).dipoles()
    assert len(RunSet((prefix,), 0.0, 250.0).dipoles().values) == 1


def test_samples_begin_after_what_is_skipped_and_tell_their_spacing(tmp_path: Path) -> None:
    prefix = write(tmp_path / "a", np.zeros((50, 3)))  # each 4 steps of 0.5 fs
    chosen = RunSet((prefix,), 0.02).dipoles()
    assert chosen.steps[0].tolist() == list(range(40, 200, 4))
    assert chosen.parts == [[slice(0, 40)]]
    assert chosen.spacing == pytest.approx(2.0 * FEMTOSECOND)


def test_a_fraction_of_the_samples_may_be_left_out_in_place_of_a_time(tmp_path: Path) -> None:
    prefix = write(tmp_path / "a", noise(0))
    found = RunSet((prefix,), fraction=0.15).dipoles()
    np.testing.assert_allclose(found.values[0], noise(0)[30:], rtol=1e-11)
