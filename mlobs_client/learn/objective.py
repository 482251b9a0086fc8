"""Define the training loss and the validation error.

All squared errors are relative to the variance of the targets, so that a network that predicts zero
has the error 1, and the same learning rates suit every data set.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import torch

from mlobs_client.learn.batches import Tensors, atoms_per_graph
from mlobs_client.learn.branches import Quanta
from mlobs_client.learn.networks import KINDS
from mlobs_client.quantities import labelled

BORN_WEIGHT: Final = 0.2
"""Weight of relative squared errors of Born charges; that of other quantities is 1."""


@dataclass(frozen=True)
class Objective:
    """Squared errors of one kind of network.

    Attributes:
        kind: kind of the network.
        scales: root mean squares by the names of targets; for energy, dipole and polarizability
            per square root of the number of atoms; with ``weights``, the root mean square of the
            forces for all.
        quanta: quanta of each structure, by its index.
        weights: weights of squared errors per atom, see
            :class:`mlobs_client.learn.networks.Kind`.
    """

    kind: str
    scales: Mapping[str, float]
    quanta: Mapping[int, Quanta]
    weights: Mapping[str, float] = field(default_factory=dict)

    def loss(
        self,
        network: torch.nn.Module,
        batch: Tensors,
        random: np.random.Generator,
        *,
        branches_are_free: bool,
    ) -> torch.Tensor:
        """Return the mean squared error of a batch, differentiable with respect to the weights.

        Args:
            network: network in training.
            batch: result of :func:`mlobs_client.learn.batches.join`.
            random: generator that draws a direction of the dipole, if there are Born charges.
            branches_are_free: True if labels move with the network to the branch nearest to its
                prediction.
        """
        if "target_born_charges" in batch:
            batch = batch | {"direction": _draw_direction(random, batch["positions"])}
        output = self._evaluate(network, batch, training=True)
        total = self._squares(output, batch, branches_are_free)
        if "target_born_charges" in batch:
            total = total + BORN_WEIGHT * self._born_square(output, batch)
        return total

    def error(self, network: torch.nn.Module, batch: Tensors) -> float:
        """Return the mean squared error on the nearest branches, for validation."""
        output = self._evaluate(network, batch, training=False)
        return float(self._squares(output, batch, branches_are_free=True).detach())

    def _evaluate(self, network: torch.nn.Module, batch: Tensors, *, training: bool) -> Tensors:
        output: Tensors = network(
            batch,
            training=training,
            compute_force="target_forces" in batch,
            compute_virials="target_virials" in batch,
        )
        return output

    def _squares(self, output: Tensors, batch: Tensors, branches_are_free: bool) -> torch.Tensor:
        squares = []
        for name in KINDS[self.kind].learns:
            if f"target_{name}" not in batch:
                continue
            error = output[name] - batch[f"target_{name}"]
            if name == "dipole" and branches_are_free:
                error = error - self._nearest_shifts(error, batch)
            squares.append(self._mean_square(name, error, batch))
        return functools.reduce(torch.add, squares, batch["positions"].new_zeros(()))

    def _mean_square(self, name: str, error: torch.Tensor, batch: Tensors) -> torch.Tensor:
        rows = error.flatten(1) if error.ndim > 1 else error.unsqueeze(1)
        sizes = atoms_per_graph(batch)
        weights = batch.get(f"weight_{name}", rows.new_ones(len(sizes)))
        if labelled(name).per == "atom":
            return (weights[batch["batch"]][:, None] * (rows / self.scales[name]).square()).mean()
        powers = sizes if name in self.weights else sizes.sqrt()
        squares = weights[:, None] * (rows / powers[:, None] / self.scales[name]).square()
        return self.weights.get(name, 1.0) * squares.mean()

    def _nearest_shifts(self, errors: torch.Tensor, batch: Tensors) -> torch.Tensor:
        """Return the quanta nearest to the errors; on a branch they are constant."""
        values = errors.detach().double().cpu().numpy()
        places = batch["place"].tolist()
        shifts = [self.quanta[place].shifts(v) for place, v in zip(places, values, strict=True)]
        return torch.tensor(np.array(shifts), dtype=errors.dtype, device=errors.device)

    def _born_square(self, output: Tensors, batch: Tensors) -> torch.Tensor:
        """Return the squared error along the direction of the batch, in one backward pass."""
        along = batch["direction"]
        gradient = output.get("dipole_gradient")
        if gradient is None:
            (gradient,) = torch.autograd.grad(
                (output["dipole"] @ along).sum(), batch["positions"], create_graph=True
            )
        target = torch.einsum("Iij,i->Ij", batch["target_born_charges"], along)
        return ((gradient - target) / self.scales["born_charges"]).square().mean()


def _draw_direction(random: np.random.Generator, like: torch.Tensor) -> torch.Tensor:
    """Return a random unit vector."""
    direction = random.normal(size=3)
    direction /= np.linalg.norm(direction)
    return torch.tensor(direction, dtype=like.dtype, device=like.device)
