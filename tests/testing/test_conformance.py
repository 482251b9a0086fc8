"""A check that cannot fail is none: each kind of error is planted and must be found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest

from mlobs_client.errors import MissingObservable
from mlobs_client.evaluate.evaluation import Evaluator, Gradient, TabulatedEvaluation, Values
from mlobs_client.evaluate.toys import ChargedOscillators, random_crystal
from mlobs_client.structure import Array, Structure
from mlobs_client.terms.field import UniformField
from mlobs_client.terms.term import Coupling
from mlobs_client.testing.conformance import Report, check_evaluator, check_term, check_translations

CELL = np.array([[9.0, 1.0, 0.5], [-0.7, 8.0, 1.2], [0.3, -1.1, 10.0]])


def structure() -> Structure:
    random = np.random.default_rng(1)
    return Structure(np.array([1, 2, 3, 4]), random.normal(size=(4, 3)) * 2.0, CELL)


def crystal() -> Evaluator:
    home = structure()
    moved = home.positions + np.random.default_rng(2).normal(size=(4, 3)) * 0.2
    return random_crystal(replace(home, positions=moved), seed=3)


Change = Callable[[TabulatedEvaluation], TabulatedEvaluation]


@dataclass(frozen=True)
class Spoiled:
    """An evaluator with an error planted."""

    evaluator: Evaluator
    change: Change

    @property
    def provides(self) -> frozenset[str]:
        return self.evaluator.provides

    def __call__(
        self, structures: Sequence[Structure], wanted: frozenset[str], *, derivatives: bool = True
    ) -> TabulatedEvaluation:
        evaluation = self.evaluator(structures, wanted)
        assert isinstance(evaluation, TabulatedEvaluation)
        return self.change(evaluation)


def spoil_value(name: str, spoil: Callable[[Array], Array]) -> Change:
    def change(evaluation: TabulatedEvaluation) -> TabulatedEvaluation:
        values = [{**v, name: spoil(v[name])} if name in v else v for v in evaluation.values]
        return replace(evaluation, values=values)

    return change


def spoil_jacobian(
    name: str, spoil: Callable[[Array, Array | None], tuple[Array, Array | None]]
) -> Change:
    def change(evaluation: TabulatedEvaluation) -> TabulatedEvaluation:
        rows = [{**j, name: spoil(*j[name])} if name in j else j for j in evaluation.jacobians]
        return replace(evaluation, jacobians=rows)

    return change


def wrong(report: Report) -> set[str]:
    return {row.what for row in report.rows if not row.passed}


def test_a_right_evaluator_passes_in_every_row() -> None:
    report = check_evaluator(crystal(), structure())
    assert report.passed, str(report)
    assert {row.what for row in report.rows} == {
        "d(energy)/d(positions)",
        "d(energy)/d(strain)",
        "d(dipole)/d(positions)",
        "d(dipole)/d(strain)",
        "d(polarizability)/d(positions)",
        "d(polarizability)/d(strain)",
        "born_charges",
        "polarizability_gradient",
    }


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (spoil_value("born_charges", lambda z: z.swapaxes(1, 2)), {"born_charges"}),
        (
            spoil_value("polarizability_gradient", lambda g: g.swapaxes(1, 2)),
            {"polarizability_gradient"},
        ),
        (
            spoil_jacobian("energy", lambda r, s: (1.00001 * r, s)),
            {"d(energy)/d(positions)"},
        ),
        (
            spoil_jacobian("dipole", lambda r, s: (r, None if s is None else s.swapaxes(1, 2))),
            {"d(dipole)/d(strain)"},
        ),
        (
            spoil_jacobian("polarizability", lambda r, s: (r.swapaxes(0, 1), s)),
            {"d(polarizability)/d(positions)"},
        ),
    ],
)
def test_a_planted_error_is_found_where_it_is(change: Change, found: set[str]) -> None:
    report = check_evaluator(Spoiled(crystal(), change), structure())
    assert wrong(report) == found
    assert not report.passed
    assert str(report).count("WRONG") == len(found)


def test_strains_that_are_not_given_are_not_checked() -> None:
    change = spoil_jacobian("energy", lambda r, s: (r, None))
    report = check_evaluator(Spoiled(crystal(), change), structure())
    assert report.passed
    assert "d(energy)/d(strain)" not in {row.what for row in report.rows}


def test_a_sample_needs_fewer_evaluations_and_still_finds_a_wrong_sign() -> None:
    sizes: list[int] = []

    def count(evaluation: TabulatedEvaluation) -> TabulatedEvaluation:
        sizes.append(len(evaluation.values))
        return evaluation

    assert check_evaluator(Spoiled(crystal(), count), structure()).passed
    n_all = sum(sizes)
    sizes.clear()
    assert check_evaluator(Spoiled(crystal(), count), structure(), n_sampled=1).passed
    assert n_all - sum(sizes) == 3 * 3 * 4  # atoms left out, directions, evaluations each
    change = spoil_jacobian("energy", lambda r, s: (-r, s))
    assert not check_evaluator(Spoiled(crystal(), change), structure(), n_sampled=1).passed


def test_an_evaluator_without_derivatives_cannot_be_checked() -> None:
    change = lambda evaluation: replace(  # noqa: E731
        evaluation, values=[{"energy": v["energy"]} for v in evaluation.values], jacobians=[{}]
    )

    @dataclass(frozen=True)
    class EnergyOnly(Spoiled):
        @property
        def provides(self) -> frozenset[str]:
            return frozenset({"energy"})

    with pytest.raises(MissingObservable, match="no observable"):
        check_evaluator(EnergyOnly(crystal(), change), structure())


@dataclass(frozen=True)
class Committee:
    """Two crystals with forces and virials of each member, with signs to spoil."""

    forces_sign: float = -1.0
    virials_sign: float = -1.0
    provides: frozenset[str] = frozenset(
        {"committee_energies", "committee_forces", "committee_virials"}
    )

    def __call__(
        self, structures: Sequence[Structure], wanted: frozenset[str], *, derivatives: bool = True
    ) -> TabulatedEvaluation:
        one = {"energy": np.ones(())}
        home = replace(structure(), positions=structure().positions + 0.1)
        values, jacobians = [], []
        for s in structures:
            members = [random_crystal(home, seed)([s], frozenset(one)) for seed in (1, 2)]
            energies = np.array([member.values[0]["energy"] for member in members])
            gradients = [member.pull_back([one])[0] for member in members]
            by_positions = np.array([gradient.positions for gradient in gradients])
            by_strain = np.array([gradient.strain for gradient in gradients])
            known = {
                "committee_energies": energies,
                "committee_forces": self.forces_sign * by_positions,
                "committee_virials": self.virials_sign * by_strain,
            }
            values.append({name: known[name] for name in wanted})
            jacobians.append({"committee_energies": (by_positions, by_strain)})
        return TabulatedEvaluation(values, jacobians)


@pytest.mark.parametrize("n_sampled", [None, 2])
def test_forces_and_virials_of_members_are_checked(n_sampled: int | None) -> None:
    assert check_evaluator(Committee(), structure(), n_sampled=n_sampled).passed
    report = check_evaluator(Committee(forces_sign=1.0), structure(), n_sampled=n_sampled)
    assert wrong(report) == {"committee_forces"}
    report = check_evaluator(Committee(virials_sign=1.0), structure(), n_sampled=n_sampled)
    assert wrong(report) == {"committee_virials"}


# --- terms ---


@dataclass(frozen=True)
class WrongField:
    """A field whose energy lacks the factor 1/2 of the second order."""

    field: Array
    needs: frozenset[str] = frozenset({"dipole", "polarizability"})

    def __call__(self, structure: Structure, values: Values) -> Coupling:
        right = UniformField(self.field, second_order=True)(structure, values)
        induced = self.field @ values["polarizability"] @ self.field
        return replace(right, energy=right.energy - 0.5 * float(induced))


@dataclass(frozen=True)
class Anchor:
    """A spring to the origin: an explicit gradient and its strain derivative."""

    sign: float
    needs: frozenset[str] = frozenset()

    def __call__(self, structure: Structure, values: Values) -> Coupling:
        R = structure.positions
        gradient = Gradient(0.1 * R, self.sign * 0.1 * R.T @ R)
        return Coupling(float(0.05 * np.sum(R * R)), {}, gradient)


FIELD = np.array([0.01, -0.02, 0.03])


def test_a_right_term_passes_with_its_virial_and_cotangents() -> None:
    report = check_term(UniformField(FIELD, second_order=True), [crystal()], structure())
    assert report.passed, str(report)
    whats = {row.what for row in report.rows}
    assert whats == {"forces", "virial", "cotangent of dipole", "cotangent of polarizability"}


def test_a_term_whose_forces_lack_a_factor_is_found() -> None:
    report = check_term(WrongField(FIELD), [crystal()], structure())
    assert wrong(report) == {"forces", "virial", "cotangent of polarizability"}


def test_explicit_gradients_of_terms_are_checked_too() -> None:
    assert check_term(Anchor(1.0), [crystal()], structure()).passed
    assert wrong(check_term(Anchor(-1.0), [crystal()], structure())) == {"virial"}


# --- lattice translations ---


def oscillators() -> ChargedOscillators:
    return ChargedOscillators(structure().positions + 0.1, [1, -1, 2, -2], reference_cell=CELL)


def test_integer_charges_survive_lattice_translations() -> None:
    report = check_translations(oscillators(), structure())
    assert report.passed, str(report)
    assert "forces after a lattice translation" in {row.what for row in report.rows}


def test_a_fractional_charge_on_raw_positions_is_found() -> None:
    """As in networks that multiply learned charges with raw positions."""

    def fraction(dipole: Array) -> Array:
        return 0.7 * dipole

    report = check_translations(
        Spoiled(oscillators(), spoil_value("dipole", fraction)), structure()
    )
    assert wrong(report) == {"dipole after a lattice translation, modulo quanta"}


def test_a_model_without_periodic_images_is_found() -> None:
    pinned = ChargedOscillators(structure().positions + 0.1, [1, -1, 2, -2])

    @dataclass(frozen=True)
    class Open(Spoiled):
        def __call__(
            self,
            structures: Sequence[Structure],
            wanted: frozenset[str],
            *,
            derivatives: bool = True,
        ) -> TabulatedEvaluation:
            return super().__call__([replace(s, pbc=(False,) * 3) for s in structures], wanted)

    found = wrong(check_translations(Open(pinned, lambda e: e), structure(), n_sampled=2))
    assert "forces after a lattice translation" in found


def test_a_structure_without_boundaries_has_no_translations() -> None:
    alone = replace(structure(), pbc=(False, False, False))
    with pytest.raises(MissingObservable, match="not periodic"):
        check_translations(oscillators(), alone)
