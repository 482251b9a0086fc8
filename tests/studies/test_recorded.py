"""A record is joined to the run that it is of, and to no other."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from written_runs import write_record, write_run

from mlobs_client.client.observe import observe_trajectory
from mlobs_client.errors import RecordError
from mlobs_client.evaluate.toys.oscillators import ChargedOscillators
from mlobs_client.ipi import iterate_beads
from mlobs_client.studies import Run
from mlobs_client.studies.recorded import read_recorded

DIPOLES = np.random.default_rng(0).normal(size=(40, 1, 3))
MEMBERS = DIPOLES[:, :, None] + np.array([[-0.1], [0.1]])


@pytest.fixture
def run(tmp_path: Path) -> Run:
    prefix = tmp_path / "simulation"
    write_run(prefix, DIPOLES[:, 0], 20.0)
    write_record(tmp_path / "record.h5", prefix, {"dipole": DIPOLES, "committee_dipoles": MEMBERS})
    return Run(prefix)


@pytest.mark.parametrize("name", ["record.h5", ""])
def test_rows_are_put_in_the_order_of_steps_from_a_file_or_a_folder(run: Run, name: str) -> None:
    found = read_recorded(run, run.prefix.parent / name, "dipole")
    assert found.steps.tolist() == list(range(0, 160, 4))
    np.testing.assert_array_equal(found.values["dipole"], DIPOLES)
    np.testing.assert_array_equal(found.values["committee_dipoles"], MEMBERS)


def test_a_record_of_another_run_is_refused(run: Run) -> None:
    write_run(run.prefix, DIPOLES[::-1, 0], 20.0)
    with pytest.raises(RecordError, match="is the record of another run: its dipole differs"):
        read_recorded(run, run.prefix.with_name("record.h5"), "dipole")


def test_what_a_record_does_not_have_is_named(run: Run) -> None:
    with pytest.raises(RecordError, match="has no polarizability; it has dipole, committee_dip"):
        read_recorded(run, run.prefix.with_name("record.h5"), "polarizability")


def test_without_row_numbers_a_client_has_to_send_them(run: Run) -> None:
    run.prefix.with_name("simulation.record_row_0").unlink()
    with pytest.raises(RecordError, match="i-PI writes it with <trajectory extra_type='record_row"):
        read_recorded(run, run.prefix.with_name("record.h5"), "dipole")


def observed(folder: Path, seed: int, first: int = 0) -> tuple[Run, Path]:
    """A run of one atom and two beads from one start, and its record of ``mlobs observe``."""
    random, prefix, record = np.random.default_rng(seed), folder / "run", folder / "observed.h5"
    write_run(prefix, DIPOLES[:, 0], 20.0)
    places = np.cumsum(random.normal(size=(25, 2, 3)), axis=0)
    places[0] = 0.0
    for bead in range(2):
        frames = (
            f"1\n# CELL(abcABC): 20 20 20 90 90 90  Step: {first + 4 * t}  Bead: {bead} "
            f"positions{{atomic_unit}}  cell{{atomic_unit}}\nH {x} {y} {z}\n"
            for t, (x, y, z) in enumerate(places[:, bead])
        )
        prefix.with_name(f"run.pos_{bead}.xyz").write_text("".join(frames))
    model = ChargedOscillators(np.zeros((1, 3)), [1])
    observe_trajectory(iterate_beads(f"{prefix}.pos"), [model], ["dipole"], record)
    return Run(prefix), record


@pytest.mark.parametrize("first", [0, 2], ids=["other positions", "other steps"])
def test_what_was_observed_along_another_run_is_refused(tmp_path: Path, first: int) -> None:
    run, own = observed(tmp_path / "a", 1)
    _, foreign = observed(tmp_path / "b", 2, first)
    assert read_recorded(run, own, "dipole").values["dipole"].shape == (25, 2, 3)
    what = "its steps" if first else "at step 8 its positions"
    with pytest.raises(RecordError, match=f"is the record of another run: {what} are not those"):
        read_recorded(run, foreign, "dipole")


def test_what_was_observed_along_one_bead_belongs_to_the_run(tmp_path: Path) -> None:
    run, _ = observed(tmp_path, 1)
    alone = tmp_path / "alone"
    alone.mkdir()
    shutil.copy(tmp_path / "run.pos_1.xyz", alone / "x_0.xyz")
    model = ChargedOscillators(np.zeros((1, 3)), [1])
    observe_trajectory(iterate_beads(alone / "x"), [model], ["dipole"], tmp_path / "one.h5")
    assert read_recorded(run, tmp_path / "one.h5", "dipole").values["dipole"].shape == (25, 1, 3)


def test_a_record_that_cannot_be_compared_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run, record = observed(tmp_path, 1)
    for bead in range(2):
        (tmp_path / f"run.pos_{bead}.xyz").unlink()
    read_recorded(run, record, "dipole")
    assert f"{record}: cannot check whether this record belongs to the run" in caplog.text
