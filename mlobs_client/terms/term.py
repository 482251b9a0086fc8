"""What every term promises: an energy, and its derivative with respect to observables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from mlobs_client.evaluate.evaluation import Gradient, Values
from mlobs_client.structure import Array, Structure


@dataclass(frozen=True)
class Coupling:
    """The energy of one term for one structure.

    Attributes:
        energy: Eh.
        cotangents: d(energy)/d(observable), in the shape of the observable, atomic units.
        explicit: the part of the gradient that does not go through observables (a restraint on
            positions, the volume in a constant-D enthalpy); None where there is none.
        updated: observables that the term changes, for example the dipole induced by a field.
    """

    energy: float
    cotangents: Mapping[str, Array]
    explicit: Gradient | None = None
    updated: Mapping[str, Array] = field(default_factory=dict)


class Term(Protocol):
    """An energy that is a function of observables (and perhaps of the structure)."""

    @property
    def needs(self) -> frozenset[str]:
        """Observables that the term is a function of."""

    def __call__(self, structure: Structure, values: Values) -> Coupling:
        """Energy and derivatives for one structure."""
