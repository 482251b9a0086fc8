"""Run compiled programs: pad to their size, go back through them, compare with the network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import torch
from torch.nn.functional import pad

from mlobs_client.evaluate.atomic import AtomicNetwork, Inputs
from mlobs_client.evaluate.compile.store import Size

TOLERANCE: Final = {torch.float64: 1e-10, torch.float32: 1e-4}
"""Largest difference from the network itself, relative to its largest number."""

_FAR: Final = 1e3  # angstrom: an edge that no network sees

Saved = list[list[torch.Tensor]]


def differing(networks: Sequence[AtomicNetwork]) -> list[str]:
    """Names of the parameters and buffers in which members of one build differ."""
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
        forward, backward: what :func:`mlobs_client.evaluate.compile.trace.trace` made, compiled.
        own: tensors of each member; of all members in one list if they were stacked.
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
        """Read what the worker wrote.

        Args:
            folder: of the files.
            networks: the members.
            names: of the tensors in which they differ.
            stacked: whether the program evaluates them together.
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

    def forward(self, inputs: Inputs) -> tuple[torch.Tensor, Saved]:
        """Contributions, shape ``(n_members, n_atoms, *shape)``, and what the way back needs."""
        outputs = [self._forward.run([*inputs, *own]) for own in self._own]
        saved = [output[1:] for output in outputs]
        if self._stacked:
            return outputs[0][0], saved
        return torch.stack([output[0] for output in outputs]), saved

    def backward(self, saved: Saved, cotangents: torch.Tensor) -> torch.Tensor:
        """Derivative with respect to the edge vectors, summed over members."""
        each = [cotangents] if self._stacked else cotangents.contiguous().unbind()
        first, *others = (
            self._backward.run([*kept, weights])[0]
            for kept, weights in zip(saved, each, strict=True)
        )
        for other in others:
            first += other
        return first  # type: ignore[no-any-return]

    def measure(self, inputs: Inputs) -> None:
        """One evaluation and its way back, to be timed."""
        with torch.no_grad():
            contributions, saved = self.forward(inputs)
            self.backward(saved, contributions)
        if inputs.vectors.is_cuda:
            torch.cuda.synchronize()  # a GPU has only been told what to do


class Contributions:
    """What a program says of fewer atoms and edges than it was compiled for, and the way back.

    All edges that are too many join the last atom, which must be one too many, with itself: what
    they do stays there.

    Attributes:
        values: shape ``(n_members, n_atoms, *shape)``, of the atoms that are there.

    Args:
        program: to run.
        size: of the program, at least one atom more than there are.
        inputs: atoms and edges that are there.
    """

    def __init__(self, program: Program, size: Size, inputs: Inputs) -> None:
        vectors, attributes, edges = inputs
        self._n_atoms, self._n_edges = len(attributes), len(vectors)
        padded = Inputs(
            pad(vectors, (0, 0, 0, size.n_edges - self._n_edges), value=_FAR),
            pad(attributes, (0, 0, 0, size.n_atoms - self._n_atoms), value=1.0),
            pad(edges, (0, size.n_edges - self._n_edges), value=size.n_atoms - 1),
        )
        self._program = program
        self._all, self._saved = program.forward(padded)
        self.values = self._all[:, : self._n_atoms]

    def pull_back(self, weights: torch.Tensor) -> torch.Tensor:
        """Derivative of ``sum(weights * values)`` with respect to the edge vectors."""
        padded = torch.zeros_like(self._all)
        padded[:, : self._n_atoms] = weights
        return self._program.backward(self._saved, padded)[: self._n_edges]
