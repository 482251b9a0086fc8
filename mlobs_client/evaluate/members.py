"""Predictions of the members of a committee, their statistics, and the pullback of these.

Each statistic is a function of all members on one graph. It is pulled back in two parts, first to
weights of the members, so that several statistics of them need only one backward pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Protocol

import torch

from mlobs_client.evaluate.derivatives import Derivative, Output, add


class Statistic(Protocol):
    """A function of the predictions of members.

    Attributes:
        members: the members that it is a function of.
        values: shape ``(n_structures, *shape)``, atomic units; the members themselves have shape
            ``(n_structures, n_members, *shape)``.
    """

    members: Members

    @property
    def values(self) -> torch.Tensor: ...

    def on_members(self, weights: torch.Tensor) -> torch.Tensor:
        """Return weights of the members that give the derivative of ``sum(weights * values)``."""


class Members:
    """The predictions of all members of a committee on one graph (a ``Statistic``).

    Attributes:
        members: the object itself.
        values: shape ``(n_structures, n_members, *shape)``, atomic units.

    Args:
        outputs: outputs of the models, each with one or more members.
        common: output that is added to every member, with values of shape
            ``(n_structures, *shape)``.
    """

    def __init__(self, outputs: Sequence[Output], common: Output | None) -> None:
        self.members = self
        self._outputs = outputs
        self._common = common
        values = [output.values for output in outputs]
        self.values = values[0] if len(values) == 1 else torch.cat(values, dim=1)
        if common is not None:
            self.values = self.values + common.values.unsqueeze(1)

    def pull_back(self, weights: torch.Tensor) -> Derivative:
        """Differentiate ``sum(weights * values)`` with respect to positions and strain."""
        if len(self._outputs) == 1 and self._common is None:
            return self._outputs[0].pull_back(weights)
        derivatives, start = [], 0
        for output in self._outputs:
            end = start + output.values.shape[1]
            derivatives.append(output.pull_back(weights[:, start:end]))
            start = end
        if self._common is not None:
            derivatives.append(self._common.pull_back(weights.sum(1)))
        return add(derivatives)

    def on_members(self, weights: torch.Tensor) -> torch.Tensor:
        """Return the weights themselves."""
        return weights


class Part:
    """One quantity of several that members predict together (a ``Statistic``).

    Args:
        members: predictions of all quantities.
        columns: columns of the quantity in the last axis of their values.
    """

    def __init__(self, members: Members, columns: int | slice) -> None:
        self.members = members
        self.values = members.values[..., columns]
        self._columns = columns

    def on_members(self, weights: torch.Tensor) -> torch.Tensor:
        """Return the weights in their columns, and zero in those of the other quantities."""
        of_all = torch.zeros_like(self.members.values)
        of_all[..., self._columns] = weights
        return of_all

    def pull_back(self, weights: torch.Tensor) -> Derivative:
        """Differentiate ``sum(weights * values)`` with respect to positions and strain."""
        return self.members.pull_back(self.on_members(weights))


class Mean:
    """The mean over the members (a ``Statistic``).

    Args:
        of_each: predictions of the members.
    """

    def __init__(self, of_each: EachMember) -> None:
        self.members = of_each.members
        values = of_each.values
        self.values = values.mean(dim=1) if values.shape[1] > 1 else values[:, 0]
        self._of_each = of_each

    def on_members(self, weights: torch.Tensor) -> torch.Tensor:
        """Return an equal share of the weights for every member."""
        shape = self._of_each.values.shape
        if shape[1] == 1:
            return self._of_each.on_members(weights.unsqueeze(1))
        return self._of_each.on_members((weights / shape[1]).unsqueeze(1).expand(shape))

    def pull_back(self, weights: torch.Tensor) -> Derivative:
        """Differentiate ``sum(weights * values)`` with respect to positions and strain."""
        return self.members.pull_back(self.on_members(weights))


class CalibratedMembers:
    """Members with their spread scaled, ``mean + alpha (x_m - mean)`` (a ``Statistic``).

    The scaling keeps the mean of the members, and makes their standard deviation the calibrated
    spread. Members are always sent in this form, as i-PI's ``ffcommittee`` writes them.

    Args:
        of_each: predictions of the members.
        alpha: factor that makes the spread agree with errors on labelled structures, see
            :mod:`mlobs_client.analysis.calibration`.

    Source:
        Imbalzano et al., J. Chem. Phys. 154, 074102 (2021).
    """

    def __init__(self, of_each: Members | Part, alpha: float) -> None:
        self.members = of_each.members
        self._of_each = of_each
        self._alpha = alpha
        self.values = spread_out(of_each.values, alpha, dim=1)

    def on_members(self, weights: torch.Tensor) -> torch.Tensor:
        """Return weights that are scaled like the values, because the scaling is symmetric."""
        return self._of_each.on_members(spread_out(weights, self._alpha, dim=1))

    def pull_back(self, weights: torch.Tensor) -> Derivative:
        """Differentiate ``sum(weights * values)`` with respect to positions and strain."""
        return self.members.pull_back(self.on_members(weights))


EachMember = Members | Part | CalibratedMembers
"""Anything that has one value for each member."""


def spread_out(of_each: torch.Tensor, alpha: float, dim: int) -> torch.Tensor:
    """Scale the deviations from the mean along the axis of the members.

    Args:
        of_each: a value, or a derivative, of each member.
        alpha: factor of the deviations.
        dim: axis of the members.
    """
    mean = of_each.mean(dim=dim, keepdim=True)
    return mean + alpha * (of_each - mean)


class Spread:
    """Standard deviation over the members, ``std(ddof=1)`` (a ``Statistic``).

    Args:
        of_each: predictions of at least two members.
    """

    def __init__(self, of_each: EachMember) -> None:
        self.members = of_each.members
        self._of_each = of_each

    @cached_property
    def values(self) -> torch.Tensor:
        return self._of_each.values.std(dim=1, correction=1)

    def on_members(self, weights: torch.Tensor) -> torch.Tensor:
        """Apply the chain rule; the weights are zero where all members agree."""
        values = self._of_each.values
        deviation = values - values.mean(dim=1, keepdim=True)
        slope = deviation / (values.shape[1] - 1)
        share = torch.where(self.values > 0.0, weights / self.values, 0.0)
        return self._of_each.on_members(slope * share.unsqueeze(1))
