"""From a network to two graphs of elementary operations: values, and the way back.

The first gives what the network gives, and besides what the second needs of it; the second turns
cotangents of the contributions into derivatives with respect to the edge vectors. Together they are
one forward and one backward pass.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from unittest import mock

import torch
from torch._functorch.partitioners import min_cut_rematerialization_partition
from torch.fx.experimental.proxy_tensor import make_fx
from torch.fx.graph import CodeGen

from mlobs_client.evaluate.atomic import AtomicNetwork, Inputs
from mlobs_client.evaluate.model_files import quiet_third_parties

with quiet_third_parties():
    import mace.modules.blocks
    import mace.modules.models
    import mace.modules.utils
    import mace.tools.scatter

Graphs = tuple[torch.fx.GraphModule, torch.fx.GraphModule]


def trace(
    network: AtomicNetwork, tensors: Mapping[str, torch.Tensor], inputs: Inputs, stacked: bool
) -> Graphs:
    """Trace a network for inputs of this size.

    Args:
        network: one member.
        tensors: what differs between members; becomes an argument of the graphs. If ``stacked``,
            for all members, along the first axis.
        inputs: an example.
        stacked: whether all members are evaluated together.

    Returns:
        The graphs ``(vectors, attributes, edges, *tensors) -> (contributions, *saved)`` and
        ``(*saved, cotangents) -> (d/d vectors,)``; contributions have the members as first axis
        if stacked.
    """
    names = list(tensors)

    def member(vectors: torch.Tensor, rest: Sequence[torch.Tensor], *own: torch.Tensor) -> Any:
        with _traceable():
            state = dict(zip(names, own, strict=True))
            return torch.func.functional_call(network, state, (vectors, *rest))

    def joint(
        vectors: torch.Tensor,
        attributes: torch.Tensor,
        edges: torch.Tensor,
        own: list[torch.Tensor],
        cotangents: torch.Tensor,
    ) -> list[torch.Tensor]:
        rest = (attributes, edges)

        def values(vectors: torch.Tensor) -> Any:
            if not stacked:
                return member(vectors, rest, *own)
            each = torch.func.vmap(lambda *own: member(vectors, rest, *own))
            return each(*own)

        result: Any = torch.func.vjp(values, vectors)
        contributions, pull_back = result
        return [contributions, *pull_back(cotangents)]

    own = list(tensors.values())
    n_atoms = len(inputs.attributes)
    shape = (len(own[0]),) if stacked else ()
    dtype = torch.float64 if network.quantity == "energy" else inputs.vectors.dtype
    cotangents = inputs.vectors.new_zeros((*shape, n_atoms, *network.shape), dtype=dtype)
    tracer = make_fx(joint, tracing_mode="fake", _allow_non_fake_inputs=True)
    # the optimized executor would differentiate by itself, unseen by the tracer
    with torch.no_grad(), torch.jit.optimized_execution(False):  # type: ignore[attr-defined]
        graph = tracer(*inputs, own, cotangents)
    return _split(graph)


def _split(joint: torch.fx.GraphModule) -> Graphs:
    """Cut into forward and backward where the least has to be kept."""
    # the partitioner knows the roles of arguments by these names
    *primals, cotangents = joint.graph.find_nodes(op="placeholder")
    for k, node in enumerate(primals):
        node.name = node.target = f"primals_{k + 1}"
    cotangents.name = cotangents.target = "tangents_1"
    joint.graph.set_codegen(CodeGen())
    joint.recompile()
    forward, backward = min_cut_rematerialization_partition(joint, None, num_fwd_outputs=1)
    return forward, backward


@contextlib.contextmanager
def _traceable() -> Iterator[None]:
    """MACE without what the tracer cannot follow.

    It asks for derivatives with respect to positions, which are no argument here; and it sums into
    tensors in place, which cannot be done for several members at once.
    """
    scripted: Callable[..., torch.Tensor] = _scatter_sum
    places = (mace.modules.blocks, mace.modules.models, mace.modules.utils, mace.tools.scatter)
    with contextlib.ExitStack() as patches:
        for place in places:
            patches.enter_context(mock.patch.object(place, "scatter_sum", scripted))
        constant = mock.patch.object(torch.Tensor, "requires_grad_", lambda tensor, _=True: tensor)
        patches.enter_context(constant)
        yield


def _scatter_sum(
    src: torch.Tensor,
    index: torch.Tensor,
    dim: int = -1,
    out: torch.Tensor | None = None,
    dim_size: int | None = None,
    reduce: str = "sum",
) -> torch.Tensor:
    """``mace.tools.scatter.scatter_sum`` out of place, for an index along one axis."""
    assert out is None
    assert dim_size is not None
    assert reduce == "sum"
    shape = list(src.shape)
    shape[dim] = dim_size
    return src.new_zeros(shape).index_add(dim, index, src)
