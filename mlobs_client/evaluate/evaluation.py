"""The interface of evaluators: values at fixed structures, and one pullback to forces.

An evaluator gives the *values* of its observables first. Terms take the values and return the
derivative of their energy with respect to each observable (the cotangent). One *pullback* then
turns the cotangents of all terms into forces and virial: for a network this is one backward pass,
whatever the number of terms. Formally it is a vector-Jacobian product.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np

from mlobs_client.errors import MissingObservable
from mlobs_client.structure import Array, Structure

Values = Mapping[str, Array]
"""Observables of one structure by their names, atomic units."""


@dataclass(frozen=True)
class Gradient:
    """Derivatives of an energy of one structure.

    Attributes:
        positions: shape ``(n_atoms, 3)``, dE/dR, Eh/bohr.
        strain: shape ``(3, 3)``, dE/d(strain), Eh, where R -> R (1 + strain), and likewise the
            lattice vectors; None if the evaluator has no strain derivative.
    """

    positions: Array
    strain: Array | None

    def __add__(self, other: Gradient) -> Gradient:
        unknown = self.strain is None or other.strain is None
        return Gradient(
            self.positions + other.positions,
            None if unknown else np.add(self.strain, other.strain),  # type: ignore[arg-type]
        )


class Evaluation(Protocol):
    """Values that an evaluator gives at fixed structures, with their pullback."""

    @property
    def values(self) -> Sequence[Values]:
        """Observables of each structure, atomic units."""

    def pull_back(self, cotangents: Sequence[Values]) -> list[Gradient]:
        """Return the gradient of ``sum_x cotangent_x . x`` for each structure.

        Args:
            cotangents: for each structure, d(total energy)/d(observable) in atomic units, with the
                shape of the observable; absent observables have a cotangent of zero.

        Raises:
            MissingObservable: an observable has no derivative in this evaluation.
        """


class Evaluator(Protocol):
    """A family of models, which maps structures to values and gradients."""

    @property
    def provides(self) -> frozenset[str]:
        """Names of the observables that the evaluator can give."""

    def __call__(
        self, structures: Sequence[Structure], wanted: frozenset[str], *, derivatives: bool = True
    ) -> Evaluation:
        """Evaluate observables of structures.

        Args:
            structures: structures of any sizes and cells.
            wanted: names of observables, a subset of ``provides``.
            derivatives: False promises that nothing will be pulled back, which saves a network
                time and memory.

        Raises:
            EvaluationError: a structure has species or a cell that the models cannot treat.
        """


def provided_by(evaluators: Iterable[Evaluator]) -> frozenset[str]:
    """Return the names of all observables that evaluators give together.

    Args:
        evaluators: the evaluators.
    """
    return frozenset[str]().union(*(one.provides for one in evaluators))


@runtime_checkable
class Batching(Protocol):
    """An evaluator with a preferred batch size.

    On a CPU one large batch is slower than several small ones, because its arrays do not fit into
    the cache; and all that is recorded for the backward pass takes memory.
    """

    def preferred_batch_size(self, structures: Sequence[Structure]) -> int:
        """Return how many of these structures are best evaluated together, at least one."""


@dataclass(frozen=True)
class Restricted:
    """An evaluator restricted to some of its observables.

    Attributes:
        evaluator: the full evaluator.
        provides: names of the observables that it still provides.
    """

    evaluator: Evaluator
    provides: frozenset[str]

    def __call__(
        self, structures: Sequence[Structure], wanted: frozenset[str], *, derivatives: bool = True
    ) -> Evaluation:
        return self.evaluator(structures, wanted, derivatives=derivatives)


@dataclass(frozen=True)
class TabulatedEvaluation:
    """An evaluation with tabulated Jacobians, for analytic models and ASE calculators.

    Attributes:
        values: observables of each structure, atomic units.
        jacobians: for each structure, by the name of the observable, its derivatives: first with
            respect to the positions, shape ``(*shape, n_atoms, 3)``, in the unit of the observable
            per bohr; then with respect to the strain, shape ``(*shape, 3, 3)``, in the unit of the
            observable, or None if there is no strain derivative.
    """

    values: Sequence[Values]
    jacobians: Sequence[Mapping[str, tuple[Array, Array | None]]]

    def pull_back(self, cotangents: Sequence[Values]) -> list[Gradient]:
        return [
            _contract(cotangent, jacobian)
            for cotangent, jacobian in zip(cotangents, self.jacobians, strict=True)
        ]


def _contract(cotangent: Values, jacobian: Mapping[str, tuple[Array, Array | None]]) -> Gradient:
    total: Gradient | None = None
    for name, weight in cotangent.items():
        if name not in jacobian:
            raise MissingObservable(
                f"{name} has no derivative in this model, so no force can come from it"
            )
        by_positions, by_strain = jacobian[name]
        axes = np.ndim(weight)
        gradient = Gradient(
            np.asarray(np.tensordot(weight, by_positions, axes), dtype=np.float64),
            None
            if by_strain is None
            else np.asarray(np.tensordot(weight, by_strain, axes), dtype=np.float64),
        )
        total = gradient if total is None else total + gradient
    if total is None:
        raise MissingObservable("there is nothing to differentiate: no cotangent was given")
    return total


Precision = Literal["float64", "float32"]
