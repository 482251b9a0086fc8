"""Interpolate the radial functions of a network in tables.

From the length of an edge, MACE computes a few dozen smooth functions, with Bessel functions, a
cutoff and a network of a few layers. Interpolation takes a fraction of the time: compiled with
tables, a potential of 192 atoms takes 0.6 times as long as without. The grids are as fine as the
accuracy requires.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import torch
from scipy.interpolate import make_interp_spline

from mlobs_client.evaluate.model_files import quiet_third_parties
from mlobs_client.evaluate.networks.atomic import AtomicNetwork

with quiet_third_parties():
    import mace.modules.blocks as blocks
    from e3nn.nn import FullyConnectedNet

ERROR: Final = {torch.float64: 2e-11, torch.float32: 1e-6}
"""Largest error of slopes relative to the largest slope, beyond ``CLOSEST``."""

CLOSEST: Final = 0.5
"""Distance below which no two nuclei come, angstrom. Networks are less smooth there."""

FEWEST_INTERVALS: Final = {torch.float64: 1024, torch.float32: 256}
MOST_BYTES: Final = 1 << 25
"""Largest size of all tables of one member: larger ones do not fit into the cache."""

KEPT: Final = 4
"""Number of entries for each function and node: value, slope, curvature, and the difference from
the value at the next node, which would lose digits if it were computed in single precision."""

_RISE: Final = (0.0, 0.0, 0.0, 10.0, -15.0, 6.0)
_SLOPES: Final = ((0.0, 1.0, 0.0, -6.0, 8.0, -3.0), (0.0, 0.0, 0.0, -4.0, 7.0, -3.0))
_CURVATURES: Final = ((0.0, 0.0, 0.5, -1.5, 1.5, -0.5), (0.0, 0.0, 0.0, 0.5, -1.0, 0.5))
"""Hermite polynomials on an interval, coefficients of ascending powers: for the difference of the
values, and for the slopes and curvatures at both ends."""

BEFORE_ZERO: Final = 8
"""Number of intervals below zero: a spline is less accurate near its ends."""

Functions = Callable[[torch.Tensor], torch.Tensor]


def tabulated(networks: Sequence[AtomicNetwork]) -> Sequence[AtomicNetwork]:
    """Return the networks with tables for radial functions if these depend on the length alone.

    Other networks are returned unchanged: those whose radial functions also depend on the species
    of an edge (Agnesi and soft transforms), whose layers have further inputs, or whose tables would
    be too large.
    """
    if not all(_are_functions_of_length(network.network) for network in networks):
        return networks
    with quiet_third_parties():  # copies of e3nn go by way of a file, and torch's jvp is scripted
        return _tabulated(networks)


def _tabulated(networks: Sequence[AtomicNetwork]) -> Sequence[AtomicNetwork]:
    dtype = next(networks[0].parameters()).dtype
    intervals = FEWEST_INTERVALS[dtype]
    while _bytes(networks[0].network, intervals) <= MOST_BYTES:
        tables = [_tables(network.network, intervals) for network in networks]
        if all(table.error <= ERROR[dtype] for of_one in tables for table in of_one):
            return [
                _with(of_one, network) for of_one, network in zip(tables, networks, strict=True)
            ]
        intervals *= 2
    return networks


def _with(tables: Sequence[RadialTable], network: AtomicNetwork) -> AtomicNetwork:
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
    """Return the layers that act on the length of an edge, with their parent module and name."""
    return [
        (interaction, name, getattr(interaction, name))
        for interaction in network.interactions
        for name in ("conv_tp_weights", "density_fn")
        if hasattr(interaction, name)
    ]


def _bytes(network: Any, intervals: int) -> int:
    """Return the size of all tables of a network, bytes."""
    n_functions = sum(int(layers.hs[-1]) for _, _, layers in _layers(network))
    size: int = next(network.parameters()).element_size()
    return n_functions * KEPT * (intervals + 1) * size


def _tables(network: Any, intervals: int) -> list[RadialTable]:
    """Make tables of all layers, computed in float64 and stored in the network's precision."""
    like = next(network.parameters())
    embedding = copy.deepcopy(network.radial_embedding).cpu().double()
    tables = []
    for _, _, layers in _layers(network):
        functions = _functions(embedding, copy.deepcopy(layers).cpu().double())
        tables.append(RadialTable(functions, float(network.r_max), intervals).to(like))
    return tables


