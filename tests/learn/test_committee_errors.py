"""Members and labels that are known become errors and deviations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from mlobs_client.evaluate.evaluation import TabulatedEvaluation
from mlobs_client.learn.committee_errors import committee_errors
from mlobs_client.learn.labels import LabelledStructure
from mlobs_client.quantities import of_members, symmetric_components
from mlobs_client.structure import Structure
from mlobs_client.units import ANGSTROM, EV

CELL = np.array([[5.0, 0.0, 0.0], [1.0, 6.0, 0.0], [-1.0, 2.0, 7.0]])  # angstrom
RANDOM = np.random.default_rng(0)


class Known:
    """Gives the members that it was given, one structure after the other."""

    provides = frozenset(row.name for row in of_members().values())

    def __init__(self, members: Sequence[Mapping[str, np.ndarray]]) -> None:
        self._members = members

    def __call__(
        self, structures: Sequence[Structure], wanted: frozenset[str], *, derivatives: bool = True
    ) -> TabulatedEvaluation:
        assert len(structures) == len(self._members)
        return TabulatedEvaluation(self._members, [{} for _ in structures])


def labelled(label: dict[str, np.ndarray], numbers: Sequence[int] = (8, 1, 1)) -> LabelledStructure:
    n = len(numbers)
    structure = Structure(np.array(numbers), np.zeros((n, 3)), CELL * ANGSTROM)
    return LabelledStructure(
        0, structure, {name: np.asarray(value) for name, value in label.items()}
    )


def errors_of(quantity: str, unit: float, labels: Sequence[LabelledStructure], members: Sequence):
    name = of_members()[quantity].name
    known = Known([{name: np.asarray(one) * unit} for one in members])
    return committee_errors([known], labels, [quantity])[quantity]


def test_forces_are_rows_of_atoms_in_the_order_of_structures() -> None:
    labels = [{"forces": RANDOM.normal(size=(3, 3))} for _ in range(2)]
    members = RANDOM.normal(size=(2, 4, 3, 3))  # [structure, m, atom, 3]
    found = errors_of("forces", EV / ANGSTROM, [labelled(one) for one in labels], members)
    assert found.frames.tolist() == [0, 0, 0, 1, 1, 1]
    expected = labels[1]["forces"][2] - members[1, :, 2].mean(axis=0)
    np.testing.assert_allclose(found.errors[5], expected, rtol=1e-12)
    np.testing.assert_allclose(found.variances[5], members[1, :, 2].var(axis=0, ddof=1), rtol=1e-12)


def test_dipoles_are_compared_modulo_quanta() -> None:
    members = RANDOM.normal(size=(1, 3, 3))
    small = np.array([0.1, -0.2, 0.3])
    shifted = members[0].mean(axis=0) + small + np.array([2, -1, 3]) @ CELL
    found = errors_of("dipole", ANGSTROM, [labelled({"dipole": shifted})], members)
    np.testing.assert_allclose(found.errors[0], small, atol=1e-12)


def test_energies_are_compared_without_the_mean_error_of_each_member_and_composition(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Constants of members and of the labels change nothing, and one structure tells nothing."""
    numbers = [(8, 1, 1)] * 4 + [(8, 1)] * 3 + [(1, 1)]
    energies = RANDOM.normal(size=8)
    members = energies[:, None] + 0.1 * RANDOM.normal(size=(8, 4))
    constants = RANDOM.normal(size=(2, 4))
    shifted = members.copy()
    shifted[:4] += constants[0]
    shifted[4:] += constants[1]

    def find(labels: np.ndarray, given: np.ndarray):
        structures = [
            labelled({"energy": np.asarray(one)}, z) for one, z in zip(labels, numbers, strict=True)
        ]
        return errors_of("energy", EV, structures, given)

    plain, moved = find(energies, members), find(energies + 7.0, shifted)
    np.testing.assert_allclose(moved.errors, plain.errors, atol=1e-12)
    np.testing.assert_allclose(moved.deviations, plain.deviations, atol=1e-12)
    assert plain.n_frames == 7
    assert "1 of 8 labelled structures are left out of the energies" in caplog.text
    # by hand: the first composition, with n - 1 in the place of n
    error = energies[:4] - members[:4].mean(axis=1)
    size = np.mean([len(z) for z in numbers]) / 3  # scaled to the mean number of atoms
    mean_square = np.mean(plain.errors[:4] ** 2)
    assert mean_square == pytest.approx(size * np.var(error, ddof=1))


def test_constants_between_members_are_warned_of(caplog) -> None:
    labels = [labelled({"energy": np.asarray(e)}) for e in (0.0, 1.0)]
    errors_of("energy", EV, labels, [[0.0, 0.51, 1.0], [1.0, 1.49, 2.0]])
    assert "differ by constants of 0.5 eV" in caplog.text


def test_a_file_of_single_compositions_has_no_energies_to_compare(caplog) -> None:
    labels = [labelled({"energy": np.asarray(0.0)}, z) for z in ((1,), (8,))]
    name = of_members()["energy"].name
    known = Known([{name: np.arange(3.0)}] * 2)
    assert committee_errors([known], labels, ["energy"]) == {}
    assert "no two labelled structures have the same composition" in caplog.text


def test_a_stress_is_a_virial_over_minus_the_volume() -> None:
    virial = RANDOM.normal(size=(3, 3))
    virial = virial + virial.T
    volume = abs(np.linalg.det(CELL))
    members = RANDOM.normal(size=(1, 3, 3, 3))
    of_virial = errors_of("virials", EV, [labelled({"virials": virial})], members)
    of_stress = errors_of("virials", EV, [labelled({"stress": -virial / volume})], members)
    np.testing.assert_allclose(of_stress.errors, of_virial.errors, rtol=1e-10)


def test_six_components_of_a_tensor_have_the_squares_of_nine() -> None:
    tensor = RANDOM.normal(size=(5, 3, 3))
    tensor = tensor + tensor.swapaxes(1, 2)
    members = RANDOM.normal(size=(1, 3, 3, 3))
    members = members + members.swapaxes(2, 3)
    label = [labelled({"polarizability": tensor[0]})]
    found = errors_of("polarizability", ANGSTROM**3, label, members)
    squares = np.sum((tensor[0] - members[0].mean(axis=0)) ** 2)
    assert np.sum(found.errors**2) == pytest.approx(squares)
    rotation = np.linalg.qr(RANDOM.normal(size=(3, 3)))[0]
    turned = symmetric_components(rotation @ tensor @ rotation.T)
    before = np.sum(symmetric_components(tensor) ** 2, axis=1)
    np.testing.assert_allclose(np.sum(turned**2, axis=1), before)
