"""Compile a network for its training: sums over atoms and their gradients, as functions of weights.

Training differentiates forces with respect to weights, so values and gradients are traced together
into one graph of elementary operations, which torch then compiles with its own backward pass. The
numbers of atoms and edges are fixed; smaller batches are padded with an atom of its own structure,
whose edges are beyond the cutoff.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, NamedTuple

import torch
from torch._decomp import get_decompositions
from torch.fx.experimental.proxy_tensor import make_fx

from mlobs_client.evaluate.compile import store
from mlobs_client.evaluate.compile.trace import evaluation, fold_powers
from mlobs_client.evaluate.model_files import quiet_third_parties
from mlobs_client.evaluate.networks.atomic import AtomicNetwork

with quiet_third_parties():
    from mace.tools.torch_tools import default_dtype

FAR: Final = 1e3
"""Length of the edges of the padding, angstrom."""

_TWICE: Final = (torch.ops.aten.silu, torch.ops.aten.silu_backward)
"""Operations with derivatives that torch cannot differentiate; their parts can be."""


class TrainingSize(NamedTuple):
    """Size of the batches of a program.

    Attributes:
        n_structures: number of structures, without that of the padding.
        n_atoms: largest number of atoms.
        n_edges: largest number of edges.
    """

    n_structures: int
    n_atoms: int
    n_edges: int


class Batch(NamedTuple):
    """Structures of a batch, in the precision of the network.

    Attributes:
        vectors: shape ``(n_edges, 3)``, angstrom, from the sender to its neighbour.
        attributes: shape ``(n_atoms, n_species)``, one-hot.
        edges: shape ``(2, n_edges)``, senders and receivers.
        structure_of: shape ``(n_atoms,)``.
    """

    vectors: torch.Tensor
    attributes: torch.Tensor
    edges: torch.Tensor
    structure_of: torch.Tensor


class Values(NamedTuple):
    """Results of a program, in the units of the network; differentiable in the weights.

    Attributes:
        sums: sums over the atoms of each structure, shape ``(n_structures, *shape)``.
        by_positions: gradient of ``sum(weights * sums)``, shape ``(n_atoms, 3)``; None without.
        by_strain: derivative with respect to strain, shape ``(n_structures, 3, 3)``, ``[i, j]``
            from the component i of an edge and that of the gradient j; None without.
    """

    sums: torch.Tensor
    by_positions: torch.Tensor | None
    by_strain: torch.Tensor | None


class TrainingProgram:
    """A network compiled for batches of one size, without its weights.

    Args:
        network: the network; its constants become part of the program.
        size: size of the batches.
        with_gradient: whether gradients are computed.
    """

    def __init__(self, network: AtomicNetwork, size: TrainingSize, *, with_gradient: bool) -> None:
        from torch._inductor import cpp_builder  # takes a second

        if not next(network.parameters()).is_cuda:
            cpp_builder.get_cpp_compiler()  # without one, this fails before the long tracing
        self.size = size
        self._with_gradient = with_gradient
        weights = [weight.detach() for weight in network.parameters()]
        example = _example(size, len(network.network.atomic_numbers), weights[0])  # type: ignore
        cotangents = weights[0].new_zeros((size.n_structures + 1, *network.shape))
        joint = _joint(network, size, with_gradient)
        tracer = make_fx(
            torch.func.functionalize(joint),
            decomposition_table=get_decompositions(list(_TWICE)),  # type: ignore[arg-type]
            tracing_mode="fake",
            _allow_non_fake_inputs=True,
        )
        # as in trace.trace
        with torch.no_grad(), torch.jit.optimized_execution(False):  # type: ignore[attr-defined]
            graph = tracer(*example, cotangents, *weights)
        fold_powers(graph)
        self._run = torch.compile(graph, fullgraph=True, dynamic=False)
        learned = [weight.clone().requires_grad_() for weight in weights]
        # whole numbers times numbers of Python, as in ZBL, become what is torch's default
        with _our_folder(), quiet_third_parties(), default_dtype(weights[0].dtype):
            results = self._run(*example, cotangents, *learned)
            sum(result.sum() for result in results).backward()

    def __call__(
        self, weights: Sequence[torch.Tensor], batch: Batch, cotangents: torch.Tensor
    ) -> Values:
        """Evaluate a batch that is not larger than the size.

        Args:
            weights: parameters of the network, in their order.
            batch: the structures.
            cotangents: weights of the gradient, shape ``(n_structures, *shape)``.
        """
        n_structures, n_atoms = self.size.n_structures, len(batch.attributes)
        padded = torch.cat([cotangents, cotangents.new_zeros((1, *cotangents.shape[1:]))])
        sums, *others = self._run(*_padded(batch, self.size), padded, *weights)
        if not self._with_gradient:
            return Values(sums[:n_structures], None, None)
        by_positions, by_strain = others
        return Values(sums[:n_structures], by_positions[:n_atoms], by_strain[:n_structures])


def _joint(
    network: AtomicNetwork, size: TrainingSize, with_gradient: bool
) -> Callable[..., list[torch.Tensor]]:
    """Return the function to trace, from ``(*batch, cotangents, *weights)`` to all results."""
    evaluate = evaluation(network, [name for name, _ in network.named_parameters()])

    def joint(*given: torch.Tensor) -> list[torch.Tensor]:
        vectors, attributes, edges, structure_of, cotangents, *weights = given

        def sums(vectors: torch.Tensor) -> torch.Tensor:
            contributions = evaluate((vectors, attributes, edges), *weights)
            totals = torch.zeros_like(cotangents)
            return totals.index_add(0, structure_of, contributions.to(totals))

        # without it, functionalize does not know the operations in place of e3nn
        result: Any = torch.func.vjp(sums, vectors)
        values, pull_back = result
        if not with_gradient:
            return [values]
        (by_vectors,) = pull_back(cotangents)
        senders, receivers = edges
        by_positions = vectors.new_zeros((size.n_atoms + 1, 3))
        by_positions = by_positions.index_add(0, receivers, by_vectors)
        by_positions = by_positions.index_add(0, senders, -by_vectors)
        products = vectors.unsqueeze(2) * by_vectors.unsqueeze(1)
        by_strain = vectors.new_zeros((size.n_structures + 1, 3, 3))
        by_strain = by_strain.index_add(0, structure_of[senders], products)
        return [values, by_positions, by_strain]

    return joint


def _example(size: TrainingSize, n_species: int, like: torch.Tensor) -> Batch:
    """Return a batch of the right size; one structure has all atoms."""
    n_atoms, n_edges = size.n_atoms, size.n_edges
    batch = Batch(
        like.new_ones((n_edges, 3)),
        like.new_ones((n_atoms, n_species)) / n_species,
        torch.zeros((2, n_edges), dtype=torch.long, device=like.device),
        torch.zeros(n_atoms, dtype=torch.long, device=like.device),
    )
    return _padded(batch, size)


def _padded(batch: Batch, size: TrainingSize) -> Batch:
    """Add at least one atom, in the last structure, with all further edges."""
    pad = torch.nn.functional.pad
    n_atoms = size.n_atoms + 1 - len(batch.attributes)
    n_edges = size.n_edges - len(batch.vectors)
    attributes = torch.zeros_like(batch.attributes[:1])
    attributes[:, 0] = 1.0
    return Batch(
        pad(batch.vectors, (0, 0, 0, n_edges), value=FAR),
        torch.cat([batch.attributes, attributes.expand(n_atoms, -1)]),
        pad(batch.edges, (0, n_edges), value=size.n_atoms),
        pad(batch.structure_of, (0, n_atoms), value=size.n_structures),
    )


@contextlib.contextmanager
def _our_folder() -> Iterator[None]:
    """Keep compiled code where only the user may write, not in the folder for temporary files."""
    name = "TORCHINDUCTOR_CACHE_DIR"
    before = os.environ.get(name)
    os.environ[name] = str(store.home() / "training")
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
