"""Several models as one: their mean drives, their spread tells how much to trust it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from typing import Final, Protocol

import numpy as np
import torch

from mlobs_client.errors import MissingObservable
from mlobs_client.evaluate.derivatives import (
    Derivative,
    Output,
    add,
    contract,
    jacobian,
    no_derivative,
    stack,
)
from mlobs_client.evaluate.evaluation import Gradient, Values
from mlobs_client.evaluate.graph import Graph
from mlobs_client.evaluate.members import (
    CalibratedMembers,
    Mean,
    Members,
    Part,
    Spread,
    Statistic,
    spread_out,
)
from mlobs_client.structure import Array


class Model(Protocol):
    """One or more trained models of one quantity, or of several (:data:`COLUMNS`).

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

    def __call__(self, graph: Graph) -> Output:
        """Values of shape ``(n_structures, n_members, *shape)``."""


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

COLUMNS: Final[dict[str, dict[str, int | slice]]] = {
    "energy_and_dipole": {"energy": 0, "dipole": slice(1, 4)}
}
"""Of models that predict several quantities: where each of them stands in the last axis."""


@dataclass(frozen=True)
class Committee:
    """Models of the same, trained on the same data with other seeds or splits.

    Attributes:
        models: at least one.
        alphas: by quantity, of :data:`MEMBERS`: by how much the members are spread out about their
            mean, see :class:`mlobs_client.evaluate.members.CalibratedMembers`; 1 for those that
            are not named.
        common: a known part that is added to every member.
    """

    models: tuple[Model, ...]
    alphas: Mapping[str, float] = field(default_factory=dict)
    common: Callable[[Graph], Output] | None = None

    def __call__(self, graph: Graph) -> Members:
        """What each member predicts."""
        common = None if self.common is None else self.common(graph)
        return Members([model(graph) for model in self.models], common)

    @property
    def n_members(self) -> int:
        return sum(model.n_members for model in self.models)

    def provides(self, quantity: str) -> frozenset[str]:
        """Names of all observables that these models give.

        Args:
            quantity: that they predict, of :data:`MEMBERS` or :data:`COLUMNS`.
        """
        return _provided(quantity, self.n_members > 1)


@cache
def _provided(quantity: str, have_spread: bool) -> frozenset[str]:
    names = set[str]()
    for part in COLUMNS.get(quantity, (quantity,)):
        names |= {part, MEMBERS[part], *DERIVATIVES[part]}
    if "energy" in names and have_spread:
        names.add("energy_spread")
    return frozenset(names)


class CommitteeEvaluation:
    """What committees say about fixed structures, and the way back (an ``Evaluation``).

    Means, members and spread can all be pulled back: a term may be a function of any of them.
    Members and their derivatives have alpha in them, energy, forces and virials the same one, so
    that forces of members are derivatives of their energies; see
    :class:`mlobs_client.evaluate.members.CalibratedMembers`.
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
        self._graph = graph
        self._recording = torch.is_grad_enabled()
        self._statistics: dict[str, Statistic] = {}
        self._members: dict[str, Members | Part] = {}
        self._energy_alpha = 1.0
        for quantity, committee in committees.items():
            self._add(quantity, committee)
        self._jacobians: dict[str, Derivative] = {}
        columns = {name: self._value(name) for name in sorted(wanted)}
        self.values: list[dict[str, Array]] = [
            {name: column[s] for name, column in columns.items()} for s in range(graph.n_structures)
        ]

    def _add(self, quantity: str, committee: Committee) -> None:
        """Means, members and spread of what one committee predicts."""
        members = committee(self._graph)
        parts: dict[str, Members | Part] = {quantity: members}
        if quantity in COLUMNS:
            parts = {name: Part(members, place) for name, place in COLUMNS[quantity].items()}
        self._members |= parts
        for name, of_each in parts.items():
            alpha = committee.alphas.get(name, 1.0)
            calibrated = of_each if alpha == 1.0 else CalibratedMembers(of_each, alpha)
            self._statistics[name] = Mean(of_each)
            self._statistics[MEMBERS[name]] = calibrated
            if name == "energy":
                self._energy_alpha = alpha
                if committee.n_members > 1:
                    self._statistics["energy_spread"] = Spread(calibrated)

    @torch.no_grad()
    def pull_back(self, cotangents: Sequence[Values]) -> list[Gradient]:
        """Gradient of ``sum_x cotangent_x . x`` for each structure, in one backward pass.

        Args:
            cotangents: for each structure and observable, atomic units; absent ones are zero.

        Raises:
            MissingObservable: an observable has no derivative, or none was recorded.
        """
        parts = []
        of_members: dict[Members, torch.Tensor] = {}
        for name in sorted(frozenset[str]().union(*cotangents)):
            weights = self._stack(name, cotangents)
            if name in self._jacobians:
                parts.append(contract(self._jacobians[name], weights, self._graph))
                continue
            statistic = self._statistics[name]
            share = statistic.on_members(weights)
            previous = of_members.get(statistic.members)
            of_members[statistic.members] = share if previous is None else previous + share
        parts += [members.pull_back(weights) for members, weights in of_members.items()]
        total = add(parts) if parts else no_derivative(self._graph)
        positions = self._by_structure(total.positions)
        strain = _to_numpy(total.strain)
        return [Gradient(*gradient) for gradient in zip(positions, strain, strict=True)]

    def _stack(self, name: str, cotangents: Sequence[Values]) -> torch.Tensor:
        """Cotangents of one observable for all structures; zero where it is absent."""
        statistic = self._statistics.get(name)
        if statistic is None:
            raise MissingObservable(f"{name} has no derivative here, so no force can come from it")
        if not self._recording:
            raise MissingObservable(f"{name} was evaluated with derivatives=False")
        zero = np.zeros(statistic.values.shape[1:])
        weights = np.array([cotangent.get(name, zero) for cotangent in cotangents], np.float64)
        return torch.from_numpy(weights).to(statistic.values.device)

    def _value(self, name: str) -> list[Array]:
        """One observable of every structure."""
        if name in self._statistics:
            return list(_to_numpy(self._statistics[name].values))
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
        starts = self._graph.starts
        array = _to_numpy(per_atom)
        return [array[start:end] for start, end in pairwise(starts)]

    def _jacobian(self, name: str) -> Derivative:
        """All derivatives of one observable, kept for the pull back."""
        if name not in self._jacobians:
            if name == "committee_energies":
                self._differentiate_members()
            else:
                self._jacobians[name] = jacobian(Mean(self._members[name]), self._graph)
        return self._jacobians[name]

    def _differentiate_members(self) -> None:
        """One pass for each member, and the derivative of their mean for nothing."""
        members = self._members["energy"]
        shape, device = members.values.shape, members.values.device
        each = torch.eye(shape[1], dtype=torch.float64, device=device)
        all_of_them = stack([members.pull_back(weights.expand(shape)) for weights in each])
        self._jacobians["committee_energies"] = Derivative(
            *(spread_out(d, self._energy_alpha, dim=0) for d in all_of_them)
        )
        self._jacobians["energy"] = Derivative(*(d.mean(0, keepdim=True) for d in all_of_them))


def _to_numpy(values: torch.Tensor) -> Array:
    array: Array = values.numpy(force=True)  # in one call from any device, recorded or not
    return array
