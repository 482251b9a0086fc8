"""Fused and separate clients must give the same numbers: analytic models say which."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from mlobs_client.client.total_energy import observe, predict
from mlobs_client.errors import ConfigError, EvaluationError, MissingObservable
from mlobs_client.evaluate.evaluation import Evaluation, Evaluator, Gradient, Values
from mlobs_client.evaluate.toys import double_well, random_crystal
from mlobs_client.structure import Array, Structure
from mlobs_client.terms.field import UniformField
from mlobs_client.terms.term import Coupling

CELL = np.array([[9.0, 1.0, 0.5], [-0.7, 8.0, 1.2], [0.3, -1.1, 10.0]])
FIELD = np.array([0.01, -0.02, 0.03])
DIELECTRIC = frozenset({"dipole", "born_charges"})


def structures() -> list[Structure]:
    random = np.random.default_rng(1)
    return [
        Structure(np.array([1, 2, 3]), random.normal(size=(3, 3)) * 2.0, CELL) for _ in range(2)
    ]


@dataclass
class Part:
    """Some observables of an evaluator; remembers what it was asked."""

    evaluator: Evaluator
    provides: frozenset[str]
    asked: list[frozenset[str]] = field(default_factory=list)

    def __call__(
        self, structures: Sequence[Structure], wanted: frozenset[str], *, derivatives: bool = True
    ) -> Evaluation:
        self.asked.append(wanted)
        return self.evaluator(structures, wanted, derivatives=derivatives)


def crystal(*names: str, seed: int = 3) -> Part:
    home = structures()[0]
    moved = home.positions + 0.1
    return Part(random_crystal(replace(home, positions=moved), seed), frozenset(names))


@dataclass(frozen=True)
class Spring:
    """A term on the positions alone."""

    strained: bool = True
    needs: frozenset[str] = frozenset()

    def __call__(self, structure: Structure, values: Values) -> Coupling:
        R = structure.positions
        strain = 0.2 * R.T @ R if self.strained else None
        return Coupling(float(0.1 * np.sum(R * R)), {}, Gradient(0.2 * R, strain))


def same(one: Array | None, other: Array | None) -> bool:
    assert one is not None
    assert other is not None
    return bool(np.allclose(one, other, rtol=1e-12, atol=1e-14))


def test_a_potential_alone_gives_energy_forces_and_virial() -> None:
    potential = crystal("energy")
    prediction = predict(structures(), [potential])[1]
    evaluation = potential(structures(), frozenset({"energy"}))
    gradient = evaluation.pull_back([{"energy": np.ones(())}] * 2)[1]
    assert prediction.energy == evaluation.values[1]["energy"]
    assert same(prediction.forces, -gradient.positions)
    assert same(prediction.virial, -np.asarray(gradient.strain))
    assert prediction.observables == {}


def test_a_term_alone_gives_its_own_forces() -> None:
    together = predict(structures(), [crystal("energy"), crystal("dipole")], [UniformField(FIELD)])
    potential = predict(structures(), [crystal("energy")])
    term = predict(structures(), [crystal("dipole")], [UniformField(FIELD)])
    for whole, part, other in zip(together, potential, term, strict=True):
        assert whole.energy == pytest.approx(part.energy + other.energy, rel=1e-13)
        assert same(whole.forces, part.forces + other.forces)
        assert same(whole.virial, np.asarray(part.virial) + np.asarray(other.virial))


def test_one_model_of_everything_equals_separate_models() -> None:
    wanted = frozenset({"dipole", "polarizability", "born_charges"})
    term = UniformField(FIELD, second_order=True)
    names = ("energy", "dipole", "born_charges", "polarizability", "polarizability_gradient")
    wanted |= {"polarizability_gradient"}
    one = predict(structures(), [crystal(*names)], [term], wanted)
    parts = [crystal("energy"), crystal(*names[1:3]), crystal(*names[3:])]
    several = predict(structures(), parts, [term], wanted)
    for whole, sum_of_parts in zip(one, several, strict=True):
        assert whole.energy == pytest.approx(sum_of_parts.energy, rel=1e-13)
        assert same(whole.forces, sum_of_parts.forces)
        assert same(whole.virial, sum_of_parts.virial)
        assert set(whole.observables) == wanted
        for name in wanted:
            assert same(whole.observables[name], sum_of_parts.observables[name])


def test_terms_add_up_in_one_pull_back() -> None:
    models = [crystal("energy", "dipole")]
    two = predict(structures(), models, [UniformField(FIELD), UniformField(2.0 * FIELD)])
    one = predict(structures(), models, [UniformField(3.0 * FIELD)])
    for whole, single in zip(two, one, strict=True):
        assert whole.energy == pytest.approx(single.energy, rel=1e-13)
        assert same(whole.forces, single.forces)
        assert same(whole.virial, single.virial)


def test_explicit_gradients_are_added() -> None:
    with_spring = predict(structures(), [crystal("energy")], [Spring()])
    without = predict(structures(), [crystal("energy")])
    for one, other, structure in zip(with_spring, without, structures(), strict=True):
        R = structure.positions
        assert one.energy - other.energy == pytest.approx(0.1 * np.sum(R**2), rel=1e-12)
        assert same(one.forces - other.forces, -0.2 * R)
        assert same(np.asarray(one.virial) - np.asarray(other.virial), -0.2 * R.T @ R)


def test_several_explicit_gradients_are_added() -> None:
    one, two = (predict(structures(), [], [Spring()] * count)[0] for count in (1, 2))
    assert two.energy == pytest.approx(2.0 * one.energy, rel=1e-14)
    assert same(two.forces, 2.0 * one.forces)


def test_an_explicit_term_needs_no_model() -> None:
    prediction = predict(structures(), [], [Spring()])[0]
    assert same(prediction.forces, -0.2 * structures()[0].positions)


def test_the_virial_is_unknown_if_any_part_of_it_is() -> None:
    pinned = predict(structures(), [double_well()])[0]
    assert pinned.virial is None
    assert predict(structures(), [crystal("energy")], [Spring(strained=False)])[0].virial is None
    mixed = predict(
        structures(),
        [Part(double_well(), frozenset({"energy"})), crystal("dipole")],
        [UniformField(FIELD)],
    )
    assert mixed[0].virial is None


def test_models_are_asked_only_for_what_is_needed() -> None:
    potential, dipole = crystal("energy"), crystal(*DIELECTRIC)
    idle = crystal("polarizability")
    predict(structures(), [potential, dipole, idle], [], frozenset({"dipole"}))
    assert potential.asked == [{"energy"}]
    assert dipole.asked == [{"dipole"}]
    assert idle.asked == []


def test_only_wanted_observables_come_back() -> None:
    models = [crystal("energy"), crystal(*DIELECTRIC)]
    prediction = predict(structures(), models, [UniformField(FIELD)], frozenset({"born_charges"}))
    assert set(prediction[0].observables) == {"born_charges"}


def test_observables_that_a_term_changes_come_back_changed() -> None:
    models = [crystal("energy", "dipole", "polarizability")]
    wanted = frozenset({"dipole"})
    still = predict(structures(), models, [UniformField(FIELD)], wanted)[0]
    polarized = predict(structures(), models, [UniformField(FIELD, True)], wanted)[0]
    assert not np.allclose(still.observables["dipole"], polarized.observables["dipole"])


@pytest.mark.parametrize(
    ("models", "terms", "wanted", "message"),
    [
        ([crystal("energy")], [UniformField(FIELD)], frozenset(), "gives dipole; it gives energy"),
        ([crystal("energy")], [], DIELECTRIC, "born_charges, dipole"),
        ([], [], DIELECTRIC, "it gives nothing"),
        ([crystal("dipole")], [], frozenset({"dipole"}), "neither a potential nor a term"),
        ([], [], frozenset(), "neither a potential nor a term"),
    ],
)
def test_what_nobody_gives_is_missing(
    models: list[Part], terms: list[UniformField], wanted: frozenset[str], message: str
) -> None:
    with pytest.raises(MissingObservable, match=message):
        predict(structures(), models, terms, wanted)


def test_two_models_of_the_same_are_refused() -> None:
    with pytest.raises(ConfigError, match="two models of this client give energy"):
        predict(structures(), [crystal("energy"), crystal("energy", "dipole")])


def test_a_term_cannot_pull_back_what_has_no_derivative() -> None:
    @dataclass(frozen=True)
    class Sum:
        needs: frozenset[str] = frozenset({"born_charges"})

        def __call__(self, structure: Structure, values: Values) -> Coupling:
            Z = values["born_charges"]
            return Coupling(float(np.sum(Z)), {"born_charges": np.ones_like(Z)})

    with pytest.raises(MissingObservable, match="born_charges has no derivative"):
        predict(structures(), [crystal("energy"), crystal(*DIELECTRIC)], [Sum()])


@dataclass(frozen=True)
class Sick:
    """A term whose energy or force is not finite."""

    energy: float
    force: float
    needs: frozenset[str] = frozenset()

    def __call__(self, structure: Structure, values: Values) -> Coupling:
        gradient = np.zeros_like(structure.positions)
        gradient[1, 2] = self.force
        return Coupling(self.energy, {}, Gradient(gradient, np.zeros((3, 3))))


@pytest.mark.parametrize(
    ("term", "message"),
    [(Sick(np.nan, 0.0), "energy is nan"), (Sick(0.0, np.inf), r"forces\[1, 2\] is -inf")],
)
def test_what_is_not_finite_is_refused_by_name(term: Sick, message: str) -> None:
    with pytest.raises(EvaluationError, match=message):
        predict(structures(), [crystal("energy")], [term])


def test_structures_do_not_influence_each_other() -> None:
    models = [crystal("energy", "dipole")]
    together = predict(structures(), models, [UniformField(FIELD)])
    alone = [predict([s], models, [UniformField(FIELD)])[0] for s in structures()]
    for one, other in zip(together, alone, strict=True):
        assert one.energy == pytest.approx(other.energy, rel=1e-14)
        assert same(one.forces, other.forces)


def test_no_structures_give_no_predictions() -> None:
    assert predict([], [crystal("energy")], [UniformField(FIELD)][:0]) == []


def test_observables_alone_are_asked_for_without_derivatives() -> None:
    asked = []

    class Watched(Part):
        def __call__(self, *arguments, derivatives: bool = True) -> Evaluation:
            asked.append(derivatives)
            return super().__call__(*arguments, derivatives=derivatives)

    dipole = Watched(crystal("dipole").evaluator, frozenset({"dipole"}))
    values = observe(structures(), [crystal("energy"), dipole], frozenset({"dipole"}))
    term = predict(structures(), [dipole], [UniformField(FIELD)], frozenset({"dipole"}))
    assert [set(value) for value in values] == [{"dipole"}] * 2
    assert same(values[1]["dipole"], term[1].observables["dipole"])
    assert asked == [False, True]


@pytest.mark.parametrize(
    ("n", "batch_size", "expected"), [(7, 3, [2, 2, 3]), (8, 4, [4, 4]), (3, 9, [3]), (1, 2, [1])]
)
def test_batches_are_equal_shares_in_order(n: int, batch_size: int, expected: list[int]) -> None:
    sizes = []

    class Small(Part):
        def preferred_batch_size(self, given: Sequence[Structure]) -> int:
            return batch_size

        def __call__(self, given: Sequence[Structure], *rest, derivatives=True) -> Evaluation:
            sizes.append(len(given))
            return super().__call__(given, *rest, derivatives=derivatives)

    home = structures()[0]
    many = [replace(home, positions=home.positions * (1.0 + 0.01 * k)) for k in range(n)]
    models = [crystal("dipole"), Small(crystal("energy").evaluator, frozenset({"energy"}))]
    batched = predict(many, models)
    assert sorted(sizes) == expected
    whole = predict(many, [crystal("energy")])
    assert [p.energy for p in batched] == [p.energy for p in whole]
    assert [v["energy"] for v in observe(many, models, frozenset({"energy"}))] == [
        p.energy for p in whole
    ]
