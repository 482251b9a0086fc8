"""The field and its guard, with integer charges whose dipole is multi-valued."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from charged_ions import CELL, CHARGES, oscillators, structure

from mlobs_client.client.total_energy import predict
from mlobs_client.errors import EvaluationError, MissingObservable
from mlobs_client.evaluate.evaluation import Values
from mlobs_client.evaluate.toys import random_crystal
from mlobs_client.structure import Array, Structure
from mlobs_client.terms.field import UniformField, UnwrappedPositions
from mlobs_client.testing.conformance import check_term

REFERENCE = CELL @ (np.eye(3) + np.arange(9.0).reshape(3, 3) * 0.01)
FIELD = np.array([0.01, -0.02, 0.03])


EVERYTHING = oscillators().provides - {"energy"}


@pytest.mark.parametrize("reference_cell", [None, REFERENCE], ids=["field", "voltages"])
@pytest.mark.parametrize("second_order", [False, True])
def test_forces_virial_and_cotangents_are_derivatives_of_the_energy(
    second_order: bool, reference_cell: Array | None
) -> None:
    term = UniformField(FIELD, second_order, reference_cell)
    report = check_term(term, [oscillators()], structure())
    assert report.passed, str(report)


def energy_in(field: Array) -> float:
    term = UniformField(field, second_order=True)
    return predict([structure()], [oscillators()], [term])[0].energy


def test_the_dipole_in_the_field_is_minus_the_derivative_of_the_energy_by_the_field() -> None:
    term = UniformField(FIELD, second_order=True)
    in_field = predict([structure()], [oscillators()], [term], EVERYTHING)[0].observables
    h = 1e-3
    numeric = [(energy_in(FIELD + h * e) - energy_in(FIELD - h * e)) / (2 * h) for e in np.eye(3)]
    # central differences of a parabola are exact up to rounding, 1e-16/h
    assert in_field["dipole"] == pytest.approx(-np.array(numeric), abs=1e-11)


def test_the_born_charges_in_the_field_are_the_gradient_of_the_dipole_in_the_field() -> None:
    term = UniformField(FIELD, second_order=True)
    Z = predict([structure()], [oscillators()], [term], EVERYTHING)[0].observables["born_charges"]
    h = 1e-4
    for atom, axis in ((0, 1), (3, 2)):
        shift = np.zeros((4, 3))
        shift[atom, axis] = h
        pair = [replace(structure(), positions=structure().positions + s) for s in (shift, -shift)]
        plus, minus = predict(pair, [oscillators()], [term], EVERYTHING)
        numeric = (plus.observables["dipole"] - minus.observables["dipole"]) / (2 * h)
        # the polarizability is quadratic in the displacement: no error but rounding, 1e-14/h
        assert Z[atom, :, axis] == pytest.approx(numeric, abs=1e-9)


def test_forces_at_second_order_are_born_charges_times_field_to_leading_order() -> None:
    term = UniformField(1e-6 * FIELD, second_order=True)
    with_field = predict([structure()], [oscillators()], [term], EVERYTHING)[0]
    without = predict([structure()], [oscillators()])[0]
    expected = np.einsum("Iij,i->Ij", with_field.observables["born_charges"], 1e-6 * FIELD)
    assert with_field.forces - without.forces == pytest.approx(expected, abs=1e-13)


def test_only_the_symmetric_part_of_the_polarizability_acts() -> None:
    values: Values = {"dipole": np.zeros(3), "polarizability": np.arange(9.0).reshape(3, 3)}
    transposed: Values = {**values, "polarizability": values["polarizability"].T}
    term = UniformField(FIELD, second_order=True)
    one, other = term(structure(), values), term(structure(), transposed)
    assert one.energy == pytest.approx(other.energy, rel=1e-14)
    assert one.updated["dipole"] == pytest.approx(other.updated["dipole"], rel=1e-14)


def test_first_order_changes_no_observable() -> None:
    at_rest = predict([structure()], [oscillators()], [], EVERYTHING)[0].observables
    in_field = predict([structure()], [oscillators()], [UniformField(FIELD)], EVERYTHING)[0]
    for name in EVERYTHING:
        assert np.array_equal(in_field.observables[name], at_rest[name])


def test_born_charges_at_second_order_need_the_gradient_of_the_polarizability() -> None:
    term = UniformField(FIELD, second_order=True)
    with pytest.raises(MissingObservable, match="need polarizability_gradient"):
        predict([structure()], [oscillators()], [term], frozenset({"born_charges"}))


def test_a_lattice_translation_costs_the_work_of_its_quantum_and_no_force() -> None:
    moved = structure().positions.copy()
    moved[1] += CELL[0]
    pair = [structure(), replace(structure(), positions=moved)]
    before, after = predict(pair, [oscillators()], [UniformField(FIELD)])
    assert after.energy - before.energy == pytest.approx(-CHARGES[1] * CELL[0] @ FIELD, rel=1e-12)
    assert after.forces == pytest.approx(before.forces, abs=1e-14)


def test_fixed_voltages_drop_along_the_lattice_vectors_of_any_cell() -> None:
    charge = {"dipole": CELL[1]}  # e times a lattice vector: its energy is minus the voltage
    term = UniformField(FIELD, reference_cell=REFERENCE)
    assert term(structure(), charge).energy == pytest.approx(-REFERENCE[1] @ FIELD, rel=1e-12)


def field_virial(term: UniformField, structure: Structure) -> Array:
    with_field, without = (predict([structure], [oscillators()], t)[0] for t in ([term], []))
    assert with_field.virial is not None
    assert without.virial is not None
    return with_field.virial - without.virial


def test_the_branch_changes_the_virial_at_a_fixed_field_and_not_at_fixed_voltages() -> None:
    moved = structure().positions.copy()
    moved[1] += CELL[0]
    pair = [structure(), replace(structure(), positions=moved)]
    before, after = (field_virial(UniformField(FIELD), one) for one in pair)
    work = CHARGES[1] * np.outer(CELL[0], FIELD)  # the way of the ion follows the strain
    assert after - before == pytest.approx(work, rel=1e-10)
    # ions that follow the cell and voltages that follow it too: no work at all
    for one in pair:
        voltages = UniformField(FIELD, reference_cell=REFERENCE)
        assert field_virial(voltages, one) == pytest.approx(0.0, abs=1e-13)


# --- conservation ---


def largest_drift(dt: float, n_steps: int, term: UniformField) -> float:
    """Velocity Verlet; the spread of the total energy in the field."""
    masses = np.array([1800.0, 3600.0, 2500.0, 5000.0])[:, None]
    velocities = np.random.default_rng(3).normal(size=(4, 3)) * 1e-3
    now = structure()
    prediction = predict([now], [oscillators()], [term])[0]
    totals = []
    for _ in range(n_steps):
        velocities = velocities + 0.5 * dt * prediction.forces / masses
        now = replace(now, positions=now.positions + dt * velocities)
        prediction = predict([now], [oscillators()], [term])[0]
        velocities = velocities + 0.5 * dt * prediction.forces / masses
        totals.append(prediction.energy + 0.5 * float(np.sum(masses * velocities**2)))
    return float(np.std(totals))


@pytest.mark.parametrize("second_order", [False, True])
def test_the_energy_in_the_field_is_conserved_to_second_order_in_the_time_step(
    second_order: bool,
) -> None:
    term = UniformField(FIELD, second_order)
    coarse, fine = largest_drift(16.0, 150, term), largest_drift(8.0, 300, term)
    # exactly 4 for infinitely small steps; a force that is no gradient drifts at all steps alike
    assert coarse / fine == pytest.approx(4.0, rel=0.1)


# --- unwrapped positions ---


def wrap(structure: Structure) -> Structure:
    fractional = structure.positions @ np.linalg.inv(structure.cell)
    return replace(structure, positions=(fractional % 1.0) @ structure.cell)


def trajectory(n_steps: int = 400, seed: int = 4, n_atoms: int = 6) -> list[Structure]:
    """Atoms that drift through several cells, with a breathing cell."""
    random = np.random.default_rng(seed)
    fractional = random.uniform(size=(n_atoms, 3))
    drift = random.normal(size=(n_atoms, 3)) * 0.01
    frames = []
    for step in range(n_steps):
        cell = CELL * (1.0 + 0.03 * np.sin(step / 20.0))
        positions = (fractional + step * drift) @ cell + random.normal(size=(n_atoms, 3)) * 0.05
        frames.append(Structure(np.full(n_atoms, 1), positions, cell))
    return frames


def feed(guard: UnwrappedPositions, frames: list[Structure]) -> int | None:
    """The frame that is refused."""
    for i, frame in enumerate(frames):
        try:
            guard(frame, {})
        except EvaluationError:
            return i
    return None


def test_unwrapped_trajectories_pass() -> None:
    assert feed(UnwrappedPositions(), trajectory()) is None


def test_a_wrapped_trajectory_is_refused_at_the_first_crossing() -> None:
    frames = trajectory()
    images = [np.floor(f.positions @ np.linalg.inv(f.cell)) for f in frames]
    crossing = next(i for i in range(1, 400) if not np.array_equal(images[i], images[i - 1]))
    assert feed(UnwrappedPositions(), [wrap(frame) for frame in frames]) == crossing


def beads(frame: Structure, n_beads: int, spread: float) -> list[Structure]:
    noise = np.random.default_rng(5).normal(size=(n_beads, frame.n_atoms, 3)) * spread
    return [replace(frame, positions=frame.positions + shift) for shift in noise]


def test_beads_in_any_order_pass_unless_one_is_wrapped() -> None:
    random = np.random.default_rng(6)
    frames = []
    for frame in trajectory(20):
        ring_polymer = beads(frame, 8, spread=0.3)
        seen = random.permutation(8)[:5]  # other clients get the rest
        frames += [ring_polymer[bead] for bead in seen]
    assert feed(UnwrappedPositions(), frames) is None
    assert feed(UnwrappedPositions(), [wrap(frame) for frame in frames]) is not None


def test_replicas_that_take_turns_are_not_compared_with_each_other() -> None:
    replicas = [trajectory(100, seed) for seed in (7, 8, 9)]
    frames = [frame for turn in zip(*replicas, strict=True) for frame in turn]
    assert feed(UnwrappedPositions(), frames) is None
    wrapped = [wrap(frame) for frame in frames]
    assert feed(UnwrappedPositions(), wrapped) is not None


def test_many_beads_of_one_replica_do_not_displace_another_from_the_memory() -> None:
    one, other = trajectory(1, seed=7)[0], trajectory(1, seed=8)[0]
    guard = UnwrappedPositions(memory=2)
    assert feed(guard, [one, *beads(other, 40, spread=0.3)]) is None
    moved = one.positions.copy()
    moved[0] += one.cell[2]
    assert feed(guard, [replace(one, positions=moved)]) == 0


def test_structures_without_boundaries_are_not_wrapped() -> None:
    frame = structure()
    far = replace(frame, positions=frame.positions + CELL[0])
    open_boundaries = [replace(s, pbc=(False, True, True)) for s in (frame, far)]
    assert feed(UnwrappedPositions(), open_boundaries) is None
    assert feed(UnwrappedPositions(), [frame, far]) == 1


def test_the_refusal_names_the_atom_and_the_remedy() -> None:
    guard = UnwrappedPositions()
    guard(structure(), {})
    moved = structure().positions.copy()
    moved[2] -= CELL[1]
    with pytest.raises(EvaluationError, match=r"atom 2 jumped by -1 lattice vector 1.*pbc='False'"):
        guard(replace(structure(), positions=moved), {})


def test_the_guard_is_a_term_without_energy() -> None:
    guarded = predict([structure()], [oscillators()], [UniformField(FIELD), UnwrappedPositions()])
    plain = predict([structure()], [oscillators()], [UniformField(FIELD)])
    assert guarded[0].energy == plain[0].energy
    assert np.array_equal(guarded[0].forces, plain[0].forces)


def test_a_fractional_dipole_does_not_matter_to_the_guard() -> None:
    """It looks at positions only, so it guards any model."""
    crystal = random_crystal(structure())
    prediction = predict([structure()], [crystal], [UnwrappedPositions()])[0]
    assert prediction.energy == predict([structure()], [crystal])[0].energy
