"""Run compiled programs, for one member after another or for all at once, forward and backward."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import torch

from mlobs_client.evaluate.compile.geometry import Geometry, Padding
from mlobs_client.evaluate.derivatives import Derivative
from mlobs_client.evaluate.graph import Graph
from mlobs_client.evaluate.networks.atomic import AtomicNetwork

TOLERANCE: Final = {torch.float64: 1e-10, torch.float32: 1e-4}
"""Largest error relative to the sum of absolute contributions."""

Saved = list[list[torch.Tensor]]


def differing(networks: Sequence[AtomicNetwork]) -> list[str]:
    """Return the names of parameters and buffers in which members of one architecture differ.

    For a single member, these are the names of all its parameters.
    """
    first, *others = [dict(network.state_dict()) for network in networks]
    if not others:
        return [name for name, _ in networks[0].named_parameters()]
    return [
        name
        for name, tensor in first.items()
        if not all(torch.equal(tensor, other[name]) for other in others)
    ]


class Program:
    """A committee as compiled code of one size.

    Args:
        forward, backward: compiled graphs of :func:`mlobs_client.evaluate.compile.trace.trace`.
        own: tensors of each member, or one list with those of all members if they are stacked.
        stacked: whether one call evaluates all members.
    """

    def __init__(
        self, forward: Any, backward: Any, own: Sequence[list[torch.Tensor]], stacked: bool
    ) -> None:
        self._forward = forward
        self._backward = backward
        self._own = own
        self._stacked = stacked

    @classmethod
    def load(
        cls, folder: Path, networks: Sequence[AtomicNetwork], names: Sequence[str], stacked: bool
    ) -> Program:
        """Load the files that the worker wrote.

        Args:
            folder: folder of the files.
            networks: the members.
            names: names of the tensors in which they differ.
            stacked: whether the program evaluates all members together.
        """
        from torch._inductor import aoti_load_package  # takes a second

        states = [network.state_dict() for network in networks]
        own = [[state[name] for name in names] for state in states]
        if stacked:
            own = [[torch.stack(tensors) for tensors in zip(*own, strict=True)]]
        forward, backward = (
            aoti_load_package(str(folder / f"{name}.pt2"), run_single_threaded=True).loader
            for name in ("forward", "backward")
        )
        return cls(forward, backward, own, stacked)

    def forward(self, geometry: Geometry) -> tuple[torch.Tensor, torch.Tensor, Saved]:
        """Run the forward pass.

        Returns:
            Sums over atoms, shape ``(n_members, n_structures, *shape)``, in the units of the
            networks; ``summary`` of
            :class:`mlobs_client.evaluate.compile.geometry.SelectedEdges`; and tensors that the
            backward pass needs.
        """
        outputs = [self._forward.run([*geometry, *own]) for own in self._own]
        saved = [output[2:] for output in outputs]
        first, *others = (output[0] for output in outputs)
        if not self._stacked:
            first = torch.stack([first, *others]) if others else first.unsqueeze(0)
        return first, outputs[0][1], saved

    def backward(self, saved: Saved, cotangents: torch.Tensor) -> Sequence[torch.Tensor]:
        """Return derivatives with respect to positions and strain, summed over members."""
        each = [cotangents] if self._stacked else cotangents.contiguous().unbind()
        first, *others = (
            self._backward.run([*kept, weights]) for kept, weights in zip(saved, each, strict=True)
        )
        for other in others:
            for total, part in zip(first, other, strict=True):
                total += part
        return first  # type: ignore[no-any-return]

    def measure(self, geometry: Geometry) -> None:
        """Run both passes once, to be timed."""
        with torch.no_grad():
            sums, _, saved = self.forward(geometry)
            self.backward(saved, sums)
        if sums.is_cuda:
            torch.cuda.synchronize()  # a GPU has only been told what to do


class Sums:
    """Results of a program for structures that were padded to its size.

    Attributes:
        values: shape ``(n_structures, n_members, *shape)``, float64, in the units of the networks;
            meaningless if there are more edges than the program has room for.
        n_edges: number of pairs within the cutoff of the networks.
        closest: smallest distance of a pair, bohr; large if there is no pair.

    Args:
        program: program to run.
        padding: padding of the neighbour list to the size of the program.
        graph: the structures.
    """

    def __init__(self, program: Program, padding: Padding, graph: Graph) -> None:
        self._program = program
        self._n_structures, self._n_atoms = graph.n_structures, len(graph.positions)
        self._all, summary, self._saved = program.forward(padding(graph))
        self.values = self._all[:, : self._n_structures].transpose(0, 1)
        n_edges, square = summary.tolist()
        self.n_edges = int(n_edges)
        self.closest = math.sqrt(square)

    def pull_back(self, weights: torch.Tensor) -> Derivative:
        """Differentiate ``sum(weights * values)`` with respect to positions (bohr) and strain."""
        padded = torch.zeros_like(self._all)
        padded[:, : self._n_structures] = weights.transpose(0, 1)
        positions, strain = self._program.backward(self._saved, padded)
        return Derivative(positions[: self._n_atoms], strain[: self._n_structures])
