"""What a run of the real i-PI wrote, read by its prefix."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mlobs_client.errors import RecordError
from mlobs_client.ipi import read_beads
from mlobs_client.results.skip import Skip
from mlobs_client.studies.run_samples import kept
from mlobs_client.studies.run_set import RunSet
from mlobs_client.studies.runs import Dipoles, Run
from mlobs_client.units import ANGSTROM, FEMTOSECOND


def test_the_time_step_is_that_of_the_input(finished_run: Path) -> None:
    run = Run(finished_run / "simulation")
    # i-PI prints nine digits
    assert run.timestep == pytest.approx(0.5 * FEMTOSECOND, rel=1e-7)
    assert run.spacing(run.dipoles().steps) == pytest.approx(1.0 * FEMTOSECOND, rel=1e-7)


def test_the_volume_is_that_of_the_triclinic_cell(finished_run: Path) -> None:
    assert Run(finished_run / "simulation").volume == pytest.approx(
        20.0 * 21.0 * 22.0 * ANGSTROM**3, rel=1e-5
    )


def test_the_dipole_is_the_mean_over_the_beads(finished_run: Path) -> None:
    run = Run(finished_run / "simulation")
    dipoles = run.dipoles()
    positions = read_beads(finished_run / "simulation.pos").values  # [step, bead, atom, 3]
    assert dipoles.members is None
    assert dipoles.mean.shape == (201, 3)
    # q-TIP4P/F: charges of 0.5564 e on H, -1.1128 e on M = 0.73612 O + 0.13194 (H1 + H2)
    site = 0.73612 * positions[:, :, 0] + 0.13194 * (positions[:, :, 1] + positions[:, :, 2])
    exact = 0.5564 * (positions[:, :, 1] + positions[:, :, 2]) - 1.1128 * site
    # positions are printed with 6 significant digits or so
    np.testing.assert_allclose(dipoles.mean, exact.mean(axis=1), atol=1e-5)


def test_members_keep_their_own_dipoles() -> None:
    random = np.random.default_rng(1)
    members = random.normal(size=(7, 2, 3, 3))  # [step, bead, member, i]
    dipoles = Dipoles.of(np.arange(7), members.mean(axis=2), members)
    assert dipoles.members is not None
    np.testing.assert_allclose(dipoles.members[2], members[:, :, 2].mean(axis=1))
    np.testing.assert_allclose(dipoles.mean, dipoles.members.mean(axis=0))


def test_uneven_samples_are_refused_with_their_strides(finished_run: Path) -> None:
    run = Run(finished_run / "simulation")
    with pytest.raises(RecordError, match=r"\[2, 4\] steps apart"):
        run.spacing(np.array([0, 2, 4, 8]))


def test_a_prefix_without_outputs_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"simulation\.out"):
        _ = Run(tmp_path / "simulation").timestep


@pytest.mark.parametrize("prefix", [".", "/"])
def test_a_folder_is_no_prefix(prefix: str) -> None:
    with pytest.raises(RecordError, match="is a folder; give the prefix"):
        _ = Run(Path(prefix)).properties


def write_properties(folder: Path, timesteps: list[float], n_steps: int = 1000) -> Run:
    """A run of pieces of ``n_steps`` with these time steps, fs."""
    times = np.concatenate([[0.0], np.cumsum(np.repeat(timesteps, n_steps))])
    header = "# column 1 --> step : n\n# column 2 --> time{femtosecond} : t\n"
    rows = (f"{step} {time:.8e}\n" for step, time in enumerate(times))
    (folder / "simulation.out").write_text(header + "".join(rows))
    return Run(folder / "simulation")


def test_pieces_with_other_time_steps_are_refused_with_their_numbers_and_skipping_helps(
    tmp_path: Path,
) -> None:
    run, steps = write_properties(tmp_path, [0.5, 0.25]), np.arange(0, 2001, 5)
    with pytest.raises(
        RecordError, match=r"0.5 fs from step 0 to 1000, 0.25 fs from step 1000 to 2000.* --skip"
    ) as refused:
        run.spacing(steps)
    skip = float(str(refused.value).split("--skip ")[1].split()[0])
    assert skip == pytest.approx(0.5, abs=1e-4)  # ps
    left = steps[kept(run, steps, Skip(skip))]
    assert left[0] == 1000
    assert run.spacing(left) == pytest.approx(5 * 0.25 * FEMTOSECOND, rel=1e-6)


def test_a_stretch_of_one_time_step_is_one_piece_however_long(tmp_path: Path) -> None:
    run = write_properties(tmp_path, [0.5, 0.5])
    assert run.spacing(np.arange(0, 2001, 4)) == pytest.approx(2.0 * FEMTOSECOND, rel=1e-7)
    # what lies outside of the rows goes on in the same way
    np.testing.assert_allclose(
        run.times(np.array([-2, 0, 2010])) / FEMTOSECOND, [-1.0, 0.0, 1005.0], rtol=1e-6
    )


def test_inputs_of_a_run_are_what_was_read_and_what_says_how_it_was_run(finished_run: Path) -> None:
    run = Run(finished_run / "simulation")
    of_run = {"input.xml", "RESTART", "init.xyz"}  # the start, too
    assert {path.name for path in run.inputs} == of_run
    run.positions()
    _ = run.is_molecule, run.timestep
    outputs = {"simulation.out", "simulation.pos_0.xyz", "simulation.pos_1.xyz"}
    assert {path.name for path in run.inputs} == of_run | outputs


def test_positions_of_several_runs_are_cut_like_everything_else(finished_run: Path) -> None:
    prefix = finished_run / "simulation"
    whole = Run(prefix).positions()
    first, second = RunSet((prefix, prefix), skip=0.1).positions()
    late = whole.steps >= 200
    for one in (first, second):
        np.testing.assert_array_equal(one.steps, whole.steps[late])
        np.testing.assert_array_equal(one.values, whole.values[late])
        assert len(one.cells) == len(one.steps)
    with pytest.raises(RecordError, match=r"shorter than the 1 ps of --skip"):
        RunSet((prefix,), skip=1.0).positions()
