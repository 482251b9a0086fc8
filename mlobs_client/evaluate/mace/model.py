"""Networks of MACE with one build, as one model of one quantity in atomic units."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from mlobs_client.evaluate.compile.background import Background
from mlobs_client.evaluate.compile.networks import CompiledNetworks, State
from mlobs_client.evaluate.compile.programs import Sums
from mlobs_client.evaluate.derivatives import Derivative, Output, Recorded
from mlobs_client.evaluate.graph import Graph
from mlobs_client.evaluate.networks.atomic import AtomicNetwork
from mlobs_client.evaluate.networks.plain import PlainNetworks


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
        self._plain = PlainNetworks(networks)
        self._compiled: CompiledNetworks | None = None
        # programs sum over atoms, and do not take the mean charge of a structure away before
        if background is not None and not networks[0].has_charges:
            self._compiled = CompiledNetworks(self._plain, background)
        self.n_members = len(networks)
        self.cutoff = self._plain.cutoff
        self.species = self._plain.species
        self.device = self._plain.device
        self._unit = torch.tensor(unit, dtype=torch.float64, device=self.device)

    def __call__(self, graph: Graph) -> Output:
        """Values of shape ``(n_structures, n_members, *shape)``, float64."""
        if self._compiled is not None:
            with torch.no_grad():
                sums = self._compiled(graph)
                if sums is not None:
                    return _Compiled(sums, self._unit)
        return Recorded(self._plain(graph) * self._unit, graph)

    @property
    def compilation(self) -> State:
        """How far compilation was at the last evaluation."""
        return State.NONE if self._compiled is None else self._compiled.state


class _Compiled:
    """What a program gave (an ``Output``)."""

    def __init__(self, sums: Sums, unit: torch.Tensor) -> None:
        self._sums = sums
        self._unit = unit
        self.values = sums.values * unit

    def pull_back(self, weights: torch.Tensor) -> Derivative:
        """Derivative of ``sum(weights * values)``; weights in the shape of the values."""
        return self._sums.pull_back(weights * self._unit)
