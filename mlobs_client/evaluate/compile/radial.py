"""The radial functions of a network, read from tables.

What MACE makes of the length of an edge, with Bessel functions, a cutoff and a network of some
layers, are some tens of smooth functions of one number. To interpolate them takes a fraction of the
time: with them, the evaluation of 192 atoms takes half of what it took. Tables are as fine as their
errors ask for.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import torch
from scipy.interpolate import make_interp_spline

from mlobs_client.evaluate.atomic import AtomicNetwork
from mlobs_client.evaluate.model_files import quiet_third_parties

with quiet_third_parties():
    import mace.modules.blocks as blocks
    from e3nn.nn import FullyConnectedNet

ERROR: Final = 1e-10
"""Largest error of derivatives, relative to the largest derivative. It is reached at half an
angstrom, where networks saw nothing; further away it is ten times smaller."""

FEWEST_INTERVALS: Final = 1024
MOST_BYTES: Final = 1 << 25
"""Of all tables of one member; beyond, they are read from main memory, which takes longer."""

N_DERIVATIVES: Final = 3
"""At each end of an interval: value, slope and curvature, which make a polynomial of degree 5."""

_POLYNOMIALS: Final = (
    (1.0, 0.0, 0.0, -10.0, 15.0, -6.0),
    (0.0, 1.0, 0.0, -6.0, 8.0, -3.0),
    (0.0, 0.0, 0.5, -1.5, 1.5, -0.5),
    (0.0, 0.0, 0.0, 10.0, -15.0, 6.0),
    (0.0, 0.0, 0.0, -4.0, 7.0, -3.0),
    (0.0, 0.0, 0.0, 0.5, -1.0, 0.5),
)
"""Hermite's, by rising powers: of value, slope and curvature at 0 and at 1, one is one."""

_SLOPES: Final = tuple(tuple(k * c for k, c in enumerate(p))[1:] for p in _POLYNOMIALS)

BEFORE_ZERO: Final = 8
"""Intervals; a spline is not as good near its ends."""

Functions = Callable[[torch.Tensor], torch.Tensor]


def tabulated(networks: Sequence[AtomicNetwork]) -> Sequence[AtomicNetwork]:
    """The same networks with tables for radial functions, or as they are where these are others.

    They are others where they depend on the species of an edge (Agnesi's and soft distances), where
    layers know more than the length, and where the tables would become too large.
    """
    if not all(_are_functions_of_length(network.network) for network in networks):
        return networks
    with quiet_third_parties():  # copies of e3nn go by way of a file, and torch's jvp is scripted
        return _tabulated(networks)


def _tabulated(networks: Sequence[AtomicNetwork]) -> Sequence[AtomicNetwork]:
    intervals = FEWEST_INTERVALS
    while _bytes(networks[0].network, intervals) <= MOST_BYTES:
        tables = [_tables(network.network, intervals) for network in networks]
        if all(table.error <= ERROR for of_one in tables for table in of_one):
            return [
                _with(of_one, network) for of_one, network in zip(tables, networks, strict=True)
            ]
        intervals *= 2
    return networks


def _with(tables: Sequence[Table], network: AtomicNetwork) -> AtomicNetwork:
    changed = copy.deepcopy(network)
    changed.network.radial_embedding = _Lengths()
    for table, (place, name, _) in zip(tables, _layers(changed.network), strict=True):
        setattr(place, name, table)
    return changed


def _are_functions_of_length(network: Any) -> bool:
    embedding = getattr(network, "radial_embedding", None)
    only_length = (
        blocks.RealAgnosticInteractionBlock,
        blocks.RealAgnosticResidualInteractionBlock,
        blocks.RealAgnosticDensityInteractionBlock,
        blocks.RealAgnosticDensityResidualInteractionBlock,
    )
    return (
        type(embedding) is blocks.RadialEmbeddingBlock
        and not hasattr(embedding, "distance_transform")
        and getattr(embedding, "apply_cutoff", True)
        and all(type(interaction) in only_length for interaction in network.interactions)
        and all(type(layers) is FullyConnectedNet for _, _, layers in _layers(network))
    )


def _layers(network: Any) -> list[tuple[Any, str, Any]]:
    """All that is evaluated for the length of every edge: where it stands, its name, what it is."""
    return [
        (interaction, name, getattr(interaction, name))
        for interaction in network.interactions
        for name in ("conv_tp_weights", "density_fn")
        if hasattr(interaction, name)
    ]


