"""Networks of MACE with one build, as one model of one quantity.

MACE thinks in eV and angstrom; the conversion is here. A network sees neighbours only, in full
precision however far the unwrapped atoms have gone; what depends on absolute positions is added
here, in float64.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from ase.data import chemical_symbols

from mlobs_client import units
from mlobs_client.evaluate.atomic import AtomicNetwork, Inputs
from mlobs_client.evaluate.compile.background import Background
from mlobs_client.evaluate.compile.networks import CompiledNetworks, State
from mlobs_client.evaluate.compile.programs import Contributions
from mlobs_client.evaluate.derivatives import Derivative, Output, Recorded, through_edges
from mlobs_client.evaluate.graph import Graph


class MaceModel:
    """Networks of one build: from graphs to one quantity in atomic units (a ``Model``).

    Attributes:
        n_members: how many they are.
        cutoff: bohr.
        species: atomic numbers that they were made for.
        device: where they live.

    Args:
        networks: of one build, precision and device.
        unit: of what they give, in atomic units; one for each number of the last axis, if they
            give several quantities.
        background: compiles them; None leaves them as they are.
    """

    def __init__(
        self,
        networks: Sequence[AtomicNetwork],
        unit: float | Sequence[float],
        background: Background | None,
    ) -> None:
        self._networks = networks
        self._compiled: CompiledNetworks | None = None
        first = networks[0]
        # the mean charge of each structure is not a matter of the atoms alone
        if background is not None and not first.has_charges:
            self._compiled = CompiledNetworks(networks, first.quantity, background)
        self.n_members = len(networks)
        self.cutoff = cutoff_of(first.network)
        self.species = species_of(first.network)
        weights = next(first.parameters())
        self._dtype, self.device = weights.dtype, str(weights.device)
        self._unit = torch.tensor(unit, dtype=torch.float64, device=self.device)
        one_hot = torch.zeros((len(chemical_symbols), len(self.species)), dtype=self._dtype)
        one_hot[list(self.species), range(len(self.species))] = 1.0
        self._one_hot = one_hot.to(self.device)
        self._attributes = (torch.empty(0), torch.empty(0))  # of which atomic numbers

    def __call__(self, graph: Graph) -> Output:
        """Values of shape ``(n_structures, n_members, *shape)``, float64."""
        if self._compiled is not None:
            with torch.no_grad():
                near = graph.within(self.cutoff)
                contributions = self._compiled(self._inputs(near))
            if contributions is not None:
                return _Compiled(contributions, near, self._unit)
        if torch.is_grad_enabled():
            graph.vectors.requires_grad_()
            if self._networks[0].has_charges:  # else as other models of this graph want them
                graph.positions.requires_grad_()
        return Recorded(self._as_they_are(graph.within(self.cutoff)), graph)

    @property
    def compilation(self) -> State:
        """How far compilation was at the last evaluation."""
        return State.NONE if self._compiled is None else self._compiled.state

    def _inputs(self, graph: Graph) -> Inputs:
        vectors = (graph.vectors / units.ANGSTROM).to(self._dtype)
        numbers, attributes = self._attributes
        if numbers is not graph.numbers:
            attributes = self._one_hot[graph.numbers]
            self._attributes = (graph.numbers, attributes)
        return Inputs(vectors, attributes, graph.edges)

    def _as_they_are(self, graph: Graph) -> torch.Tensor:
        inputs = self._inputs(graph)
        contributions = torch.stack([network(*inputs) for network in self._networks], dim=1)
        totals = graph.sum_over_atoms(contributions.double())
        if self._networks[0].has_charges:
            totals = totals[..., :3] + _charges(contributions[..., 3].double(), graph)
        return totals * self._unit


class _Compiled:
    """Sums of contributions that a program gave (an ``Output``)."""

    def __init__(self, contributions: Contributions, graph: Graph, unit: torch.Tensor) -> None:
        self._contributions = contributions
        self._graph = graph
        self._unit = unit
        values = contributions.values.transpose(0, 1).double()  # [I, m, ...]
        self.values = graph.sum_over_atoms(values) * unit

    def pull_back(self, weights: torch.Tensor) -> Derivative:
        """Derivative of ``sum(weights * values)``; weights in the shape of the values."""
        weights = weights * (self._unit / units.ANGSTROM)
        of_atoms = weights[self._graph.structure_of].transpose(0, 1)  # [m, I, ...]
        return through_edges(self._graph, self._contributions.pull_back(of_atoms).double())


def cutoff_of(network: torch.nn.Module) -> float:
    """Of a network of MACE, bohr."""
    return float(network.r_max) * units.ANGSTROM  # type: ignore[arg-type]


def species_of(network: torch.nn.Module) -> tuple[int, ...]:
    """Atomic numbers that a network of MACE was made for."""
    return tuple(network.atomic_numbers.tolist())  # type: ignore[operator]


def _charges(charges: torch.Tensor, graph: Graph) -> torch.Tensor:
    """Dipoles of learned charges ``(n_atoms, n_members)``, which add up to zero, e angstrom."""
    mean = graph.sum_over_atoms(charges) / graph.sum_over_atoms(torch.ones_like(charges))
    neutral = charges - mean[graph.structure_of]
    positions = graph.positions / units.ANGSTROM
    return graph.sum_over_atoms(neutral.unsqueeze(2) * positions.unsqueeze(1))
