"""A fit that was killed ends where an undisturbed one does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mlobs_client.errors import ModelError
from mlobs_client.learn.batches import join, make_graph
from mlobs_client.learn.data_set import DataSet
from mlobs_client.learn.fit import Fit, Further, Recipe
from mlobs_client.learn.networks import SIZES, Architecture, build
from mlobs_client.learn.objective import Objective
from mlobs_client.learn.training import read_data_set


class KilledError(Exception):
    pass


@pytest.fixture(scope="module")
def data_set(settings, frames) -> DataSet:
    return read_data_set(settings("dipole"), frames)


@pytest.fixture(scope="module")
def prepared(data_set):
    """Graphs and an untrained network, built once."""
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


def test_a_fit_killed_ten_times_gives_the_same_network(fit) -> None:
    def kill_at(when: int):
        def report(step: int, _: float) -> None:
            if step == when:
                raise KilledError

        return report

    undisturbed = fit("undisturbed")
    checks = undisturbed.run(lambda *_: None)
    expected = weights(undisturbed)
    for when in (1, 3, 4, 5, 10, 11, 15, 18, 19, 23):
        with pytest.raises(KilledError):
            fit("killed").run(kill_at(when))
    killed = fit("killed")
    again = killed.run(lambda *_: None)
    assert again == checks
    for name, value in weights(killed).items():
        np.testing.assert_array_equal(value, expected[name], err_msg=name)


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


def test_each_step_has_a_batch_of_a_further_file_with_its_weight(fit, data_set) -> None:
    graphs = [
        make_graph(one, {"dipole": target["dipole"]}, data_set.species, 3.0)
        for one, target in zip(data_set.labelled[:3], data_set.targets[:3], strict=True)
    ]

    def first_loss(weight: float) -> float:
        one = fit(f"with {weight}", steps=6)
        one.further = [Further(graphs, 3, weight)]  # all, in any order
        return one.run(lambda *_: None)[0].loss

    without, half, whole = map(first_loss, (0.0, 0.5, 1.0))
    assert whole - without > 0.1
    assert half - without == pytest.approx(0.5 * (whole - without), rel=1e-4)  # float32


def test_a_fit_without_progress_ends_also_after_a_kill(fit) -> None:
    one = fit("patient", steps=24)
    one.recipe = one.recipe._replace(patience=2)
    errors = iter([3.0, 1.0, 2.0, 1.5, 0.1, 0.1])
    one.objective = replace(one.objective)
    object.__setattr__(one.objective, "error", lambda *_: errors_squared(errors))
    one.valid = one.valid[:1]
    checks = one.run(lambda *_: None)
    assert [check.error for check in checks] == [3.0, 1.0, 2.0, 1.5]
    again = fit("patient", steps=24)
    again.recipe = one.recipe
    assert again.run(lambda *_: None) == checks


def errors_squared(errors) -> float:
    return next(errors) ** 2
