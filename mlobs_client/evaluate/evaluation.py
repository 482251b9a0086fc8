"""What every evaluator promises: values at fixed structures, and one way back.

An evaluator gives the *values* of its observables first. Terms look at the values and answer
with the derivative of their energy with respect to each observable (the cotangent). One *pull
back* then turns the cotangents of all terms into forces and virial: for a network, one backward
pass, whatever the number of terms. Formally it is a vector-Jacobian product.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np

from mlobs_client.errors import MissingObservable
from mlobs_client.structure import Array, Structure

Values = Mapping[str, Array]
"""Observables of one structure by name, atomic units."""


@dataclass(frozen=True)
class Gradient:
    """Derivatives of one energy-like scalar of one structure.

    Attributes:
        positions: shape ``(n_atoms, 3)``, d/dR, Eh/bohr.
        strain: shape ``(3, 3)``, d/d(strain), Eh, where R -> R (1 + strain) and likewise the
            lattice vectors; None where the evaluator has no strain derivative.
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
    """Values of one evaluator at fixed structures."""

    @property
    def values(self) -> Sequence[Values]:
        """The observables of each structure."""

    def pull_back(self, cotangents: Sequence[Values]) -> list[Gradient]:
        """Gradient of ``sum_x cotangent_x . x`` for each structure.

        Args:
            cotangents: for each structure, d(total energy)/d(observable) with the shape of the
                observable; observables that are absent have the cotangent zero.

        Raises:
            MissingObservable: an observable has no derivative here.
        """


class Evaluator(Protocol):
    """One family of models: structures to values and gradients."""

    @property
    def provides(self) -> frozenset[str]:
        """Names of the observables that it can give."""

    def __call__(
        self, structures: Sequence[Structure], wanted: frozenset[str], *, derivatives: bool = True
    ) -> Evaluation:
        """Evaluate the ``wanted`` observables (a subset of ``provides``).

        ``derivatives=False`` promises that nothing will be pulled back, which saves a network
        time and memory.

        Raises:
            EvaluationError: a structure has species or a cell that the models cannot treat.
        """


@runtime_checkable
class Batching(Protocol):
    """An evaluator that has an opinion on how many structures to give it at once.

    On a CPU one large batch is slower than several small ones, for its arrays do not fit into the
    cache; and what is kept for the way back takes memory.
    """

    def at_once(self, structures: Sequence[Structure]) -> int:
        """How many of these structures are best evaluated together, at least one."""


@dataclass(frozen=True)
class Restricted:
    """An evaluator of which only some observables are used."""

    evaluator: Evaluator
    provides: frozenset[str]

    def __call__(
        self, structures: Sequence[Structure], wanted: frozenset[str], *, derivatives: bool = True
    ) -> Evaluation:
        return self.evaluator(structures, wanted, derivatives=derivatives)


@dataclass(frozen=True)
class TabulatedEvaluation:
    """An evaluation whose Jacobians are known numbers (analytic models, ASE calculators).

    Attributes:
        values: the observables of each structure.
        jacobians: for each structure and observable, the derivatives with respect to the
            positions, shape ``(*shape, n_atoms, 3)``, and the strain, ``(*shape, 3, 3)`` or None.
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
        raise MissingObservable("nothing to differentiate: no cotangent was given")
    return total


Precision = Literal["float64", "float32"]
