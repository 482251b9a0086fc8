"""Derivatives of functions of a graph with respect to positions and strain.

Models are functions of edge vectors v and, where there are charges, of positions R. The backward
pass of a network ends at these two (that of a compiled program goes on to positions and strain).
The rest is geometry: an edge acts on the atoms at its two ends, and under a strain,
R -> R (1 + strain), edge vectors and positions change alike,

.. math::

    \\frac{dE}{dR_I} = \\frac{\\partial E}{\\partial R_I}
        + \\sum_{e\\ \\text{into}\\ I} \\frac{\\partial E}{\\partial v_e}
        - \\sum_{e\\ \\text{out of}\\ I} \\frac{\\partial E}{\\partial v_e},
    \\qquad
    \\frac{dE}{d\\epsilon_{ij}} = \\sum_e v_{ei} \\frac{\\partial E}{\\partial v_{ej}}
        + \\sum_I R_{Ii} \\frac{\\partial E}{\\partial R_{Ij}},

so that forces and virial cost one backward pass, and a charge in a field has the right virial.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final, NamedTuple, Protocol

import torch

from mlobs_client.evaluate.graph import Graph

_FEW: Final = 200
"""Number of edges of a structure below which the overhead of a matrix product dominates."""


class Derivative(NamedTuple):
    """Derivatives of one or more scalars of every structure, Hartree atomic units.

    Attributes:
        positions: shape ``(*n, n_atoms, 3)``, in the unit of the scalars per bohr.
        strain: shape ``(*n, n_structures, 3, 3)``, in the unit of the scalars.
    """

    positions: torch.Tensor
    strain: torch.Tensor


class Output(Protocol):
    """Numbers of every structure that were computed on a graph, with their pullback."""

    @property
    def values(self) -> torch.Tensor:
        """Shape ``(n_structures, *shape)``, float64, atomic units."""

    def pull_back(self, weights: torch.Tensor) -> Derivative:
        """Differentiate ``sum(weights * values)`` with respect to positions and strain.

        It can be called repeatedly.

        Args:
            weights: weights in the shape of the values.

        Raises:
            RuntimeError: nothing was recorded, because gradients were switched off.
        """


class Recorded(NamedTuple):
    """Values recorded by torch (an ``Output``).

    Attributes:
        values: functions of ``graph.vectors`` and ``graph.positions``, shape
            ``(n_structures, *shape)``, atomic units.
        graph: the graph on which they were computed.
    """

    values: torch.Tensor
    graph: Graph

    def pull_back(self, weights: torch.Tensor) -> Derivative:
        inputs = (self.graph.vectors, self.graph.positions)
        recorded = torch.autograd.grad(
            [self.values],
            [tensor for tensor in inputs if tensor.requires_grad],
            [weights],
            retain_graph=True,
            allow_unused=True,
        )
        gradients = iter(recorded)
        # Atoms without neighbours depend on no vector, and most models on no absolute position.
        by_vectors, by_positions = (
            next(gradients) if tensor.requires_grad else None for tensor in inputs
        )
        total = no_derivative(self.graph)
        if by_vectors is not None:
            total = add([total, through_edges(self.graph, by_vectors)])
        if by_positions is not None:
            total = add([total, through_positions(self.graph, by_positions)])
        return total


def through_edges(graph: Graph, by_vectors: torch.Tensor) -> Derivative:
    """Return the derivative of a function of edge vectors.

    Args:
        graph: graph of the edges.
        by_vectors: shape ``(n_edges, 3)``, derivative with respect to the edge vectors, per bohr.
    """
    senders, receivers = graph.edges.unsqueeze(2).expand(-1, -1, 3)
    positions = by_vectors.new_zeros(graph.positions.shape)
    # for rows of three numbers, several times faster than index_add_
    positions.scatter_add_(0, receivers, by_vectors)
    positions.scatter_add_(0, senders, -by_vectors)
    return Derivative(positions, _virial(graph.vectors.detach(), by_vectors, graph.edge_starts))


def through_positions(graph: Graph, by_positions: torch.Tensor) -> Derivative:
    """Return the derivative of a function of absolute positions.

    Args:
        graph: graph of the atoms.
        by_positions: shape ``(n_atoms, 3)``, derivative with respect to positions, per bohr.
    """
    strain = _virial(graph.positions.detach(), by_positions, graph.starts)
    return Derivative(by_positions, strain)


def _virial(vectors: torch.Tensor, gradient: torch.Tensor, starts: Sequence[int]) -> torch.Tensor:
    """Sum ``vectors_i gradient_j`` over the parts of each structure, shape (n_structures, 3, 3)."""
    n_structures = len(starts) - 1
    if n_structures == 1:
        return (vectors.T @ gradient).unsqueeze(0)
    if len(vectors) < _FEW * n_structures:
        sizes = torch.tensor(
            [end - start for start, end in pairwise(starts)], device=vectors.device
        )
        products = (vectors.unsqueeze(2) * gradient.unsqueeze(1)).flatten(1)
        sums = torch.segment_reduce(products, "sum", lengths=sizes, axis=0)
        return sums.reshape(n_structures, 3, 3)
    parts = [vectors[start:end].T @ gradient[start:end] for start, end in pairwise(starts)]
    return torch.stack(parts)


def jacobian(output: Output, graph: Graph, *, is_symmetric: bool = False) -> Derivative:
    """Return the derivatives of every component of a vector or a tensor.

    Args:
        output: output with values of shape ``(n_structures, *shape)``.
        graph: the graph on which it was computed.
        is_symmetric: True if the shape is ``(3, 3)`` and only one of two equal components has to
            be differentiated.

    Returns:
        One derivative for each component, along the first axis (row-major).
    """
    shape = output.values.shape[1:]
    components = torch.eye(shape.numel(), dtype=torch.float64, device=output.values.device)
    chosen = list(range(len(components)))
    if is_symmetric:
        chosen = [int(i * 3 + k) for i in range(3) for k in range(i, 3)]
    weights = components[chosen].reshape(-1, 1, *shape)
    rows = stack([output.pull_back(weight.expand(output.values.shape)) for weight in weights])
    if not is_symmetric:
        return rows
    mirrored = [chosen.index(min(i, k) * 3 + max(i, k)) for i in range(3) for k in range(3)]
    return Derivative(*(part[mirrored] for part in rows))


def contract(jacobian: Derivative, weights: torch.Tensor, graph: Graph) -> Derivative:
    """Return the derivative of ``sum(weight * output)`` from the Jacobian of the output.

    Args:
        jacobian: derivatives of all components of the output, along the first axis.
        weights: weights in the shape of the output, ``(n_structures, *shape)``.
        graph: the graph on which the output was computed.
    """
    weights = weights.reshape(graph.n_structures, -1)  # [s, c]
    return Derivative(
        torch.einsum("Ic,cIj->Ij", weights[graph.structure_of], jacobian.positions),
        torch.einsum("sc,csij->sij", weights, jacobian.strain),
    )


def no_derivative(graph: Graph) -> Derivative:
    """Return the derivative of a constant."""
    zeros = graph.positions.new_zeros
    return Derivative(zeros(graph.positions.shape), zeros((graph.n_structures, 3, 3)))


def add(derivatives: Sequence[Derivative]) -> Derivative:
    """Return the derivative of a sum of one or more terms."""
    (positions, strain), *others = derivatives
    for other in others:
        positions, strain = positions + other.positions, strain + other.strain
    return Derivative(positions, strain)


def stack(derivatives: Sequence[Derivative]) -> Derivative:
    """Join derivatives of several scalars along a new first axis."""
    return Derivative(*(torch.stack(parts) for parts in zip(*derivatives, strict=True)))
