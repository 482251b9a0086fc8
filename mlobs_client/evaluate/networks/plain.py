"""Evaluate networks of MACE without compilation, summed over atoms and recorded by torch.

MACE uses eV and angstrom. A network sees vectors to neighbours only, in full precision however far
unwrapped atoms have moved; contributions that depend on absolute positions are added here, in
float64.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from ase.data import chemical_symbols

from mlobs_client.evaluate.derivatives import Output, Recorded
from mlobs_client.evaluate.graph import Graph
from mlobs_client.evaluate.networks.atomic import AtomicNetwork, Inputs
from mlobs_client.units import ANGSTROM


class PlainNetworks:
    """Members of one architecture, evaluated one after another.

    Attributes:
        members: the members.
        quantity: quantity that they give.
        cutoff: cutoff, bohr.
        species: atomic numbers that they were trained for.
        dtype: precision of the networks.
        device: device of the networks.

    Args:
        members: members of one architecture, precision and device.
    """

    def __init__(self, members: Sequence[AtomicNetwork]) -> None:
        self.members = members
        first = members[0]
        self.quantity = first.quantity
        self.cutoff = first.cutoff
        self.species = species_of(first.network)
        weights = next(first.parameters())
        self.dtype, self.device = weights.dtype, str(weights.device)
        one_hot = torch.zeros((len(chemical_symbols), len(self.species)), dtype=self.dtype)
        one_hot[list(self.species), range(len(self.species))] = 1.0
        self._one_hot = one_hot.to(self.device)
        self._attributes = (torch.empty(0), torch.empty(0))  # of which atomic numbers

    def __call__(self, graph: Graph) -> torch.Tensor:
        """Return sums over atoms, shape ``(n_structures, n_members, *shape)``, float64."""
        if torch.is_grad_enabled():
            graph.vectors.requires_grad_()
            if self.members[0].has_charges:  # else as other models of this graph want them
                graph.positions.requires_grad_()
        graph = graph.within(self.cutoff)
        vectors = (graph.vectors / ANGSTROM).to(self.dtype)
        inputs = Inputs(vectors, self.attributes(graph.numbers), graph.edges)
        # e3nn's parts are scripted; to optimize them takes seconds, and gains nothing on a CPU
        scripted: AbstractContextManager[None] = nullcontext()
        if self.device == "cpu":
            scripted = torch.jit.optimized_execution(False)  # type: ignore[attr-defined]
        with scripted:
            contributions = torch.stack([network(*inputs) for network in self.members], dim=1)
        totals = graph.sum_over_atoms(contributions.double())
        if self.members[0].has_charges:
            totals = totals[..., :3] + _charges(contributions[..., 3].double(), graph)
        return totals

    def attributes(self, numbers: torch.Tensor) -> torch.Tensor:
        """Return one-hot species, shape ``(n_atoms, n_species)``, cached for the same atoms."""
        known, attributes = self._attributes
        if known is not numbers:
            attributes = self._one_hot[numbers]
            self._attributes = (numbers, attributes)
        return attributes


class PlainModel:
    """Networks of one architecture that map graphs to one or several quantities (a ``Model``).

    Attributes:
        n_members: number of networks.
        cutoff: cutoff, bohr.
        species: atomic numbers that they were trained for.
        device: device of the networks.

    Args:
        networks: networks of one architecture, precision and device.
        unit: value, in atomic units, of the unit of their outputs; if they give several quantities,
            one number for each entry of the last axis.
    """

    def __init__(self, networks: Sequence[AtomicNetwork], unit: float | Sequence[float]) -> None:
        self._plain = PlainNetworks(networks)
        self.n_members = len(networks)
        self.cutoff = self._plain.cutoff
        self.species = self._plain.species
        self.device = self._plain.device
        self._unit = torch.tensor(unit, dtype=torch.float64, device=self.device)

    def __call__(self, graph: Graph) -> Output:
        """Return values of shape ``(n_structures, n_members, *shape)``, float64, atomic units."""
        return Recorded(self._plain(graph) * self._unit, graph)


def species_of(network: torch.nn.Module) -> tuple[int, ...]:
    """Return the atomic numbers that a network of MACE was trained for."""
    return tuple(network.atomic_numbers.tolist())  # type: ignore[operator]


def _charges(charges: torch.Tensor, graph: Graph) -> torch.Tensor:
    """Return dipoles, e angstrom, of charges ``(n_atoms, n_members)`` made neutral."""
    mean = graph.sum_over_atoms(charges) / graph.sum_over_atoms(torch.ones_like(charges))
    neutral = charges - mean[graph.structure_of]
    positions = graph.positions / ANGSTROM
    return graph.sum_over_atoms(neutral.unsqueeze(2) * positions.unsqueeze(1))
