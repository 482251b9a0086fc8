"""Compiled steps of a training are those of the network, to rounding, and only where worth it."""

from __future__ import annotations

import logging
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mlobs_client.evaluate.compile.training import TrainingSize
from mlobs_client.learn.batches import join
from mlobs_client.learn.compiled import Compiled, Programs, Steps, compile_steps
from mlobs_client.learn.member import _graphs, read_record, train_member
from mlobs_client.learn.networks import Architecture, NetworkSize, build
from mlobs_client.learn.objective import Objective
from mlobs_client.learn.training import load_member, read_data_set

SIZE = NetworkSize(channels=2, layers=1, correlation=1, radial=(4,))
KINDS = ["potential", "dipole", "polarizability"]


@pytest.fixture
def uncompiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """The traced graphs themselves, where their compilation is not what is tested."""
    monkeypatch.setattr(torch, "compile", lambda graph, **_: graph)


@pytest.fixture
def steps(settings, frames):
    """The graphs of a kind, and how their errors are measured."""

    def get(kind: str) -> tuple[Steps, Objective]:
        data_set = read_data_set(settings(kind), frames)
        graphs = _graphs(settings(kind), data_set, data_set.rest)
        weights = settings(kind).all_weights
        quanta = dict(enumerate(data_set.quanta))
        return Steps(graphs, 3), Objective(kind, data_set.scales, quanta, weights)

    return get


def network(kind: str, size: NetworkSize = SIZE) -> torch.nn.Module:
    """With the repulsion of nuclei, which only potentials have."""
    torch.manual_seed(0)
    return build(Architecture(kind, size, (1, 8), 3.0, 5.0, 1.0, True), torch.float32)


def slopes(learned: torch.nn.Module, objective: Objective, graphs) -> list[torch.Tensor]:
    """The loss of a batch, and its gradient in the weights."""
    random = np.random.default_rng(4)
    loss = objective.loss(learned, join(graphs), random, branches_are_free=False)
    weights = list(learned.parameters())
    gradients = torch.autograd.grad(loss, weights, allow_unused=True)
    return [loss.detach()] + [
        torch.zeros_like(weight) if gradient is None else gradient
        for weight, gradient in zip(weights, gradients, strict=True)
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_a_program_gives_the_loss_and_its_gradient(steps, uncompiled, kind: str) -> None:
    all_steps, objective = steps(kind)
    plain = network(kind, NetworkSize(4, 2, 2, (8,)))
    compiled = Compiled(plain, Programs(plain, kind, [all_steps]))
    assert compiled._programs.find(join(all_steps.graphs[:2])) is None  # left to the network
    assert compiled._programs.find(join(all_steps.graphs[:3])) is not None
    expected = slopes(plain, objective, all_steps.graphs[:3])
    found = slopes(compiled, objective, all_steps.graphs[:3])
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=2e-4, atol=2e-5)


def test_structures_of_other_sizes_are_padded(steps, uncompiled) -> None:
    all_steps, _ = steps("potential")
    plain = network("potential")
    compiled = Compiled(plain, Programs(plain, "potential", [all_steps]))
    batch = join(all_steps.graphs[:3])
    assert batch["edge_index"].shape[1] < all_steps.size.n_edges
    output = compiled(batch, training=True, compute_force=True, compute_virials=True)
    exact = plain(join(all_steps.graphs[:3]), compute_force=True, compute_virials=True)
    for name in ("energy", "forces", "virials"):
        torch.testing.assert_close(output[name], exact[name], rtol=1e-4, atol=1e-5)


def test_the_size_is_that_of_the_largest_batch(steps) -> None:
    all_steps, _ = steps("potential")
    edges = sorted(graph.edge_index.shape[1] for graph in all_steps.graphs)
    assert all_steps.size == TrainingSize(3, 18, sum(edges[-3:]))
    assert all_steps.mean_edges == pytest.approx(3 * np.mean(edges))


def test_short_trainings_and_two_quantities_are_not_compiled(steps, caplog) -> None:
    all_steps, _ = steps("potential")
    plain = network("potential")
    assert compile_steps(plain, "potential", [all_steps], 100, None) is plain
    assert compile_steps(plain, "potential", [all_steps], 10**9, False) is plain
    both = network("energy-dipole")
    assert compile_steps(both, "energy-dipole", [all_steps], 10**9, None) is both
    assert caplog.text == ""
    assert compile_steps(both, "energy-dipole", [all_steps], 1, True) is both
    assert "not compiled: only potentials, dipoles and polarizabilities on a CPU" in caplog.text


def test_batches_that_are_mostly_padding_are_left_to_the_network(caplog) -> None:
    sizes = [100, *[2] * 9]
    mixed = Steps([SimpleNamespace(num_nodes=6, edge_index=torch.zeros(2, n)) for n in sizes], 1)
    plain = network("potential")
    assert compile_steps(plain, "potential", [mixed], 1, True) is plain
    assert "batches of 1 of 1 files differ too much in size to be compiled" in caplog.text


def test_a_checkpoint_goes_on_with_and_without_programs(steps, uncompiled) -> None:
    all_steps, _ = steps("potential")
    plain = network("potential")
    compiled = Compiled(plain, Programs(plain, "potential", [all_steps]))
    both = torch.nn.ModuleDict({"inner": compiled})
    assert list(both.state_dict()) == [f"inner.{name}" for name in plain.state_dict()]
    state = {name: 2.0 * value for name, value in plain.state_dict().items()}
    compiled.load_state_dict(state)
    for name, value in plain.state_dict().items():
        assert torch.equal(value, state[name])


def test_a_program_that_differs_is_not_used(steps, uncompiled, monkeypatch, caplog) -> None:
    all_steps, _ = steps("potential")
    plain = network("potential")
    right = Programs.run
    monkeypatch.setattr(
        Programs, "run", lambda *given: {k: 1.01 * v for k, v in right(*given).items()}
    )
    with caplog.at_level(logging.WARNING):
        assert compile_steps(plain, "potential", [all_steps], 1, True) is plain
    assert "not compiled, and slower: the energy of the program differs by 0.01" in caplog.text


def test_a_compiled_training_ends_like_one_that_is_not(settings, frames, tmp_path) -> None:
    # without gradients, which takes less time to compile
    tiny = {
        "network": {"channels": 2, "layers": 1, "correlation": 1, "radial": (4,)},
        "steps": 20,
        "labels": {"dipole": ("mu", 1.0)},
    }
    plain, compiled = (settings("dipole", compile=way, **tiny) for way in (False, True))
    data_set = read_data_set(plain, frames)
    networks = []
    for one, name in ((plain, "a"), (compiled, "b"), (compiled, "c")):
        path = tmp_path / f"{name}.model"
        train_member(one, data_set, path, 0, lambda *_: None, "cpu")
        assert read_record(path)["compiled"] == (one is compiled)
        networks.append(load_member(path))
    for slow, fast, again in zip(*(one.parameters() for one in networks), strict=True):
        torch.testing.assert_close(fast, slow, rtol=1e-3, atol=1e-4)
        assert torch.equal(fast, again)
