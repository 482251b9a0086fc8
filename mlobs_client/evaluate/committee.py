"""Evaluate committees: the mean of their members, the members, and their spread."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from typing import Final, Protocol

import numpy as np
import torch
from ase.data import chemical_symbols

from mlobs_client.errors import ConfigError, EvaluationError, MissingObservable
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
from mlobs_client.evaluate.graph import Graph, GraphBuilder
from mlobs_client.evaluate.members import (
    CalibratedMembers,
    Mean,
    Members,
    Part,
    Spread,
    Statistic,
    spread_out,
)
from mlobs_client.quantities import QUANTITIES, Quantity, of_one_committee
from mlobs_client.quantities import Derivative as Claim
from mlobs_client.structure import Array, Structure
from mlobs_client.units import ANGSTROM


class Model(Protocol):
    """One or more trained models of one quantity, or of several (``Committee.columns``).

    Attributes:
        n_members: number of members.
        cutoff: cutoff of the neighbours, bohr.
        species: atomic numbers that the models were trained for.
        device: device of their weights, as torch names it.
    """

    n_members: int
    cutoff: float
    species: tuple[int, ...]
    device: str

    def __call__(self, graph: Graph) -> Output:
        """Return values of shape ``(n_structures, n_members, *shape)``, atomic units.

        Quantities of atoms have shape ``(n_atoms, n_members, *axes)``, the structures one after
        the other.
        """


@dataclass(frozen=True)
class Committee:
    """Models of one quantity, trained on the same data with different seeds or splits.

    Attributes:
        models: at least one model.
        alphas: factors of the deviations from the mean, by quantity, see
            :class:`mlobs_client.evaluate.members.CalibratedMembers`; 1 for quantities that are
            not named.
        common: a known part that is added to every member.
        columns: for models that predict several quantities, the position of each of them in the
            last axis; empty for models of one quantity.
    """

    models: tuple[Model, ...]
    alphas: Mapping[str, float] = field(default_factory=dict)
    common: Callable[[Graph], Output] | None = None
    columns: Mapping[str, int | slice] = field(default_factory=dict)

    def __call__(self, graph: Graph) -> Members:
        """Return the predictions of the members."""
        common = None if self.common is None else self.common(graph)
        return Members([model(graph) for model in self.models], common)

    @property
    def n_members(self) -> int:
        return sum(model.n_members for model in self.models)

    def provides(self, quantity: str) -> frozenset[str]:
        """Return the names of all observables that these models give.

        Args:
            quantity: the quantity that they predict; ignored if ``columns`` name several.
        """
        return _provided(tuple(self.columns) or (quantity,), self.n_members > 1)


@cache
def _provided(quantities: tuple[str, ...], have_spread: bool) -> frozenset[str]:
    names = frozenset[str]()
    for row in (QUANTITIES[name] for name in quantities):
        names |= of_one_committee(row) - (frozenset() if have_spread else {row.spread})
    return names


class CommitteeEvaluation:
    """Predictions of committees for fixed structures, with their pullback (an ``Evaluation``).

    Means, members and spread can all be pulled back: a term may be a function of any of them.
    Members and their derivatives contain alpha; energy, forces and virials share one alpha, so that
    the forces of a member are the derivatives of its energy; see
    :class:`mlobs_client.evaluate.members.CalibratedMembers`.
    Under ``torch.no_grad`` there are values only.

    Attributes:
        values: the wanted observables of each structure, atomic units.

    Args:
        graph: graph of all structures.
        committees: committees by the quantity that they predict.
        wanted: names of observables.
    """

    def __init__(
        self, graph: Graph, committees: Mapping[str, Committee], wanted: frozenset[str]
    ) -> None:
        self._graph = graph
        self._recording = torch.is_grad_enabled()
        self._statistics: dict[str, Statistic] = {}
        self._members: dict[str, Members | Part] = {}
        self._alphas: dict[str, float] = {}
        for quantity, committee in committees.items():
            self._add(quantity, committee)
        self._jacobians: dict[str, Derivative] = {}
        columns = {name: self._value(name) for name in sorted(wanted)}
        self.values: list[dict[str, Array]] = [
            {name: column[s] for name, column in columns.items()} for s in range(graph.n_structures)
        ]

    def _add(self, quantity: str, committee: Committee) -> None:
        """Add the mean, the members and the spread of each quantity of one committee."""
        members = committee(self._graph)
        parts: dict[str, Members | Part] = {quantity: members}
        if committee.columns:
            parts = {name: Part(members, place) for name, place in committee.columns.items()}
        self._members |= parts
        for name, of_each in parts.items():
            row = QUANTITIES[name]
            alpha = self._alphas[name] = committee.alphas.get(name, 1.0)
            calibrated = of_each if alpha == 1.0 else CalibratedMembers(of_each, alpha)
            self._statistics[name] = Mean(of_each)
            self._statistics[row.members] = calibrated
            if row.spread and committee.n_members > 1:
                self._statistics[row.spread] = Spread(calibrated)

    @torch.no_grad()
    def pull_back(self, cotangents: Sequence[Values]) -> list[Gradient]:
        """Return the gradient of ``sum_x cotangent_x . x`` of each structure, in one backward pass.

        Args:
            cotangents: for each structure, arrays in the shapes of the observables, by their names,
                atomic units; absent ones are zero.

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
        positions, strain = _to_numpy(total.positions), _to_numpy(total.strain)
        return [
            Gradient(positions[start:end], strain[s])
            for s, (start, end) in enumerate(pairwise(self._graph.starts))
        ]

    def _stack(self, name: str, cotangents: Sequence[Values]) -> torch.Tensor:
        """Return cotangents of one observable for all structures; zero where it is absent."""
        statistic = self._statistics.get(name)
        if statistic is None:
            raise MissingObservable(
                f"{name} has no derivative in these models, so no force can come from it"
            )
        if not self._recording:
            raise MissingObservable(f"{name} was evaluated with derivatives=False")
        row, weights = QUANTITIES[name], np.zeros(statistic.values.shape)
        for place, cotangent in zip(self._places(row), cotangents, strict=True):
            if name in cotangent:
                weights[place] = _turned(row, cotangent[name])
        return torch.from_numpy(weights).to(statistic.values.device)

    def _value(self, name: str) -> list[Array]:
        """Return one observable of every structure."""
        row = QUANTITIES[name]
        if row.derivative is None:
            values = self._statistics[name].values
        else:
            values = self._derivative(row, row.derivative)
        array = _to_numpy(values)
        return [_turned(row, array[place]) for place in self._places(row)]

    def _places(self, row: Quantity) -> Sequence[int | slice]:
        """Return the position of each structure along the first axis."""
        if row.per == "atom":
            return [slice(start, end) for start, end in pairwise(self._graph.starts)]
        return range(self._graph.n_structures)

    def _derivative(self, row: Quantity, claim: Claim) -> torch.Tensor:
        """Return an observable that is a derivative; atoms or structures are the first axis."""
        derivative = self._jacobian(claim.of)
        values = derivative.positions if claim.by == "positions" else derivative.strain
        values = values.transpose(0, 1)  # [I, c, j] or [s, c, i, j], c counts members or components
        sizes = row.axes if not row.members_of else (-1, *row.axes)
        values = values.reshape(len(values), *sizes)
        return values if claim.sign > 0 else -values

    def _jacobian(self, name: str) -> Derivative:
        """Return all derivatives of one observable, which are kept for the pullback."""
        if name not in self._jacobians:
            row = QUANTITIES[name]
            if row.members_of:
                self._differentiate_members(row)
            else:
                mean = Mean(self._members[name])
                symmetric = row.is_symmetric
                self._jacobians[name] = jacobian(mean, self._graph, is_symmetric=symmetric)
        return self._jacobians[name]

    def _differentiate_members(self, row: Quantity) -> None:
        """Differentiate a scalar of each member in one pass; their mean then costs nothing."""
        members = self._members[row.members_of]
        shape, device = members.values.shape, members.values.device
        each = torch.eye(shape[1], dtype=torch.float64, device=device)
        all_of_them = stack([members.pull_back(weights.expand(shape)) for weights in each])
        self._jacobians[row.name] = Derivative(
            *(spread_out(d, self._alphas[row.members_of], dim=0) for d in all_of_them)
        )
        self._jacobians[row.members_of] = Derivative(
            *(d.mean(0, keepdim=True) for d in all_of_them)
        )