def _functions(embedding: Any, layers: Any) -> Functions:
    """Return a function from lengths ``(n, 1)`` to radial functions ``(n, n_functions)``."""

    def functions(lengths: torch.Tensor) -> torch.Tensor:
        values: torch.Tensor = layers(embedding(lengths, None, None, None)[0])
        return values

    return functions


class _Lengths(torch.nn.Module):
    """Replaces a radial embedding by the identity: lengths go to the tables."""

    def forward(self, lengths: torch.Tensor, *_: object) -> tuple[torch.Tensor, None]:
        return lengths, None


class RadialTable(torch.nn.Module):
    """Functions of a length, interpolated by polynomials between equidistant nodes.

    The first node is half an interval away from zero, where a basis divides by the length. The
    functions and two derivatives vanish at the cutoff and beyond. The first derivative is that of
    the interpolation, so that forces are consistent with the energy; the second is not available.

    Attributes:
        nodes: shape ``(KEPT, n_nodes, n_functions)``; derivatives with respect to ``length /
            interval``.
        error: largest error of slopes beyond ``CLOSEST``, relative to the largest slope there.

    Args:
        functions: from lengths in angstrom, shape ``(n, 1)`` and float64, to ``(n, n_functions)``.
        cutoff: cutoff, angstrom.
        intervals: number of intervals.
    """

    def __init__(self, functions: Functions, cutoff: float, intervals: int) -> None:
        super().__init__()
        self._intervals = intervals
        self._interval = cutoff / (intervals + 0.5)
        # of two degrees more, and begun before zero, through which the functions can be continued,
        # so that its derivatives are as good as the polynomials need them
        places = torch.arange(-BEFORE_ZERO, intervals + 1, dtype=torch.float64)
        spline = make_interp_spline(places, functions(self._lengths(places)).numpy(), k=7)
        values, slopes, curvatures = (spline(places[BEFORE_ZERO:], order) for order in range(3))
        for known in (values, slopes, curvatures):
            known[-1] = 0.0
        growth = np.diff(values, axis=0, append=0.0)
        nodes = torch.from_numpy(np.stack([values, slopes, curvatures, growth]))
        self.nodes = torch.nn.Parameter(nodes, requires_grad=False)
        self.error = self._error(functions)

    def forward(self, lengths: torch.Tensor) -> torch.Tensor:
        """Interpolate; ``lengths`` has shape ``(n, 1)``, the result ``(n, n_functions)``."""
        scaled = lengths.squeeze(1) / self._interval - 0.5
        left = scaled.detach().floor().clamp(0, self._intervals - 1)
        within = (scaled - left).clamp(max=1.0)
        here = within.detach()
        first = left.long()
        polynomials = (_RISE, *_SLOPES, *_CURVATURES)
        shares = [_horner(polynomial, here) for polynomial in polynomials]
        steepness = [_horner(_derivative(polynomial), here) for polynomial in polynomials]
        # written to memory once, for all functions
        counts = torch.cat([count.unsqueeze(0) for count in (*shares, *steepness)]).unsqueeze(2)
        value, slope, curvature, growth = self.nodes
        ends = [order[place] for order in (slope, curvature) for place in (first, first + 1)]
        values, slopes = value[first], torch.zeros((), dtype=lengths.dtype, device=lengths.device)
        for k, known in enumerate((growth[first], *ends)):
            values = values + counts[k] * known
            slopes = slopes + counts[len(polynomials) + k] * known
        # to go back needs nothing but the slopes, which are by far smaller than what they are from
        result: torch.Tensor = values.detach() + slopes.detach() * (within - here).unsqueeze(1)
        return result

    def _error(self, functions: Functions) -> float:
        quarters = self._lengths(torch.arange(self._intervals, dtype=torch.float64) + 0.25)
        quarters = quarters[quarters[:, 0] > CLOSEST]
        step = torch.full_like(quarters, self._interval)
        found, exact = (torch.func.jvp(each, (quarters,), (step,))[1] for each in (self, functions))
        return float((found - exact).abs().max() / exact.abs().max())

    def _lengths(self, scaled: torch.Tensor) -> torch.Tensor:
        """Return lengths, angstrom, shape ``(n, 1)``, from positions in units of intervals."""
        return (scaled.unsqueeze(1) + 0.5) * self._interval


def _derivative(coefficients: Sequence[float]) -> list[float]:
    return [power * coefficient for power, coefficient in enumerate(coefficients)][1:]


def _horner(coefficients: Sequence[float], x: torch.Tensor) -> torch.Tensor:
    *lower, highest = coefficients
    result = torch.full_like(x, highest)
    for coefficient in reversed(lower):
        result = result * x + coefficient
    return result
