"""Derivatives of whatever was computed on a graph, with respect to positions and strain.

Models are functions of edge vectors v and, where there are charges, of positions R. Automatic
differentiation goes back to these two only. The rest is geometry: an edge pulls at its two ends,
and under a strain, R -> R (1 + strain), all lengths change alike,

.. math::

    \\frac{dE}{dR_I} = \\frac{\\partial E}{\\partial R_I}
        + \\sum_{e\\ \\text{into}\\ I} \\frac{\\partial E}{\\partial v_e}
        - \\sum_{e\\ \\text{out of}\\ I} \\frac{\\partial E}{\\partial v_e},
    \\qquad
    \\frac{dE}{d\\epsilon_{ij}} = \\sum_e v_{ei} \\frac{\\partial E}{\\partial v_{ej}}
        + \\sum_I R_{Ii} \\frac{\\partial E}{\\partial R_{Ij}},

so that forces and virial cost one backward pass, and the virial of a charge in a field is right.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import torch

from mlobs_client.evaluate.graph import Graph

# Differentiating all components in one batched pass saves launches and wastes cache: on a CPU it
# won below about a thousand edges and lost above.
MAX_EDGES_IN_ONE_PASS: Final = 1000


class Derivative(NamedTuple):
    """Derivatives of one or more scalars of every structure, Hartree atomic units.

    Attributes:
        positions: shape ``(*n, n_atoms, 3)``.
        strain: shape ``(*n, n_structures, 3, 3)``.
    """

    positions: torch.Tensor
    strain: torch.Tensor


def differentiate(
    outputs: Sequence[torch.Tensor], weights: Sequence[torch.Tensor], graph: Graph
) -> Derivative:
    """Derivative of ``sum(weight * output)`` in one backward pass.

    Args:
        outputs: functions of ``graph.vectors`` and ``graph.positions``.
        weights: in the shapes of the outputs.
        graph: that the outputs were computed on, recording.
    """
    return _to_atoms_and_cells(graph, *_partial_derivatives(outputs, weights, graph))


def jacobian(output: torch.Tensor, graph: Graph) -> Derivative:
    """Derivatives of every component of a vector or a symmetric tensor.

    Args:
        output: shape ``(n_structures, 3)`` or, symmetric, ``(n_structures, 3, 3)``.
        graph: that the output was computed on, recording.

    Returns:
        One derivative for each component, along the first axis (row-major).
    """
    shape = output.shape[1:]
    components = torch.eye(shape.numel(), dtype=output.dtype, device=output.device)
    kept = list(range(len(components)))
    if len(shape) == 2:
        kept = [int(i * 3 + k) for i in range(3) for k in range(i, 3)]
    weights = components[kept].reshape(-1, 1, *shape).expand(-1, *output.shape)
    if graph.edges.shape[1] <= MAX_EDGES_IN_ONE_PASS:
        partial = _partial_derivatives([output], [weights], graph, batched=True)
        found = _to_atoms_and_cells(graph, *partial)
    else:
        found = stack([differentiate([output], [weight], graph) for weight in weights])
    if len(shape) == 1:
        return found
    mirrored = [kept.index(min(i, k) * 3 + max(i, k)) for i in range(3) for k in range(3)]
    return Derivative(*(part[mirrored] for part in found))


def contract(jacobian: Derivative, weights: torch.Tensor, graph: Graph) -> Derivative:
    """Derivative of ``sum(weight * output)`` from the jacobian of the output.

    Args:
        jacobian: of all components of the output, along the first axis.
        weights: in the shape of the output, ``(n_structures, *shape)``.
        graph: that the output was computed on.
    """
    weights = weights.reshape(graph.n_structures, -1)  # [s, c]
    return Derivative(
        torch.einsum("Ic,cIj->Ij", weights[graph.structure_of], jacobian.positions),
        torch.einsum("sc,csij->sij", weights, jacobian.strain),
    )


def no_derivative(graph: Graph) -> Derivative:
    """The derivative of a constant."""
    zeros = graph.positions.new_zeros
    return Derivative(zeros(graph.positions.shape), zeros((graph.n_structures, 3, 3)))


def stack(derivatives: Sequence[Derivative]) -> Derivative:
    """Join derivatives of several scalars along a new first axis."""
    return Derivative(*(torch.stack(parts) for parts in zip(*derivatives, strict=True)))


def _partial_derivatives(
    outputs: Sequence[torch.Tensor],
    weights: Sequence[torch.Tensor],
    graph: Graph,
    batched: bool = False,
) -> tuple[torch.Tensor, torch.Tensor]:
    """With respect to edge vectors and positions; the graph is kept for further derivatives."""
    inputs = (graph.vectors, graph.positions)
    found = torch.autograd.grad(
        outputs, inputs, weights, retain_graph=True, allow_unused=True, is_grads_batched=batched
    )
    many = weights[0].shape[:1] if batched else ()
    # Atoms without neighbours depend on no vector, and most models on no absolute position.
    by_vectors, by_positions = (
        given.new_zeros((*many, *given.shape)) if gradient is None else gradient
        for gradient, given in zip(found, inputs, strict=True)
    )
    return by_vectors, by_positions


def _to_atoms_and_cells(
    graph: Graph, by_vectors: torch.Tensor, by_positions: torch.Tensor
) -> Derivative:
    senders, receivers = graph.edges
    positions = by_positions.index_add(-2, receivers, by_vectors)
    positions = positions.index_add(-2, senders, by_vectors, alpha=-1)
    on_edges = graph.vectors.detach().unsqueeze(-1) * by_vectors.unsqueeze(-2)  # [..., e, i, j]
    on_atoms = graph.positions.detach().unsqueeze(-1) * by_positions.unsqueeze(-2)
    strain = on_atoms.new_zeros((*on_atoms.shape[:-3], graph.n_structures, 3, 3))
    strain = strain.index_add(-3, graph.structure_of[senders], on_edges)
    return Derivative(positions, strain.index_add(-3, graph.structure_of, on_atoms))
