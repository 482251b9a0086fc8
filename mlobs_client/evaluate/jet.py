"""Values with their exact first derivatives, the building blocks of analytic models."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mlobs_client.evaluate.evaluation import TabulatedEvaluation
from mlobs_client.structure import Array, Structure


@dataclass(frozen=True)
class Jet:
    """One observable of one structure with its derivatives, Hartree atomic units.

    Attributes:
        value: value in the shape and the atomic unit of the observable.
        by_positions: d(value)/dR, shape ``(*shape, n_atoms, 3)``, per bohr; None if it is not
            given, so that no force can come from this observable.
        by_strain: d(value)/d(strain), shape ``(*shape, 3, 3)``, in the same unit; None if it has no
            meaning.
    """

    value: Array
    by_positions: Array | None = None
    by_strain: Array | None = None


def tabulate(jets: Sequence[Mapping[str, Jet]], wanted: frozenset[str]) -> TabulatedEvaluation:
    """Turn the jets of structures into an evaluation of the ``wanted`` observables.

    Args:
        jets: for each structure, its jets by the names of the observables.
        wanted: names of observables.
    """
    return TabulatedEvaluation(
        values=[{name: jet[name].value for name in wanted} for jet in jets],
        jacobians=[
            {
                name: (by_positions, jet[name].by_strain)
                for name in wanted
                if (by_positions := jet[name].by_positions) is not None
            }
            for jet in jets
        ],
    )


class JetEvaluator(ABC):
    """An evaluator that computes all its observables together, one structure after the other."""

    def __call__(
        self, structures: Sequence[Structure], wanted: frozenset[str], *, derivatives: bool = True
    ) -> TabulatedEvaluation:
        """Evaluate the ``wanted`` observables, always with their derivatives."""
        return tabulate([self._observe(structure) for structure in structures], wanted)

    @abstractmethod
    def _observe(self, structure: Structure) -> Mapping[str, Jet]:
        """Return all observables of one structure."""


def strain_derivative(vectors: Array, by_vectors: Array) -> Array:
    """Apply the chain rule to a function of vectors that follow the strain, v -> v (1 + strain).

    Args:
        vectors: shape ``(n, 3)``, bohr.
        by_vectors: d(value)/d(vectors), shape ``(*shape, n, 3)``, per bohr.

    Returns:
        d(value)/d(strain), shape ``(*shape, 3, 3)``.
    """
    return np.asarray(np.einsum("Ia,...Ib->...ab", vectors, by_vectors))


def fixed_charges(charges: Array, positions: Array) -> dict[str, Jet]:
    """Return the dipole of fixed charges of the atoms, and the Born charges, which equal them.

    Args:
        charges: shape ``(n_atoms,)``, e.
        positions: shape ``(n_atoms, 3)``, bohr.

    Returns:
        ``dipole``, shape ``(3,)``, e bohr, and ``born_charges``, shape ``(n_atoms, 3, 3)``, e.
    """
    born_charges = charges[:, None, None] * np.eye(3)
    by_positions = np.moveaxis(born_charges, 0, -2)
    by_strain = strain_derivative(positions, by_positions)
    return {
        "dipole": Jet(charges @ positions, by_positions, by_strain),
        "born_charges": Jet(born_charges),
    }
