"""Add the energies of evaluators and terms; one pullback for each evaluator gives the forces."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from mlobs_client.errors import ConfigError, MissingObservable
from mlobs_client.evaluate.evaluation import (
    Batching,
    Evaluation,
    Evaluator,
    Gradient,
    Values,
    provided_by,
)
from mlobs_client.structure import Array, Prediction, Structure
from mlobs_client.terms.term import Coupling, Term

_ONE: Final = np.ones(())


def predict(
    structures: Sequence[Structure],
    evaluators: Sequence[Evaluator],
    terms: Sequence[Term] = (),
    wanted: frozenset[str] = frozenset(),
) -> list[Prediction]:
    """Evaluate total energy, forces, virial and observables.

    The total energy is the energy of the evaluators (if one of them gives an energy) plus the
    energies of the terms; forces and virial are its exact derivatives.

    Args:
        structures: any number of structures, of any sizes, atomic units.
        evaluators: evaluators that together provide each observable exactly once.
        terms: extra force terms.
        wanted: observables to return in addition to energy, forces and virial; with "forces", the
            forces are also among the observables.

    Returns:
        A prediction for each structure, Hartree atomic units.

    Raises:
        MissingObservable: no evaluator provides an observable that is wanted or that a term needs.
        EvaluationError: a model gave NaN or infinity, or cannot evaluate a structure.
    """
    needed = _needed(evaluators, terms, wanted)
    _check(evaluators, needed)
    return [
        prediction
        for batch in batches(structures, evaluators)
        for prediction in _predict(batch, evaluators, terms, needed, wanted)
    ]


def total_energies(
    structures: Sequence[Structure], evaluators: Sequence[Evaluator], terms: Sequence[Term]
) -> list[float]:
    """Return the energies that :func:`predict` gives, without forces, in half the time.

    Args:
        structures: structures of any sizes, atomic units.
        evaluators: see :func:`predict`.
        terms: extra force terms.

    Returns:
        The total energy of each structure, Eh.

    Raises:
        MissingObservable: no evaluator provides an observable that a term needs.
        EvaluationError: a model gave NaN or infinity, or cannot evaluate a structure.
    """
    needed = _needed(evaluators, terms, frozenset())
    return [
        _total_energy(values, [term(structure, values) for term in terms])
        for structure, values in zip(
            structures, observe(structures, evaluators, needed), strict=True
        )
    ]


def observe(
    structures: Sequence[Structure], evaluators: Sequence[Evaluator], wanted: frozenset[str]
) -> list[dict[str, Array]]:
    """Evaluate observables without forces.

    Args:
        structures: structures of any sizes, atomic units.
        evaluators: see :func:`predict`.
        wanted: names of observables.

    Returns:
        The wanted observables of each structure by name, with the shapes and Hartree atomic units
        of :mod:`mlobs_client.quantities`.

    Raises:
        MissingObservable: no evaluator provides an observable that is wanted.
        ConfigError: two evaluators provide the same observable.
    """
    _check(evaluators, wanted)
    return [
        values
        for batch in batches(structures, evaluators)
        for values in _evaluate(batch, evaluators, wanted, derivatives=False)[1]
    ]


def observe_batch(
    structures: Sequence[Structure],
    evaluators: Sequence[Evaluator],
    terms: Sequence[Term],
    wanted: Sequence[str],
) -> list[dict[str, Array]]:
    """Evaluate observables, including the changes that the terms make to them.

    Args:
        structures: structures of any sizes, atomic units.
        evaluators: see :func:`predict`.
        terms: terms that may change observables, as a field with ``second_order`` does.
        wanted: names of observables; ``positions`` and ``cell`` are left out.

    Returns:
        The observables of each structure by name, with the shapes and Hartree atomic units of
        :mod:`mlobs_client.quantities`.

    Raises:
        MissingObservable: no evaluator provides an observable that is wanted.
        ConfigError: two evaluators provide the same observable.

    Example:
        Dipole and Born charges of two ions in analytic wells::

            >>> import numpy as np
            >>> from mlobs_client import Structure
            >>> from mlobs_client.client import observe_batch
            >>> from mlobs_client.evaluate.toys import make_toy
            >>> wells = {"sites": [[0.0, 0.0, 0.0], [5.0, 0.0, 0.0]], "charges": [1, -1]}
            >>> model = make_toy("charged_oscillators", wells)
            >>> positions = np.array([[0.5, 0.0, 0.0], [5.0, 0.0, 0.0]])
            >>> ions = Structure(np.array([11, 17]), positions, 10.0 * np.eye(3))
            >>> [values] = observe_batch([ions], [model], [], ["dipole", "born_charges"])
            >>> values["dipole"].tolist()
            [-4.5, 0.0, 0.0]
            >>> values["born_charges"][0].diagonal().tolist()
            [1.0, 1.0, 1.0]
    """
    names = frozenset(wanted) - {"positions", "cell"}
    if terms or "forces" in names:  # only the terms know how they change observables
        return [dict(p.observables) for p in predict(structures, evaluators, terms, names)]
    return observe(structures, evaluators, names)


def batches(
    structures: Sequence[Structure], evaluators: Sequence[Evaluator]
) -> Iterator[Sequence[Structure]]:
    """Yield batches of structures that are evaluated together.

    Their sizes are nearly equal, since a small remainder would take nearly as long as a full batch.

    Args:
        structures: the structures.
        evaluators: evaluators, which may prefer a batch size.
    """
    n = len(structures)
    batching = [one for one in evaluators if n > 1 and isinstance(one, Batching)]
    size = min((one.preferred_batch_size(structures) for one in batching), default=n)
    n_batches = -(-n // size) if n else 0
    for k in range(n_batches):
        yield structures[k * n // n_batches : (k + 1) * n // n_batches]


def _check(evaluators: Sequence[Evaluator], wanted: frozenset[str]) -> None:
    """Check that exactly one evaluator provides each observable; two would count twice."""
    provided = provided_by(evaluators)
    if missing := wanted - provided:
        raise MissingObservable(
            f"no model of this client gives {', '.join(sorted(missing))}; it gives "
            f"{', '.join(sorted(provided)) or 'nothing'}: add a model to the client file"
        )
    for name in sorted(wanted):
        if sum(name in evaluator.provides for evaluator in evaluators) > 1:
            raise ConfigError(
                f"two models of this client give {name}, so it would count twice; keep one of them"
            )


def _predict(
    structures: Sequence[Structure],
    evaluators: Sequence[Evaluator],
    terms: Sequence[Term],
    needed: frozenset[str],
    wanted: frozenset[str],
) -> list[Prediction]:
    """Evaluate one batch: values, terms, and one pullback."""
    evaluations, values = _evaluate(structures, evaluators, needed, derivatives=True)
    couplings = [
        [term(structure, value) for term in terms]
        for structure, value in zip(structures, values, strict=True)
    ]
    gradients = _pull_back(evaluations, values, couplings)
    return [
        _prediction(value, coupling, gradient, wanted)
        for value, coupling, gradient in zip(values, couplings, gradients, strict=True)
    ]


def _evaluate(
    structures: Sequence[Structure],
    evaluators: Sequence[Evaluator],
    wanted: frozenset[str],
    *,
    derivatives: bool,
) -> tuple[list[Evaluation], list[dict[str, Array]]]:
    """Return the evaluation of each evaluator, and the merged values of each structure."""
    evaluations = [
        evaluator(structures, wanted & evaluator.provides, derivatives=derivatives)
        for evaluator in evaluators
        if wanted & evaluator.provides
    ]
    values: list[dict[str, Array]] = [{} for _ in structures]
    for evaluation in evaluations:
        for merged, value in zip(values, evaluation.values, strict=True):
            merged.update(value)
    return evaluations, values


def _needed(
    evaluators: Sequence[Evaluator], terms: Sequence[Term], wanted: frozenset[str]
) -> frozenset[str]:
    drives = any("energy" in evaluator.provides for evaluator in evaluators)
    needed = (wanted - {"forces"}).union(*(term.needs for term in terms))
    return needed | {"energy"} if drives else needed


def _pull_back(
    evaluations: Sequence[Evaluation],
    values: Sequence[Values],
    couplings: Sequence[Sequence[Coupling]],
) -> list[Gradient]:
    cotangents = [_total_cotangents(v, c) for v, c in zip(values, couplings, strict=True)]
    totals: list[Gradient | None] = [_explicit(coupling) for coupling in couplings]
    for evaluation in evaluations:
        own = [
            {name: weight for name, weight in cotangent.items() if name in value}
            for cotangent, value in zip(cotangents, evaluation.values, strict=True)
        ]
        if not any(own):
            continue
        for s, gradient in enumerate(evaluation.pull_back(own)):
            previous = totals[s]
            totals[s] = gradient if previous is None else previous + gradient
    if any(total is None for total in totals):
        raise MissingObservable(
            "the client has neither a potential nor a term, so there are no forces; "
            "add [potential] or [field] to the client file"
        )
    return [total for total in totals if total is not None]


def _total_cotangents(values: Values, couplings: Sequence[Coupling]) -> dict[str, Array]:
    total: dict[str, Array] = {"energy": _ONE} if "energy" in values else {}
    for coupling in couplings:
        for name, weight in coupling.cotangents.items():
            total[name] = total[name] + weight if name in total else weight
    return total


def _explicit(couplings: Sequence[Coupling]) -> Gradient | None:
    total: Gradient | None = None
    for coupling in couplings:
        if coupling.explicit is not None:
            total = coupling.explicit if total is None else total + coupling.explicit
    return total


def _prediction(
    values: Values, couplings: Sequence[Coupling], gradient: Gradient, wanted: frozenset[str]
) -> Prediction:
    observables = dict(values)
    for coupling in couplings:
        observables.update(coupling.updated)
    observables["forces"] = -gradient.positions
    return Prediction(
        energy=_total_energy(values, couplings),
        forces=-gradient.positions,
        virial=None if gradient.strain is None else -gradient.strain,
        observables={name: observables[name] for name in wanted if name in observables},
    )


def _total_energy(values: Values, couplings: Sequence[Coupling]) -> float:
    return float(values.get("energy", 0.0)) + sum(coupling.energy for coupling in couplings)