def _bytes(network: Any, intervals: int) -> int:
    n_functions = sum(int(layers.hs[-1]) for _, _, layers in _layers(network))
    size: int = next(network.parameters()).element_size()
    return n_functions * N_DERIVATIVES * (intervals + 1) * size


def _tables(network: Any, intervals: int) -> list[Table]:
    """For all layers, in the precision of the network; they are evaluated in double precision."""
    like = next(network.parameters())
    embedding = copy.deepcopy(network.radial_embedding).cpu().double()
    tables = []
    for _, _, layers in _layers(network):
        precise = copy.deepcopy(layers).cpu().double()

        def functions(lengths: torch.Tensor, precise: Any = precise) -> torch.Tensor:
            values: torch.Tensor = precise(embedding(lengths, None, None, None)[0])
            return values

        tables.append(Table(functions, float(network.r_max), intervals).to(like))
    return tables


class _Lengths(torch.nn.Module):
    """In place of a radial embedding: lengths go to the tables as they are."""

    def forward(self, lengths: torch.Tensor, *_: object) -> tuple[torch.Tensor, None]:
        return lengths, None


class Table(torch.nn.Module):
    """Functions of a length, interpolated by polynomials between nodes of equal distance.

    The first node is half an interval away from zero, where a basis divides by the length. The
    functions and two derivatives are zero at the cutoff, and beyond. The derivative is that of the
    interpolation, so that forces are those of an energy; there is no second one.

    Attributes:
        nodes: shape ``(N_DERIVATIVES, n_nodes, n_functions)``; derivatives with respect to
            ``length / interval``.
        error: largest one of derivatives, relative to the largest derivative.

    Args:
        functions: from lengths, shape ``(n, 1)`` and float64, to ``(n, n_functions)``.
        cutoff: where they end.
        intervals: how many polynomials to take.
    """

    def __init__(self, functions: Functions, cutoff: float, intervals: int) -> None:
        super().__init__()
        self._intervals = intervals
        self._interval = cutoff / (intervals + 0.5)
        # of two degrees more, and begun before zero, through which the functions can be continued,
        # so that its derivatives are as good as the polynomials need them
        places = torch.arange(-BEFORE_ZERO, intervals + 1, dtype=torch.float64)
        spline = make_interp_spline(places, functions(self._lengths(places)).numpy(), k=7)
        nodes = np.stack([spline(places[BEFORE_ZERO:], order) for order in range(N_DERIVATIVES)])
        nodes[:, -1] = 0.0
        self.nodes = torch.nn.Parameter(torch.from_numpy(nodes), requires_grad=False)
        self.error = self._error(functions)

    def forward(self, lengths: torch.Tensor) -> torch.Tensor:
        """Interpolate; ``lengths`` has shape ``(n, 1)``, the result ``(n, n_functions)``."""
        scaled = lengths.squeeze(1) / self._interval - 0.5
        left = scaled.detach().floor().clamp(0, self._intervals - 1)
        within = (scaled - left).clamp(max=1.0)
        here = within.detach()
        first = left.long()
        # how much every number at the ends counts, written to memory once for all functions
        counts = [_horner(polynomial, here) for polynomial in (*_POLYNOMIALS, *_SLOPES)]
        shares = torch.cat([count.unsqueeze(0) for count in counts]).unsqueeze(2)
        values = slopes = torch.zeros((), dtype=lengths.dtype, device=lengths.device)
        for k, (value, slope) in enumerate(zip(*shares.chunk(2), strict=True)):
            end, order = divmod(k, N_DERIVATIVES)
            known = self.nodes[order][first + end]
            values = values + value * known
            slopes = slopes + slope * known
        # to go back needs nothing but the slopes, which are by far smaller than what they are from
        return values.detach() + slopes.detach() * (within - here).unsqueeze(1)

    def _error(self, functions: Functions) -> float:
        quarters = self._lengths(torch.arange(self._intervals, dtype=torch.float64) + 0.25)
        step = torch.full_like(quarters, self._interval)
        found, exact = (torch.func.jvp(each, (quarters,), (step,))[1] for each in (self, functions))
        return float((found - exact).abs().max() / exact.abs().max())

    def _lengths(self, scaled: torch.Tensor) -> torch.Tensor:
        return (scaled.unsqueeze(1) + 0.5) * self._interval


def _horner(coefficients: Sequence[float], x: torch.Tensor) -> torch.Tensor:
    *lower, highest = coefficients
    result = torch.full_like(x, highest)
    for coefficient in reversed(lower):
        result = result * x + coefficient
    return result
