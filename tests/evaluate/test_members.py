"""Statistics of numbers that stand for members: each is differentiated by torch for comparison."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from ipi.engine.forcefields import FFCommittee

from mlobs_client.evaluate.derivatives import Derivative
from mlobs_client.evaluate.members import (
    CalibratedMembers,
    Mean,
    Members,
    Part,
    Spread,
    Statistic,
)

ALPHA = 1.7
SHAPE = (2, 3, 4)  # structures, members, columns


@dataclass
class Numbers:
    """An output whose derivative are the weights themselves."""

    values: torch.Tensor

    def pull_back(self, weights: torch.Tensor) -> Derivative:
        return Derivative(weights, weights)


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape))


def members(values: torch.Tensor) -> Members:
    return Members([Numbers(values)], None)


def calibrated(of_each: Members | Part) -> CalibratedMembers:
    return CalibratedMembers(of_each, ALPHA)


STATISTICS: dict[str, Callable[[Members], Statistic]] = {
    "mean": Mean,
    "spread": Spread,
    "calibrated members": calibrated,
    "mean of a part": lambda given: Mean(Part(given, slice(1, 3))),
    "spread of calibrated members": lambda given: Spread(calibrated(given)),
    "spread of one calibrated column": lambda given: Spread(calibrated(Part(given, 2))),
}


@pytest.mark.parametrize("statistic", STATISTICS.values(), ids=STATISTICS)
def test_weights_of_the_members_are_the_derivative_of_the_values(statistic) -> None:
    drawn = draw(*SHAPE).requires_grad_()
    found = statistic(members(drawn))
    weights = draw(*found.values.shape, seed=1)
    (exact,) = torch.autograd.grad(found.values, drawn, weights)
    np.testing.assert_allclose(found.on_members(weights).detach(), exact, rtol=0, atol=1e-14)


def test_the_spread_of_members_that_agree_pulls_at_none_of_them() -> None:
    weights = Spread(members(torch.ones(SHAPE))).on_members(torch.ones(2, 4))
    assert not weights.any()


def test_calibrated_members_are_those_of_the_ffcommittee_of_i_pi() -> None:
    """Its own code makes the same energies and the same spread of the members without alpha."""
    drawn = draw(1, 4)
    results = [[float(energy), np.zeros(3), np.zeros((3, 3)), {}] for energy in drawn[0]]
    handles = [{"status": "Done", "result": result} for result in results]
    request = {"pos": np.zeros(3), "ff_handles": handles}
    FFCommittee(fflist=[Mock() for _ in handles], alpha=ALPHA).gather(request)
    extras = request["result"][3]
    found = calibrated(members(drawn))
    np.testing.assert_allclose(found.values[0], extras["committee_pot"], atol=1e-14)
    spread = Spread(found).values
    np.testing.assert_allclose(spread[0], extras["committee_uncertainty"], rtol=1e-13)


def test_the_mean_of_calibrated_members_is_that_of_the_members() -> None:
    given = members(draw(*SHAPE))
    np.testing.assert_allclose(Mean(calibrated(given)).values, Mean(given).values, atol=1e-15)


def test_a_single_member_is_its_own_mean_bit_for_bit() -> None:
    drawn = draw(2, 1, 4)
    assert torch.equal(Mean(members(drawn)).values, drawn[:, 0])


def test_a_common_part_is_added_to_every_member_and_gets_all_their_weights() -> None:
    first, second, common = draw(2, 1), draw(2, 2, seed=1), draw(2, seed=2)
    together = Members([Numbers(first), Numbers(second)], Numbers(common))
    expected = np.concatenate([first, second], axis=1) + common.numpy()[:, None]
    np.testing.assert_array_equal(together.values, expected)
    weights = draw(2, 3, seed=3)
    pulled: list[torch.Tensor] = []

    @dataclass
    class Pulled(Numbers):
        def pull_back(self, weights: torch.Tensor) -> Derivative:
            pulled.append(weights)
            return Derivative(torch.zeros(1), torch.zeros(1))

    Members([Pulled(first), Pulled(second)], Pulled(common)).pull_back(weights)
    assert [tuple(each.shape) for each in pulled] == [(2, 1), (2, 2), (2,)]
    np.testing.assert_array_equal(torch.cat(pulled[:2], dim=1), weights)
    np.testing.assert_allclose(pulled[2], weights.numpy().sum(axis=1), rtol=1e-15)
