"""The interface of force terms: an energy and its derivatives with respect to observables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from mlobs_client.evaluate.evaluation import Gradient, Values
from mlobs_client.structure import Array, Structure


@dataclass(frozen=True)
class Coupling:
    """The energy of one term for one structure, with its derivatives.

    Attributes:
        energy: energy, Eh.
        cotangents: d(energy)/d(observable) by the name of the observable, each in the shape of the
            observable, Hartree atomic units.
        explicit: gradient of the energy at fixed observables, if the term depends on the structure
            itself (a restraint on positions, or the volume in the energy at fixed displacement);
            None if the energy depends only on observables.
        updated: observables that the term changes, for example by the dipole that a field induces,
            with the shapes and units of the table of quantities.
    """

    energy: float
    cotangents: Mapping[str, Array]
    explicit: Gradient | None = None
    updated: Mapping[str, Array] = field(default_factory=dict)


class Term(Protocol):
    """An energy that is a function of observables, and possibly of the structure."""

    @property
    def needs(self) -> frozenset[str]:
        """The names of the observables that the energy depends on."""

    def __call__(self, structure: Structure, values: Values) -> Coupling:
        """Return the energy and its derivatives for one structure.

        Args:
            structure: the structure, atomic units.
            values: its observables by name, Hartree atomic units, including all that the term
                needs.
        """
