"""Observing afterwards gives what the client gave, once, whatever is killed in between."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import ase.io
import numpy as np
import pytest

from mlobs_client.client.observe import export_extxyz, observe_trajectory, read_observed
from mlobs_client.client.total_energy import predict
from mlobs_client.errors import MissingObservable, RecordError
from mlobs_client.evaluate.evaluation import Evaluation
from mlobs_client.evaluate.toys.oscillators import ChargedOscillators
from mlobs_client.ipi import Frame
from mlobs_client.record import open_record
from mlobs_client.structure import Structure
from mlobs_client.terms.field import UniformField

RNG = np.random.default_rng(11)
SITES = RNG.uniform(0.0, 8.0, (3, 3))
CELL = np.array([[10.0, 0.0, 0.0], [1.0, 11.0, 0.0], [0.5, 0.7, 12.0]])
WANTED = ("dipole", "polarizability", "polarizability_gradient")
N_STEPS, N_BEADS = 6, 2


class CountingOscillators(ChargedOscillators):
    """Charged oscillators that remember how many structures they have seen."""

    n_seen = 0
    stop_after = 10**9

    def __call__(
        self, structures: Sequence[Structure], wanted: frozenset[str], *, derivatives: bool = True
    ) -> Evaluation:
        self.n_seen += len(structures)
        if self.n_seen > self.stop_after:
            raise KeyboardInterrupt
        return super().__call__(structures, wanted)


def make_evaluator() -> CountingOscillators:
    slope = np.random.default_rng(2).normal(size=(3, 3, 3))
    return CountingOscillators(SITES, [-2, 1, 1], polarizability_slope=slope)


def make_frames(n_steps: int = N_STEPS, seed: int = 1) -> Iterator[Frame]:
    rng = np.random.default_rng(seed)
    numbers = np.array([8, 1, 1])
    for step, bead in itertools.product(range(n_steps), range(N_BEADS)):
        positions = SITES + rng.normal(size=(3, 3), scale=0.1)
        labels = ("O", "H", "H")
        yield Frame("positions", numbers, positions, CELL, labels, step=10 * step, bead=bead)


def test_observing_gives_what_the_client_predicts(tmp_path: Path) -> None:
    evaluator = make_evaluator()
    observe_trajectory(make_frames(), [evaluator], WANTED, tmp_path / "a.h5", batch_size=5)
    found = read_observed(tmp_path / "a.h5")
    structures = [frame.structure for frame in make_frames()]
    expected = predict(structures, [evaluator], (), frozenset(WANTED))
    assert found.steps.tolist() == [0, 10, 20, 30, 40, 50]
    for name in WANTED:
        values = np.array([prediction.observables[name] for prediction in expected])
        values = values.reshape(N_STEPS, N_BEADS, *values.shape[1:])
        np.testing.assert_array_equal(found.values[name], values)


def test_terms_change_observables_as_in_the_simulation(tmp_path: Path) -> None:
    evaluator, field = make_evaluator(), np.array([0.01, -0.02, 0.03])
    term = UniformField(field, second_order=True)
    wanted = ("dipole", "polarizability")
    observe_trajectory(make_frames(), [evaluator], wanted, tmp_path / "a.h5", terms=[term])
    observe_trajectory(make_frames(), [evaluator], wanted, tmp_path / "b.h5")
    inside, outside = read_observed(tmp_path / "a.h5"), read_observed(tmp_path / "b.h5")
    alpha = outside.values["polarizability"]
    induced = 0.5 * np.einsum("sbij,j->sbi", alpha + np.swapaxes(alpha, 2, 3), field)
    np.testing.assert_allclose(
        inside.values["dipole"], outside.values["dipole"] + induced, rtol=1e-13
    )


def test_a_killed_observation_goes_on_where_it_stopped(tmp_path: Path) -> None:
    observe_trajectory(make_frames(), [make_evaluator()], WANTED, tmp_path / "whole.h5")
    path, evaluator = tmp_path / "a.h5", make_evaluator()
    evaluator.stop_after = 8
    with pytest.raises(KeyboardInterrupt):
        observe_trajectory(make_frames(), [evaluator], WANTED, path, batch_size=3)
    assert len(open_record(path)) == 6
    evaluator, done = make_evaluator(), []
    observe_trajectory(make_frames(), [evaluator], WANTED, path, batch_size=4, progress=done.append)
    assert done == [10, 12]
    assert evaluator.n_seen == 6 + 1  # the first frame again, for the shapes
    for name, value in read_observed(tmp_path / "whole.h5").values.items():
        np.testing.assert_array_equal(read_observed(path).values[name], value)


def test_a_longer_trajectory_continues_an_observation_and_a_done_one_changes_nothing(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.h5"
    observe_trajectory(make_frames(3), [make_evaluator()], WANTED, path)
    observe_trajectory(make_frames(6), [make_evaluator()], WANTED, path)
    content = path.read_bytes()
    observe_trajectory(make_frames(6), [make_evaluator()], WANTED, path)
    assert path.read_bytes() == content
    assert len(read_observed(path).steps) == 6


@pytest.mark.parametrize(
    ("frames", "said"),
    [
        (lambda: make_frames(seed=2), r"frame 0 of the trajectory \(step 0, bead 0\)"),
        (lambda: (replace(f, cell=CELL + (f.step == 20)) for f in make_frames()), "frame 4 .*20"),
        (lambda: make_frames(2), "has 12 frames, but the trajectory has only 4"),
    ],
)
def test_another_trajectory_is_refused(tmp_path: Path, frames, said: str) -> None:
    path = tmp_path / "a.h5"
    observe_trajectory(make_frames(), [make_evaluator()], WANTED, path)
    with pytest.raises(RecordError, match=said):
        observe_trajectory(frames(), [make_evaluator()], WANTED, path)
    assert len(open_record(path)) == N_STEPS * N_BEADS


def test_other_models_or_other_observables_are_refused_by_name(tmp_path: Path) -> None:
    path, evaluators = tmp_path / "a.h5", [make_evaluator()]
    origin = {"models": "abc dipole-0.model"}
    observe_trajectory(make_frames(), evaluators, WANTED, path, attributes=origin)
    other = {"models": "def dipole-0.model"}
    with pytest.raises(RecordError, match=r"'models'.*abc.*def"):
        observe_trajectory(make_frames(), evaluators, WANTED, path, attributes=other)
    with pytest.raises(RecordError, match=r"columns .*polarizability_gradient.*not .*born_charges"):
        observe_trajectory(make_frames(), evaluators, ["born_charges"], path, attributes=origin)


def test_positions_and_cells_can_be_kept_with_the_observables(tmp_path: Path) -> None:
    wanted = ("dipole", "positions", "cell")
    observe_trajectory(make_frames(), [make_evaluator()], wanted, tmp_path / "a.h5")
    found = read_observed(tmp_path / "a.h5")
    expected = np.array([frame.values for frame in make_frames()])
    np.testing.assert_array_equal(found.values["positions"].reshape(-1, 3, 3), expected)
    np.testing.assert_array_equal(found.values["cell"][1, 1], CELL)


def test_periodicity_can_be_that_of_the_client_file(tmp_path: Path) -> None:
    seen: list[tuple[bool, ...]] = []

    class Watching(CountingOscillators):
        def __call__(
            self,
            structures: Sequence[Structure],
            wanted: frozenset[str],
            *,
            derivatives: bool = True,
        ) -> Evaluation:
            seen.extend(structure.pbc for structure in structures)
            return super().__call__(structures, wanted)

    pbc = (False, True, False)
    evaluator = Watching(SITES, [-2, 1, 1])
    observe_trajectory(make_frames(1), [evaluator], ["dipole"], tmp_path / "a.h5", pbc=pbc)
    assert set(seen) == {pbc}


def test_extended_xyz_has_the_same_numbers_in_electronvolt_and_angstrom(tmp_path: Path) -> None:
    wanted = ("energy", "dipole", "born_charges", "polarizability")
    observe_trajectory(make_frames(), [make_evaluator()], wanted, tmp_path / "a.h5")
    record = open_record(tmp_path / "a.h5")
    export_extxyz(record, make_frames(), tmp_path / "a.extxyz")
    frames = ase.io.read(tmp_path / "a.extxyz", ":")
    assert [(f.info["step"], f.info["bead"]) for f in frames[:3]] == [(0, 0), (0, 1), (10, 0)]
    for i, (frame, source) in enumerate(zip(frames, make_frames(), strict=True)):
        # literature values of the units; ASE prints 8 decimals
        np.testing.assert_allclose(frame.positions, source.values * 0.52917721, atol=2e-8)
        np.testing.assert_allclose(frame.cell, CELL * 0.52917721, rtol=1e-8)
        given = {name: record.read(name, i) for name in wanted}
        assert frame.info["mlobs_energy"] == pytest.approx(given["energy"] * 27.2113862, rel=1e-8)
        np.testing.assert_allclose(frame.info["mlobs_dipole"], given["dipole"] * 0.52917721, 1e-7)
        np.testing.assert_allclose(
            frame.info["mlobs_polarizability"], given["polarizability"] * 0.14818471, 1e-7, 1e-8
        )
        np.testing.assert_allclose(
            frame.arrays["mlobs_born_charges"].reshape(3, 3, 3), given["born_charges"], atol=1e-8
        )


def test_extended_xyz_of_other_frames_is_refused_and_leaves_no_file(tmp_path: Path) -> None:
    observe_trajectory(make_frames(), [make_evaluator()], ["dipole"], tmp_path / "a.h5")
    record = open_record(tmp_path / "a.h5")
    for frames in (make_frames(seed=2), make_frames(7)):
        with pytest.raises(RecordError, match="choose another output"):
            export_extxyz(record, frames, tmp_path / "a.extxyz")
    (tmp_path / "a.extxyz.partial").symlink_to("/dev/full")  # Linux: no space is left there
    with pytest.raises(RecordError, match=r"a\.extxyz: cannot be written: No space left"):
        export_extxyz(record, make_frames(), tmp_path / "a.extxyz")
    assert [path.name for path in tmp_path.iterdir()] == ["a.h5"]


def test_nothing_to_observe_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="no frames"):
        observe_trajectory([], [make_evaluator()], WANTED, tmp_path / "a.h5")
    with pytest.raises(MissingObservable, match="energy_spread"):
        observe_trajectory(make_frames(), [make_evaluator()], ["energy_spread"], tmp_path / "a.h5")
    assert list(tmp_path.iterdir()) == []


def test_a_step_that_lacks_beads_is_not_shown(tmp_path: Path) -> None:
    frames = list(make_frames())[:-1]
    observe_trajectory(frames, [make_evaluator()], ["dipole"], tmp_path / "a.h5")
    assert read_observed(tmp_path / "a.h5").steps.tolist() == [0, 10, 20, 30, 40]


def test_forces_are_an_observable_and_minus_the_gradient_with_the_field(tmp_path: Path) -> None:
    evaluator, field = make_evaluator(), np.array([0.01, -0.02, 0.03])
    frames = list(make_frames(1))
    terms = [UniformField(field)]
    observe_trajectory(frames, [evaluator], ("forces",), tmp_path / "o.h5", terms=terms)
    forces = read_observed(tmp_path / "o.h5").values["forces"][0]
    structure, step = frames[1].structure, 1e-3

    def energy(shift: float) -> float:
        positions = structure.positions.copy()
        positions[2, 1] += shift
        moved = [replace(structure, positions=positions)]
        (values,) = evaluator(moved, frozenset({"energy", "dipole"})).values
        return float(values["energy"] - values["dipole"] @ field)

    # central difference: error step**2 = 1e-6 times a third derivative of order 0.01
    slope = (energy(step) - energy(-step)) / (2.0 * step)
    assert forces[1, 2, 1] == pytest.approx(-slope, abs=1e-7)
