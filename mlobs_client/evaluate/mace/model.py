"""Evaluate networks of MACE with compiled programs as soon as there are any, in atomic units."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from mlobs_client.evaluate.compile.background import Background
from mlobs_client.evaluate.compile.networks import CompilationState, CompiledNetworks
from mlobs_client.evaluate.compile.programs import Sums
from mlobs_client.evaluate.derivatives import Derivative, Output
from mlobs_client.evaluate.graph import Graph
from mlobs_client.evaluate.networks.atomic import AtomicNetwork
from mlobs_client.evaluate.networks.plain import PlainModel


class CompiledModel(PlainModel):
    """Networks of one architecture, compiled while they work (a ``Model``).

    Args:
        networks: see :class:`mlobs_client.evaluate.networks.plain.PlainModel`; without learned
            charges, since programs do not subtract the mean charge of a structure.
        unit: see :class:`mlobs_client.evaluate.networks.plain.PlainModel`.
        background: compiles them.
    """

    def __init__(
        self,
        networks: Sequence[AtomicNetwork],
        unit: float | Sequence[float],
        background: Background,
    ) -> None:
        super().__init__(networks, unit)
        self._compiled = CompiledNetworks(self._plain, background)

    def __call__(self, graph: Graph) -> Output:
        """Return values of shape ``(n_structures, n_members, *shape)``, float64, atomic units."""
        with torch.no_grad():
            sums = self._compiled(graph)
        return super().__call__(graph) if sums is None else _Compiled(sums, self._unit)

    @property
    def compilation(self) -> CompilationState:
        """State of compilation at the last evaluation."""
        return self._compiled.state


class _Compiled:
    """The result of a compiled program (an ``Output``)."""

    def __init__(self, sums: Sums, unit: torch.Tensor) -> None:
        self._sums = sums
        self._unit = unit
        self.values = sums.values * unit

    def pull_back(self, weights: torch.Tensor) -> Derivative:
        """Differentiate ``sum(weights * values)`` with respect to positions and strain.

        Args:
            weights: weights in the shape of the values.
        """
        return self._sums.pull_back(weights * self._unit)
