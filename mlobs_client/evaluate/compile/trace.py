"""Trace a network into two graphs of elementary operations, for the forward and backward pass.

The first returns the values of the network, summed over the atoms of each structure, and tensors
that the second needs; the second turns cotangents of these sums into derivatives with respect to
positions and strain.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch._functorch.partitioners import min_cut_rematerialization_partition
from torch.fx.experimental.proxy_tensor import make_fx
from torch.fx.graph import CodeGen

from mlobs_client.evaluate.compile import bessel
from mlobs_client.evaluate.compile.contraction import Contractions
from mlobs_client.evaluate.compile.geometry import Geometry, select_edges, through_edges
from mlobs_client.evaluate.compile.tensor_product import Messages, Products
from mlobs_client.evaluate.model_files import quiet_third_parties
from mlobs_client.evaluate.networks.atomic import AtomicNetwork
from mlobs_client.units import ANGSTROM

with quiet_third_parties():
    import mace.modules.blocks
    import mace.modules.models
    import mace.modules.utils
    import mace.tools.scatter
    from mace.modules.radial import BesselBasis

Graphs = tuple[torch.fx.GraphModule, torch.fx.GraphModule]


def trace(
    network: AtomicNetwork,
    tensors: Mapping[str, torch.Tensor],
    geometry: Geometry,
    n_edges: int,
    stacked: bool,
) -> Graphs:
    """Trace a network for inputs of the size of ``geometry``.

    Args:
        network: one member.
        tensors: tensors that differ between members, which become arguments of the graphs. If
            ``stacked``, those of all members, along the first axis.
        geometry: example structures.
        n_edges: largest number of its pairs within the cutoff.
        stacked: whether all members are evaluated together.

    Returns:
        The graphs ``(*geometry, *tensors) -> (sums, summary, *saved)`` and ``(*saved, cotangents)
        -> (d/d positions, d/d strain)``. Sums and cotangents have the shape ``(n_structures,
        *shape)``, are in float64 and in the units of the network, and have the members as first
        axis if stacked; ``summary`` is that of ``SelectedEdges``; derivatives are with respect to
        positions in bohr.
    """
    own = list(tensors.values())
    members = (len(own[0]),) if stacked else ()
    shape = (*members, len(geometry.cells), *network.shape)
    joint = _both_ways(network, list(tensors), n_edges, shape, stacked)
    # some parts of e3nn write in place, which cannot be cut into two programs
    functional = torch.func.functionalize(joint)
    tracer = make_fx(functional, tracing_mode="fake", _allow_non_fake_inputs=True)
    # the optimized executor would differentiate by itself, unseen by the tracer
    with torch.no_grad(), torch.jit.optimized_execution(False):  # type: ignore[attr-defined]
        joint_graph = tracer(*geometry, *own, geometry.positions.new_zeros(shape))
    graphs = _split(joint_graph)
    for graph in graphs:
        fold_powers(graph)
        _materialize(graph)
        if geometry.positions.device.type == "cpu":
            _sum_by_products(graph, n_edges)
    return graphs


def _both_ways(
    network: AtomicNetwork,
    names: Sequence[str],
    n_edges: int,
    shape: tuple[int, ...],
    stacked: bool,
) -> Callable[..., list[torch.Tensor]]:
    """Return the function to trace, from ``(*geometry, *tensors, cotangents)`` to all results.

    Args:
        network, n_edges, stacked: see :func:`trace`.
        names: names of the tensors.
        shape: shape of sums and cotangents.
    """
    evaluate = evaluation(network, names)
    dtype = next(network.parameters()).dtype

    def joint(*given: torch.Tensor) -> list[torch.Tensor]:
        n_of_geometry = len(Geometry._fields)
        geometry = Geometry(*given[:n_of_geometry])
        *own, cotangents = given[n_of_geometry:]
        edges = select_edges(geometry, network.cutoff, n_edges)
        rest = (geometry.attributes, edges.ends)

        def sums(vectors: torch.Tensor) -> torch.Tensor:
            inputs = ((vectors / ANGSTROM).to(dtype), *rest)
            if stacked:
                each = torch.func.vmap(lambda *own: evaluate(inputs, *own))
                contributions = each(*own).double()
            else:
                contributions = evaluate(inputs, *own).double()
            totals = geometry.positions.new_zeros(shape)  # of their own, not like cotangents
            return totals.index_add(int(stacked), geometry.structure_of, contributions)

        result: Any = torch.func.vjp(sums, edges.vectors)
        values, pull_back = result
        (by_vectors,) = pull_back(cotangents)
        return [values, edges.summary, *through_edges(geometry, edges, by_vectors)]

    return joint


def evaluation(network: AtomicNetwork, names: Sequence[str]) -> Callable[..., Any]:
    """Return one member as a function of its inputs and of the tensors of these names."""
    products, contractions = Products(network), Contractions(network, names)
    bases = [
        module
        for name, module in network.named_modules()
        if isinstance(module, BesselBasis)
        and f"{name}.bessel_weights" not in names
        and bessel.is_harmonic(module)
    ]

    def evaluate(inputs: Sequence[torch.Tensor], *own: torch.Tensor) -> Any:
        with _traceable(products, contractions, bases):
            state = dict(zip(names, own, strict=True))
            return torch.func.functional_call(network, state, tuple(inputs))

    return evaluate


def _split(joint: torch.fx.GraphModule) -> Graphs:
    """Split into a forward and a backward graph where the fewest tensors have to be saved."""
    # the partitioner knows the roles of arguments by these names
    *primals, cotangents = joint.graph.find_nodes(op="placeholder")
    for k, node in enumerate(primals):
        node.name = node.target = f"primals_{k + 1}"
    cotangents.name = cotangents.target = "tangents_1"
    joint.graph.set_codegen(CodeGen())
    joint.recompile()
    forward, backward = min_cut_rematerialization_partition(joint, None, num_fwd_outputs=2)
    return forward, backward


def fold_powers(graph: torch.fx.GraphModule) -> None:
    """Replace exponents that are constant tensors by numbers: x^5 is four products, no logarithm.

    The exponent of MACE's cutoff is a buffer.
    """
    power = torch.ops.aten.pow
    for node in graph.graph.find_nodes(op="call_function", target=power.Tensor_Tensor):
        exponent = _constant(graph, node.args[1])
        if exponent is None or exponent.numel() > 1 or not float(exponent).is_integer():
            continue
        if node.args[0].meta["val"].is_floating_point():
            node.target = power.Tensor_Scalar
            node.args = (node.args[0], int(float(exponent)))
    graph.graph.eliminate_dead_code()
    graph.recompile()


def _constant(graph: torch.fx.GraphModule, node: Any) -> torch.Tensor | None:
    """Return the value of a node that depends on no argument, else None."""
    if node.op == "get_attr":
        found: torch.Tensor = getattr(graph, node.target)
        return found
    if node.op != "call_function":
        return None
    arguments = []
    for given in node.args:
        value = _constant(graph, given) if isinstance(given, torch.fx.Node) else given
        if value is None:
            return None
        arguments.append(value)
    result = node.target(*arguments, **node.kwargs)
    return result if isinstance(result, torch.Tensor) else None


def _materialize(graph: torch.fx.GraphModule) -> None:
    """Store quantities of atoms before edges read them, and concatenated tensors.

    Otherwise the compiler repeats the work of an atom for each of its edges, and looks up
    from which piece every number comes: the evaluation of 192 atoms took 1.6 times as long.
    """
    from torch._inductor.inductor_prims import force_stride_order

    aten = torch.ops.aten
    written: set[torch.fx.Node] = set()
    for node in list(graph.graph.nodes):
        if node.target is aten.cat.default:
            source = node
        elif node.target in (aten.index.Tensor, aten.index_select.default):
            source = node.args[0]
        else:
            continue
        value = source.meta["val"]
        if source.op == "placeholder" or source in written or not value.is_floating_point():
            continue
        written.add(source)
        with graph.graph.inserting_after(source):
            strides = torch.empty(value.shape, device="meta").stride()
            barrier = graph.graph.call_function(force_stride_order, (source, list(strides)))
        barrier.meta["val"] = value
        source.replace_all_uses_with(
            barrier, delete_user_cb=lambda user, own=barrier: user is not own
        )
    graph.recompile()


def _sum_by_products(graph: torch.fx.GraphModule, n_edges: int) -> None:
    """Sum over the channels of every edge by a product with ones.

    Otherwise the compiler sums while it computes, a few numbers at a time, and loses vector
    instructions for everything in the same loop: the gradient of 192 atoms took 1.3 times as long.
    """
    from torch._inductor.inductor_prims import force_stride_order

    aten = torch.ops.aten
    for node in graph.graph.find_nodes(op="call_function", target=aten.sum.dim_IntList):
        source, axes = node.args[:2]
        value = source.meta["val"]
        channels = value.shape[-1]
        if list(axes or ()) not in ([-1], [value.ndim - 1]) or value.ndim < 3:
            continue
        if node.meta["val"].dtype != value.dtype:
            continue
        if value.numel() < n_edges * channels:  # of atoms
            continue
        strides = torch.empty(value.shape, device="meta").stride()
        with graph.graph.inserting_before(node):
            call = graph.graph.call_function
            written = call(force_stride_order, (source, list(strides)))
            written.meta["val"] = value
            rows = call(aten.view.default, (written, [-1, channels]))
            options = {"dtype": value.dtype, "device": value.device}
            ones = call(aten.full.default, ([channels, 1], 1.0), options)
            sums = call(aten.mm.default, (rows, ones))
            result = call(aten.view.default, (sums, list(node.meta["val"].shape)))
        result.meta = node.meta
        node.replace_all_uses_with(result)
        graph.graph.erase_node(node)
    graph.recompile()


@contextlib.contextmanager
def _traceable(
    products: Products, contractions: Contractions, bases: Sequence[torch.nn.Module]
) -> Iterator[None]:
    """Replace parts of MACE that cannot be traced, or are slow.

    MACE requires derivatives with respect to positions, which are not an argument here; it sums
    into tensors in place, which is impossible for several members at once; messages have a slow
    layout, see :mod:`mlobs_client.evaluate.compile.tensor_product`; contractions multiply by
    zeros, see :mod:`mlobs_client.evaluate.compile.contraction`; and sines of multiples of an angle
    follow from the first one.
    """
    places = (mace.modules.blocks, mace.modules.models, mace.modules.utils, mace.tools.scatter)
    ours: Sequence[tuple[Iterable[torch.nn.Module], Callable[..., object]]] = (
        (products, products.multiply),
        (contractions, contractions.contract),
        (bases, bessel.evaluate),
    )
    with contextlib.ExitStack() as stack:
        for place in places:
            stack.enter_context(_replaced(place, "scatter_sum", _scatter_sum))
        for modules, evaluate in ours:
            for module in modules:
                stack.enter_context(_replaced(module, "forward", partial(evaluate, module)))
        stack.enter_context(
            _replaced(torch.Tensor, "requires_grad_", lambda tensor, _=True: tensor)
        )
        yield


@contextlib.contextmanager
def _replaced(owner: Any, name: str, by: object) -> Iterator[None]:
    """Replace an attribute in this context."""
    own = {name: vars(owner)[name]} if name in vars(owner) else {}  # else it is inherited
    setattr(owner, name, by)
    try:
        yield
    finally:
        delattr(owner, name)
        for before in own.values():
            setattr(owner, name, before)


def _scatter_sum(
    src: torch.Tensor | Messages,
    index: torch.Tensor,
    dim: int = -1,
    out: torch.Tensor | None = None,
    dim_size: int | None = None,
    reduce: str = "sum",
) -> torch.Tensor:
    """Replace ``mace.tools.scatter.scatter_sum``, out of place, for an index along one axis."""
    assert out is None
    assert dim_size is not None
    assert reduce == "sum"
    if isinstance(src, Messages):
        return src.sum_into(index, dim_size)
    shape = list(src.shape)
    shape[dim] = dim_size
    return src.new_zeros(shape).index_add(dim, index.reshape(-1), src)