def _turned(row: Quantity, values: Array) -> Array:
    """Swap the axes of atoms and members: networks put atoms first, the table members."""
    return values.swapaxes(0, 1) if row.members_of and row.per == "atom" else values


def _to_numpy(values: torch.Tensor) -> Array:
    array: Array = values.numpy(force=True)  # in one call from any device, recorded or not
    return array


SKIN: Final = 0.5 * ANGSTROM
"""Default skin of neighbour lists, bohr, see
:class:`mlobs_client.evaluate.graph.GraphBuilder`."""


class CommitteeEvaluator:
    """Committees that share graphs and one backward pass (an ``Evaluator``).

    Attributes:
        provides: names of the observables that the committees give.
        used: committees that the last evaluation needed.

    Args:
        committees: committees by the quantity that they predict.
        skin: skin of neighbour lists, bohr, see
            :class:`mlobs_client.evaluate.graph.GraphBuilder`.
        max_edges: approximate number of edges of one batch, summed over all networks; by default,
            on a CPU, a number above which larger batches are not faster, and on a GPU, as many as
            most likely fit into its memory.
        batch: largest number of structures in a batch, in place of ``max_edges``.

    Raises:
        ConfigError: the committees live on different devices.
    """

    def __init__(
        self,
        committees: Mapping[str, Committee],
        *,
        skin: float = SKIN,
        max_edges: int | None = None,
        batch: int | None = None,
    ) -> None:
        self._committees = committees
        self._given = {name: committee.provides(name) for name, committee in committees.items()}
        self.provides = frozenset[str]().union(*self._given.values())
        models = [model for committee in committees.values() for model in committee.models]
        devices = {model.device for model in models}
        if len(devices) > 1:
            raise ConfigError(
                f"device = {' and '.join(sorted(devices))}: all committees of one client share "
                "their graphs, so give them the same device"
            )
        self._species = {name: c.models[0].species for name, c in committees.items()}
        self._accepted: set[bytes] = set()
        device = devices.pop()
        self._cutoff = max(model.cutoff for model in models)
        self._build = GraphBuilder(self._cutoff, skin, device=device)
        self._max_edges = max_edges or (30_000 if device == "cpu" else 500_000)
        self._n_networks = sum(model.n_members for model in models)
        self._batch = batch
        self._batch_sizes: dict[int, int] = {}
        self.used: tuple[Committee, ...] = ()

    def __call__(
        self, structures: Sequence[Structure], wanted: frozenset[str], *, derivatives: bool = True
    ) -> CommitteeEvaluation:
        """Evaluate the ``wanted`` observables of all structures as one graph.

        Args:
            structures: structures of any sizes and cells.
            wanted: names from ``provides``.
            derivatives: False promises that nothing will be pulled back; it saves time and memory.

        Raises:
            EvaluationError: a species is unknown to the models, two atoms are at the same place, or
                the cell is lower than the cutoff along a vector that is not periodic.
        """
        for structure in structures:
            self.check_species(structure)
            self._check_cell(structure)
        needed = {
            quantity: committee
            for quantity, committee in self._committees.items()
            if wanted & self._given[quantity]
        }
        self.used = tuple(needed.values())
        record = derivatives or any(QUANTITIES[name].derivative for name in wanted)
        with torch.set_grad_enabled(record):
            return CommitteeEvaluation(self._build(structures), needed, wanted)

    def preferred_batch_size(self, structures: Sequence[Structure]) -> int:
        """Return how many of these structures are best evaluated together.

        The number is computed once for each number of atoms, as the size of batches should not
        vary with time: a program is compiled for every size.
        """
        if self._batch is not None:
            return self._batch
        n_atoms = structures[0].n_atoms
        if n_atoms not in self._batch_sizes:
            n_edges = max(1, self._build.count_edges(structures[0]) * self._n_networks)
            self._batch_sizes[n_atoms] = max(1, round(self._max_edges / n_edges))
        return self._batch_sizes[n_atoms]

    def check_species(self, structure: Structure) -> None:
        """Refuse species that a committee was not trained for.

        Raises:
            EvaluationError: there is such a species; the error names it and the committee.
        """
        key = structure.numbers.tobytes()
        if key in self._accepted:
            return
        for quantity, species in self._species.items():
            if unknown := sorted(set(structure.numbers.tolist()).difference(species)):
                raise EvaluationError(
                    f"the {quantity} models know {symbols(species)}, not {symbols(unknown)}; "
                    "check the structure, or use models that were trained for all its species"
                )
        self._accepted.add(key)

    def _check_cell(self, structure: Structure) -> None:
        """Refuse a cell that the user most likely forgot to declare periodic.

        i-PI always has a cell. If it is lower than the cutoff and not periodic, atoms would have
        no neighbours beyond its walls, and a liquid would turn into a cluster.
        """
        if all(structure.pbc) or structure.volume < 1e-6:
            return
        heights = 1.0 / np.linalg.norm(np.linalg.inv(structure.cell), axis=0)
        for k in np.flatnonzero((heights < self._cutoff) & ~np.array(structure.pbc)):
            raise EvaluationError(
                f"the cell is {heights[k] / ANGSTROM:.2f} angstrom high along lattice vector "
                f"{k + 1}, which is not periodic, and the cutoff of the models is "
                f"{self._cutoff / ANGSTROM:.2f} angstrom; write pbc = [true, true, true] in "
                "the client file, or make the cell larger"
            )


def symbols(numbers: Iterable[int]) -> str:
    """Return chemical symbols, for messages."""
    return ", ".join(chemical_symbols[number] for number in numbers)
