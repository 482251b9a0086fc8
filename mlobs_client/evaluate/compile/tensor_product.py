"""Evaluate the tensor product of messages in a memory layout that suits the compiler.

e3nn keeps the components of one channel together, (channel, component): three or five numbers, too
few for vector instructions. Here, for edges, the channels of one component are contiguous; sums
over the edges of atoms return to the layout of e3nn, because atoms are few.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch

from mlobs_client.evaluate.model_files import quiet_third_parties

with quiet_third_parties():
    import mace.modules  # noqa: F401 (e3nn cannot be imported before)
    from e3nn import o3


Terms = list[list[tuple[int, int, float]]]
"""All i, j and nonzero C_ijk, for each k."""


class Messages(NamedTuple):
    """Messages that edges carry to their receivers.

    Attributes:
        parts: messages of each irreducible representation, shape
            ``(n_edges, n_components, n_channels)``.
    """

    parts: tuple[torch.Tensor, ...]

    def sum_into(self, receivers: torch.Tensor, n_atoms: int) -> torch.Tensor:
        """Return sums over the edges of every receiver, in the layout of e3nn."""
        sums = []
        for part in self.parts:
            total = part.new_zeros((n_atoms, *part.shape[1:])).index_add(0, receivers, part)
            sums.append(total.transpose(1, 2).reshape(n_atoms, -1))
        return torch.cat(sums, dim=1)


class Products:
    """All products of a network that act channel by channel, with their constants as numbers.

    Tracing sees no numbers, so they are read beforehand. They are those of the network, which may
    have been built in single precision.

    Args:
        network: network with any products; other kinds stay as they are.
    """

    def __init__(self, network: torch.nn.Module) -> None:
        self._terms = {
            module: [_terms(module, instruction) for instruction in module.instructions]
            for module in network.modules()
            if isinstance(module, o3.TensorProduct) and _is_by_channel(module)
        }
        self._harmonics: torch.Tensor | None = None
        self._copies: dict[int, list[torch.Tensor]] = {}

    def __iter__(self) -> Iterator[torch.nn.Module]:
        return iter(self._terms)

    def multiply(
        self, product: Any, x: torch.Tensor, y: torch.Tensor, weights: torch.Tensor
    ) -> Messages:
        """Return ``product(x, y, weights)``.

        Args:
            product: product of the network.
            x: shape ``(n_edges, dim)``, features of the senders.
            y: shape ``(n_edges, dim)``, spherical harmonics.
            weights: shape ``(n_edges, n_weights)``.
        """
        irreps_x, irreps_y = product.irreps_in1, product.irreps_in2
        # pieces of one tensor, whose derivatives are put together without being filled up first
        features = [
            piece.reshape(-1, mul, ir.dim).transpose(1, 2)
            for piece, (mul, ir) in zip(
                torch.split(x, [i.dim for i in irreps_x], 1), irreps_x, strict=True
            )
        ]
        channels = [irreps_x[instruction.i_in1].mul for instruction in product.instructions]
        parts = []
        for instruction, weight, terms in zip(
            product.instructions,
            torch.split(weights, channels, 1),
            self._terms[product],
            strict=True,
        ):
            first = features[instruction.i_in1] * weight.unsqueeze(1)
            second = self._spread(y, irreps_y, weight.shape[-1])[instruction.i_in2]
            factor = instruction.path_weight
            if terms is None:
                factor /= math.sqrt(product.irreps_out[instruction.i_out].ir.dim)
                part = first * second
            else:
                part = _couple(first, second, terms)
            parts.append(part if math.isclose(factor, 1.0, rel_tol=1e-15) else factor * part)
        return Messages(tuple(parts))

    def _spread(self, y: torch.Tensor, irreps: Any, channels: int) -> list[torch.Tensor]:
        """Return harmonics ``(n_edges, n_components, n_channels)``, once for all layers.

        So their derivative is added up over layers before it is summed over channels, which is the
        slowest part of the backward pass.
        """
        if self._harmonics is not y:
            self._harmonics, self._copies = y, {}
        if channels not in self._copies:
            parts = torch.split(y, [i.dim for i in irreps], 1)
            self._copies[channels] = [part.unsqueeze(2).expand(-1, -1, channels) for part in parts]
        return self._copies[channels]


def _is_by_channel(product: Any) -> bool:
    """Return whether a product multiplies every channel by the same vector, with given weights."""
    outputs = [instruction.i_out for instruction in product.instructions]
    return (
        not product.internal_weights
        and not product.shared_weights
        and outputs == list(range(len(product.irreps_out)))
        and all(
            instruction.connection_mode == "uvu"
            and instruction.has_weight
            and product.irreps_in2[instruction.i_in2].mul == 1
            for instruction in product.instructions
        )
    )


def _terms(product: Any, instruction: Any) -> Terms | None:
    """Return Wigner 3j symbols; None if all are 1/sqrt(number of components)."""
    one = product.irreps_in1[instruction.i_in1].ir.l
    two = product.irreps_in2[instruction.i_in2].ir.l
    three = product.irreps_out[instruction.i_out].ir.l
    if 0 in (one, two):
        return None
    if three == 0:
        return [[(i, i, 1.0 / math.sqrt(2 * one + 1)) for i in range(2 * one + 1)]]
    name = f"_w3j_{one}_{two}_{three}"
    (symbols,) = (t for key, t in product.named_buffers() if key.rpartition(".")[2] == name)
    coefficients: list[list[list[float]]] = symbols.tolist()
    return [
        [
            (i, j, row[k])
            for i, plane in enumerate(coefficients)
            for j, row in enumerate(plane)
            if row[k] != 0.0
        ]
        for k in range(2 * three + 1)
    ]


def _couple(x: torch.Tensor, y: torch.Tensor, terms: Terms) -> torch.Tensor:
    """Return ``sum_ij C_ijk x_i y_j``; shapes ``(n_edges, i or j, n_channels)``."""
    components = []
    for of_component in terms:
        first, *others = (c * x[:, i] * y[:, j] for i, j, c in of_component)
        components.append(sum(others, first))
    return torch.stack(components, dim=1)
