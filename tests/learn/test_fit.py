"""A fit that was killed ends where an undisturbed one does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from mlobs_client.errors import ModelError
from mlobs_client.learn.batches import join, make_graph
from mlobs_client.learn.fit import Fit, Recipe
from mlobs_client.learn.networks import SIZES, Architecture, build
from mlobs_client.learn.objective import Objective
from mlobs_client.learn.training import read_data_set


class KilledError(Exception):
    pass


@pytest.fixture(scope="module")
def prepared(settings, frames):
    """Graphs and an untrained network, built once."""
    data_set = read_data_set(settings("dipole"), frames)
    graphs = [
        make_graph(one, dict(target), data_set.species, 3.0)
        for one, target in zip(data_set.labelled, data_set.targets, strict=True)
    ]
    objective = Objective("dipole", data_set.scales, dict(enumerate(data_set.quanta)))
    torch.manual_seed(0)
    architecture = Architecture("dipole", SIZES["small"], data_set.species, 3.0, 4.0)
    return graphs, objective, build(architecture, torch.float32)


@pytest.fixture
def fit(prepared, tmp_path: Path):
    """A new fit, which finds the checkpoint of an earlier one of the same name."""
    graphs, objective, network = prepared
    untrained = {name: value.clone() for name, value in network.state_dict().items()}

    def make(name: str, steps: int = 24) -> Fit:
        network.load_state_dict(untrained)
        recipe = Recipe(steps, 0.02, batch=3, n_checks=6)
        path = tmp_path / f"{name}.checkpoint"
        return Fit(network, objective, graphs[4:], graphs[:4], recipe, 1, path)

    yield make
    network.load_state_dict(untrained)


def weights(fit: Fit) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in fit.network.state_dict().items()}


def test_a_fit_killed_twice_gives_the_same_network(fit) -> None:
    def kill_at(when: int):
        def report(step: int, _: float) -> None:
            if step == when:
                raise KilledError

        return report

    undisturbed = fit("undisturbed")
    checks = undisturbed.run(lambda *_: None)
    expected = weights(undisturbed)
    for when in (10, 19):
        with pytest.raises(KilledError):
            fit("killed").run(kill_at(when))
    killed = fit("killed")
    again = killed.run(lambda *_: None)
    # single precision: sums depend on where in memory their numbers are
    assert [check.step for check in again] == [check.step for check in checks]
    for one, other in zip(again, checks, strict=True):
        assert (one.loss, one.error) == pytest.approx((other.loss, other.error), rel=1e-3)
    for name, value in weights(killed).items():
        np.testing.assert_allclose(value, expected[name], rtol=1e-3, atol=1e-3, err_msg=name)


def test_training_makes_the_error_small_and_keeps_the_best_weights(fit) -> None:
    one = fit("once", steps=80)
    checks = one.run(lambda *_: None)
    best = min(check.error for check in checks)
    assert best < 0.5  # 1 is to know nothing
    squares = [one.objective.error(one.network, join([graph])) for graph in one.valid]
    assert (sum(squares) / len(squares)) ** 0.5 == pytest.approx(best, rel=1e-5)  # float32


def test_a_damaged_checkpoint_is_named(fit) -> None:
    one = fit("damaged")
    one.checkpoint.write_bytes(b"not a checkpoint")
    with pytest.raises(ModelError, match=r"damaged\.checkpoint: not a checkpoint of this training"):
        one.run(lambda *_: None)


def test_a_checkpoint_that_cannot_be_written_is_named_and_the_one_before_goes_on(fit) -> None:
    one = fit("full")
    obstacle = one.checkpoint.with_name("full.checkpoint.partial")

    def report(step: int, _: float) -> None:
        if step == 10:
            obstacle.mkdir()

    with pytest.raises(ModelError, match=r"full\.checkpoint: cannot be written"):
        one.run(report)
    obstacle.rmdir()
    steps: list[int] = []
    fit("full").run(lambda step, _: steps.append(step))
    assert steps[0] == 9  # after the check at 8
