"""Several models as one: their mean drives, their spread tells how much to trust it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
import torch

from mlobs_client.errors import MissingObservable
from mlobs_client.evaluate.derivatives import (
    Derivative,
    contract,
    differentiate,
    jacobian,
    no_derivative,
    stack,
)
from mlobs_client.evaluate.evaluation import Gradient, Values
from mlobs_client.evaluate.graph import Graph
from mlobs_client.structure import Array


class Model(Protocol):
    """One or more trained models of one quantity.

    Attributes:
        n_members: how many.
        cutoff: bohr.
        species: atomic numbers that it was made for.
        device: where it lives, as torch calls it.
    """

    n_members: int
    cutoff: float
    species: tuple[int, ...]
    device: str

    def __call__(self, graph: Graph) -> torch.Tensor:
        """Shape ``(n_structures, n_members, *shape)``, atomic units, float64."""


MEMBERS: Final = {
    "energy": "committee_energies",
    "dipole": "committee_dipoles",
    "polarizability": "committee_polarizabilities",
}
"""What committees predict, and what the same of each member is called."""

DERIVATIVES: Final = {
    "energy": ("committee_forces", "committee_virials"),
    "dipole": ("born_charges",),
    "polarizability": ("polarizability_gradient",),
}
"""Observables that need backward passes of their own."""


@dataclass(frozen=True)
class Committee:
    """Models of one quantity, trained on the same data with other seeds or splits.

    Attributes:
        models: at least one.
        alpha: calibration of the spread, see :func:`spread`.
        common: a known part that is added to every member.
    """

    models: tuple[Model, ...]
    alpha: float = 1.0
    common: Callable[[Graph], torch.Tensor] | None = None

    def __call__(self, graph: Graph) -> torch.Tensor:
        """What each member predicts, shape ``(n_structures, n_members, *shape)``."""
        predictions = torch.cat([model(graph) for model in self.models], dim=1)
        if self.common is None:
            return predictions
        return predictions + self.common(graph).unsqueeze(1)

    @property
    def n_members(self) -> int:
        return sum(model.n_members for model in self.models)

    def provides(self, quantity: str) -> frozenset[str]:
        """Names of all observables that these models of ``quantity`` give."""
        names = {quantity, MEMBERS[quantity], *DERIVATIVES[quantity]}
        if quantity == "energy" and self.n_members > 1:
            names.add("energy_spread")
        return frozenset(names)


def spread(members: torch.Tensor, alpha: float) -> torch.Tensor:
    """Calibrated standard deviation over the members, ``alpha * std(ddof=1)``.

    Args:
        members: shape ``(n_structures, n_members, *shape)``, at least two members.
        alpha: what makes the spread agree with errors seen on a test set.
    """
    return alpha * members.std(dim=1, correction=1)


class CommitteeEvaluation:
    """What committees say about fixed structures, and the way back (an ``Evaluation``).

    Means, members and spread can all be pulled back: a term may be a function of any of them.
    Under ``torch.no_grad`` there are values only.

    Attributes:
        values: the wanted observables of each structure.

    Args:
        graph: of all structures.
        committees: by what they predict.
        wanted: names of observables.
    """

    def __init__(
        self, graph: Graph, committees: Mapping[str, Committee], wanted: frozenset[str]
    ) -> None:
        for variable in (graph.vectors, graph.positions):
            variable.requires_grad_(torch.is_grad_enabled())
        self._graph = graph
        self._starts: list[int] = graph.starts.tolist()
        self._outputs: dict[str, torch.Tensor] = {}  # [s, ...]
        for quantity, committee in committees.items():
            members = committee(graph)  # [s, m, ...]
            self._outputs[quantity] = members.mean(dim=1)
            self._outputs[MEMBERS[quantity]] = members
            if "energy_spread" in committee.provides(quantity):
                self._outputs["energy_spread"] = spread(members, committee.alpha)
        self._jacobians: dict[str, Derivative] = {}
        columns = {name: self._value(name) for name in sorted(wanted)}
        self.values: list[dict[str, Array]] = [
            {name: column[s] for name, column in columns.items()} for s in range(graph.n_structures)
        ]

    def pull_back(self, cotangents: Sequence[Values]) -> list[Gradient]:
        """Gradient of ``sum_x cotangent_x . x`` for each structure, in one backward pass.

        Args:
            cotangents: for each structure and observable, atomic units; absent ones are zero.

        Raises:
            MissingObservable: an observable has no derivative, or none was recorded.
        """
        names = sorted(frozenset[str]().union(*cotangents))
        weights = {name: self._stack(name, cotangents) for name in names}
        known = [name for name in names if name in self._jacobians]
        other = [name for name in names if name not in self._jacobians]
        parts = [no_derivative(self._graph)]
        parts += [contract(self._jacobians[name], weights[name], self._graph) for name in known]
        if other:
            outputs = [self._outputs[name] for name in other]
            parts.append(differentiate(outputs, [weights[name] for name in other], self._graph))
        total = stack(parts)
        positions = self._by_structure(total.positions.sum(0))
        strain = total.strain.sum(0).cpu().numpy()
        return [Gradient(*gradient) for gradient in zip(positions, strain, strict=True)]

    def _stack(self, name: str, cotangents: Sequence[Values]) -> torch.Tensor:
        """Cotangents of one observable for all structures; zero where it is absent."""
        output = self._outputs.get(name)
        if output is None:
            raise MissingObservable(f"{name} has no derivative here, so no force can come from it")
        if not output.requires_grad:
            raise MissingObservable(f"{name} was evaluated with derivatives=False")
        weights = np.zeros(output.shape)
        for s, cotangent in enumerate(cotangents):
            if name in cotangent:
                weights[s] = cotangent[name]
        return torch.from_numpy(weights).to(output.device)

    def _value(self, name: str) -> list[Array]:
        """One observable of every structure."""
        if name in self._outputs:
            return list(_to_numpy(self._outputs[name]))
        if name == "committee_virials":  # [m, s, i, j] -> [s, m, i, j]
            return list(_to_numpy(-self._jacobian("committee_energies").strain.transpose(0, 1)))
        if name == "committee_forces":
            forces = -self._jacobian("committee_energies").positions  # [m, I, j]
            return [part.swapaxes(0, 1) for part in self._by_structure(forces.transpose(0, 1))]
        if name == "born_charges":  # [i, I, j] -> [I, i, j]
            return self._by_structure(self._jacobian("dipole").positions.transpose(0, 1))
        gradient = self._jacobian("polarizability").positions.transpose(0, 1)  # [I, ik, j]
        return self._by_structure(gradient.reshape(-1, 3, 3, 3))

    def _by_structure(self, per_atom: torch.Tensor) -> list[Array]:
        return np.split(_to_numpy(per_atom), self._starts[1:-1])

    def _jacobian(self, name: str) -> Derivative:
        """All derivatives of one observable, kept for the pull back."""
        if name not in self._jacobians:
            if name == "committee_energies":
                self._differentiate_members()
            else:
                self._jacobians[name] = jacobian(self._outputs[name], self._graph)
        return self._jacobians[name]

    def _differentiate_members(self) -> None:
        """One pass for each member, and the derivative of their mean for nothing."""
        members = self._outputs["committee_energies"]  # [s, m]
        each = torch.eye(members.shape[1], dtype=members.dtype, device=members.device)
        passes = [differentiate([members], [w.expand_as(members)], self._graph) for w in each]
        all_of_them = stack(passes)
        self._jacobians["committee_energies"] = all_of_them
        self._jacobians["energy"] = Derivative(*(d.mean(0, keepdim=True) for d in all_of_them))


def _to_numpy(values: torch.Tensor) -> Array:
    array: Array = values.detach().cpu().numpy()
    return array
