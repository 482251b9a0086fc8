"""Compare all derivatives of evaluators and terms with finite differences.

:func:`check_evaluator`, :func:`check_term` and :func:`check_translations` work for any evaluator
and term; they return a report, which ``mlobs check`` prints and a test can check::

    report = check_evaluator(evaluator, structure)
    assert report.passed, str(report)

Models in double precision pass at a relative error of 1e-6, the accuracy of the differences. Models
in single precision need larger steps and tolerances, for example 0.05 and 0.01. Forces of a
self-consistent calculation converge to an absolute error, which is a large part of a force near a
minimum: an amplitude makes the forces at some distance from it the scale.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from mlobs_client.client.total_energy import observe, predict, total_energies
from mlobs_client.errors import MissingObservable
from mlobs_client.evaluate.evaluation import Evaluator, Gradient, Values
from mlobs_client.progress import Progress, silent
from mlobs_client.quantities import QUANTITIES, Derivative
from mlobs_client.structure import Array, Integers, Structure
from mlobs_client.terms.term import Term
from mlobs_client.testing.differences import Differences, differentiate, displace, rounding, sample


@dataclass(frozen=True)
class Row:
    """One comparison, in Hartree atomic units.

    Attributes:
        what: name of the compared quantity, for example ``"forces"``.
        error: largest absolute error of an element.
        scale: largest absolute value of the reference elements, or of their change over the
            amplitude of the check.
        allowed: largest acceptable ``error``.
    """

    what: str
    error: float
    scale: float
    allowed: float

    @property
    def passed(self) -> bool:
        return self.error <= self.allowed

    @property
    def relative(self) -> float:
        """Error divided by scale; the error itself if the reference is zero."""
        return self.error / self.scale if self.scale > 0.0 else self.error

    def __str__(self) -> str:
        return (
            f"{'ok' if self.passed else 'WRONG':5s} {self.what}: error {self.error:.1e}, "
            f"relative {self.relative:.1e}, allowed {self.allowed:.1e}"
        )


@dataclass(frozen=True)
class Report:
    """All comparisons of one check; as a string, it has one line for each comparison.

    Attributes:
        rows: the comparisons.
    """

    rows: tuple[Row, ...]

    @property
    def passed(self) -> bool:
        return all(row.passed for row in self.rows)

    def __str__(self) -> str:
        return "\n".join(str(row) for row in self.rows)


MULTIVALUED: Final = frozenset({"dipole", QUANTITIES["dipole"].members})
"""Observables that are defined modulo quanta, e times lattice vectors."""


def check_evaluator(
    evaluator: Evaluator,
    structure: Structure,
    *,
    step: float = 0.01,
    tolerance: float = 1e-6,
    amplitude: float = 0.0,
    n_sampled: int | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> Report:
    """Compare every derivative of an evaluator with finite differences of its observables.

    For each observable x with a derivative, a random cotangent w is pulled back, and the gradient
    is compared with differences of w.x with respect to positions and, if there is a strain
    derivative, with respect to strain. Observables that are derivatives of another observable, such
    as Born charges, are compared with differences of the latter.

    Args:
        evaluator: evaluator to check.
        structure: structure at which derivatives are compared; it should not be symmetric, as
            symmetry hides errors.
        step: step of positions, bohr; the step of strain is a tenth of this number.
        tolerance: acceptable error relative to the largest element, in addition to rounding.
        amplitude: displacement, bohr, whose change of the derivative is the largest element where
            that is larger than the derivative itself, for example near a minimum.
        n_sampled: number of random atoms to differentiate with respect to; None for all.
        seed: seed of the cotangents and of the sample.
        progress: called after each displacement.

    Raises:
        MissingObservable: the evaluator provides no observable with a derivative.
    """
    values = evaluator([structure], evaluator.provides).values[0]
    pulled = _pull_back_each(evaluator, structure, values, seed)
    claims = {
        name: claim
        for name in sorted(evaluator.provides)
        if (claim := QUANTITIES[name].derivative) is not None and claim.of in evaluator.provides
    }
    names = frozenset(pulled) | {claim.of for claim in claims.values()}
    if not names:
        raise MissingObservable("no observable of this evaluator has a derivative to check")
    atoms = sample(structure, n_sampled, seed)
    differences = Differences(
        lambda displaced: observe(displaced, [evaluator], names), structure, atoms, step, progress
    )
    rows = []
    for x, (weight, gradient) in pulled.items():
        known = {"positions": gradient.positions[atoms]}
        if gradient.strain is not None:
            known["strain"] = gradient.strain
        for by, claimed in known.items():
            expected, change = (
                np.asarray(np.tensordot(weight, numeric[x], np.ndim(weight)), dtype=np.float64)
                for numeric in (differences.by(by), differences.changes(by, amplitude))
            )
            what, noise = f"d({x})/d({by})", differences.rounding(x)
            rows.append(_compare(what, claimed, expected, tolerance, noise, change))
    for name, claim in claims.items():
        claimed, expected = _claimed(name, claim, values, differences, atoms)
        change = differences.changes(claim.by, amplitude)[claim.of]
        noise = differences.rounding(claim.of)
        rows.append(_compare(name, claimed, expected, tolerance, noise, change))
    return Report(tuple(rows))


def check_term(
    term: Term,
    evaluators: Sequence[Evaluator],
    structure: Structure,
    *,
    step: float = 0.01,
    tolerance: float = 1e-6,
    amplitude: float = 0.0,
    n_sampled: int | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> Report:
    """Compare forces, virial and cotangents of a term with finite differences of the energy.

    Forces and virial are those of the evaluators and the term together, as in a run.

    Args:
        term: term to check.
        evaluators: evaluators that give the observables of the term.
        structure: structure at which derivatives are compared; it should not be symmetric, as
            symmetry hides errors.
        step: step of positions, bohr; the step of strain is a tenth of this number, and the step
            of an observable is this number times its largest element, or times 1 if that is larger.
        tolerance: acceptable error relative to the largest element, in addition to rounding.
        amplitude: as in :func:`check_evaluator`.
        n_sampled: number of random atoms whose forces are compared; None for all.
        seed: seed of the sample.
        progress: called after each displacement.

    Raises:
        MissingObservable: the evaluators do not give what the term needs.
    """

    def energies(displaced: Sequence[Structure]) -> list[Values]:
        totals = total_energies(displaced, evaluators, [term])
        return [{"energy": np.asarray(energy)} for energy in totals]

    atoms = sample(structure, n_sampled, seed)
    differences = Differences(energies, structure, atoms, step, progress)
    noise = differences.rounding("energy")
    prediction = predict([structure], evaluators, [term])[0]
    claims = {"forces": ("positions", prediction.forces[atoms])}
    if prediction.virial is not None:
        claims["virial"] = ("strain", prediction.virial)
    rows = []
    for what, (by, claimed) in claims.items():
        expected = -differences.by(by)["energy"]
        change = differences.changes(by, amplitude)["energy"]
        rows.append(_compare(what, claimed, expected, tolerance, noise, change))
    values = observe([structure], evaluators, term.needs)
    rows += _check_cotangents(term, structure, values[0], step, tolerance)
    return Report(tuple(rows))


def check_translations(
    evaluator: Evaluator,
    structure: Structure,
    *,
    tolerance: float = 1e-6,
    n_sampled: int | None = None,
    seed: int = 0,
) -> Report:
    """Move single atoms by lattice vectors, and check that only the dipole changes, by quanta.

    A model whose dipole changes by anything other than an integer times e times the lattice vector
    has no meaning in a field under periodic boundary conditions.

    Args:
        evaluator: evaluator to check.
        structure: structure that is periodic along at least one lattice vector.
        tolerance: acceptable change relative to the largest element; for the dipole, relative to a
            quantum.
        n_sampled: number of random atoms to move; None for all.
        seed: seed of the sample.

    Raises:
        MissingObservable: the structure is not periodic.
    """
    vectors = structure.cell[list(structure.pbc)]
    if len(vectors) == 0:
        raise MissingObservable("the structure is not periodic, so no lattice vector can be tried")
    before = _values_and_forces(evaluator, structure)
    largest = dict.fromkeys(sorted(before), 0.0)
    for atom in sample(structure, n_sampled, seed):
        for vector in vectors:
            moved = _values_and_forces(evaluator, displace(structure, int(atom), vector))
            for name in before:
                change = moved[name] - before[name]
                if name in MULTIVALUED:
                    change = _without_quanta(change, vector)
                largest[name] = max(largest[name], float(np.max(np.abs(change))))
    rows = []
    for name, error in largest.items():
        scale = float(np.max(np.abs(before[name])))
        what = f"{name} after a lattice translation"
        if name in MULTIVALUED:
            scale, what = float(np.max(np.linalg.norm(vectors, axis=1))), f"{what}, modulo quanta"
        rows.append(Row(what, error, scale, tolerance * scale))
    return Report(tuple(rows))


def _values_and_forces(evaluator: Evaluator, structure: Structure) -> Values:
    evaluation = evaluator([structure], evaluator.provides)
    values = dict(evaluation.values[0])
    if "energy" in values:
        values["forces"] = -evaluation.pull_back([{"energy": np.ones(())}])[0].positions
    return values


def _without_quanta(change: Array, vector: Array) -> Array:
    quanta = np.round(change @ vector / (vector @ vector))
    return np.asarray(change - quanta[..., None] * vector)


def _pull_back_each(
    evaluator: Evaluator, structure: Structure, values: Values, seed: int
) -> dict[str, tuple[Array, Gradient]]:
    """Return a random cotangent and its gradient for each observable with a derivative."""
    random = np.random.default_rng(seed)
    pulled = {}
    for name in sorted(evaluator.provides):
        weight = np.asarray(random.normal(size=np.shape(values[name])))
        evaluation = evaluator([structure], frozenset({name}))
        try:
            pulled[name] = (weight, evaluation.pull_back([{name: weight}])[0])
        except MissingObservable:
            continue  # observables such as the Born charges may have no derivative
    return pulled


def _claimed(
    name: str, claim: Derivative, values: Values, differences: Differences, atoms: Integers
) -> tuple[Array, Array]:
    """Return an observable that is a derivative, and the value from differences."""
    expected = claim.sign * differences.by(claim.by)[claim.of]  # [..., I, j] or [..., a, b]
    if claim.by == "strain":
        return values[name], expected
    if QUANTITIES[name].members_of:  # [m, I, ..., j]
        return values[name][:, atoms], np.moveaxis(expected, -2, 1)
    return values[name][atoms], np.moveaxis(expected, -2, 0)


def _check_cotangents(
    term: Term, structure: Structure, values: Values, step: float, tolerance: float
) -> Iterator[Row]:
    coupling = term(structure, values)
    for name in sorted(coupling.cotangents):
        value = values[name]
        h = step * max(float(np.max(np.abs(value))), 1.0)
        expected = np.zeros(np.shape(value))
        for index in np.ndindex(expected.shape):
            direction = np.zeros(expected.shape)
            direction[index] = 1.0

            def energy(amount: float, name: str = name, direction: Array = direction) -> Values:
                changed = {**values, name: values[name] + amount * direction}
                return {"energy": np.asarray(term(structure, changed).energy)}

            expected[index] = differentiate(energy, h)["energy"]
        noise = rounding(np.asarray(coupling.energy), h)
        claimed = coupling.cotangents[name]
        change = np.zeros(())
        yield _compare(f"cotangent of {name}", claimed, expected, tolerance, noise, change)


def _compare(
    what: str, claimed: Array, expected: Array, tolerance: float, noise: float, change: Array
) -> Row:
    scale = max(float(np.max(np.abs(expected))), float(np.max(np.abs(change))))
    error = float(np.max(np.abs(claimed - expected)))
    return Row(what, error, scale, tolerance * scale + noise)
