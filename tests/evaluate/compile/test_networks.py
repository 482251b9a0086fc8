"""From the networks as they are to compiled ones, and back when something is wrong."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from uncompiled import reference

from mlobs_client.evaluate.atomic import AtomicNetwork, Inputs
from mlobs_client.evaluate.compile import networks as compiled
from mlobs_client.evaluate.compile import store
from mlobs_client.evaluate.compile.background import Background
from mlobs_client.evaluate.compile.networks import CompiledNetworks, size_for

SMALL = {"max_ell": 1, "correlation": 1, "num_interactions": 1}
"""The smaller a network, the sooner it is compiled."""


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "LOOK_EVERY", 0.05)


@pytest.fixture
def background() -> Iterator[Background]:
    made = Background(patience=0.0)
    yield made
    made.stop()


def wait(networks: CompiledNetworks, inputs: Inputs, background: Background) -> bool:
    """Evaluate as a client does, until there is a program or there never will be."""
    assert networks(inputs) is None
    while background.running:
        time.sleep(0.1)
    time.sleep(2 * compiled.LOOK_EVERY)
    return networks(inputs) is not None


@pytest.fixture(scope="module")
def with_program(
    network, store_of_compiled_networks: Path
) -> tuple[list[AtomicNetwork], Background]:
    networks = [AtomicNetwork(network("potential", seed, **SMALL), "energy") for seed in range(2)]
    return networks, Background(0.0)


def test_a_compiled_committee_gives_the_numbers_of_its_networks(
    with_program, inputs, monkeypatch, caplog: pytest.LogCaptureFixture
) -> None:
    members, background = with_program
    monkeypatch.setattr(compiled, "MOST_SIZES", 1)
    caplog.set_level(logging.INFO, logger="mlobs_client")
    networks = CompiledNetworks(members, "energy", background)
    assert wait(networks, inputs(0), background), background.failures
    assert "energy: compiled for" in caplog.text
    assert "stacked" in caplog.text
    n_compiled = 0
    for seed in range(40):
        given = inputs(seed)
        found = networks(given)
        if found is None:  # too many edges for this program
            continue
        n_compiled += 1
        random = np.random.default_rng(seed)
        weights = torch.from_numpy(random.normal(size=found.values.shape))
        values, derivative = reference(members, given, weights)
        np.testing.assert_allclose(found.values, values, rtol=1e-12)
        np.testing.assert_allclose(found.pull_back(weights), derivative, atol=1e-12)
    assert n_compiled > 5


def test_another_client_finds_the_program_in_the_store(with_program, inputs) -> None:
    members, _ = with_program
    other = Background(patience=0.0)
    networks = CompiledNetworks(members, "energy", other)
    assert networks(inputs(0)) is not None
    assert not other.running


def test_a_program_that_gives_other_numbers_is_not_used(
    with_program, committee, inputs, monkeypatch, caplog: pytest.LogCaptureFixture
) -> None:
    members, background = with_program
    size = size_for(*(len(part) for part in (inputs(0).attributes, inputs(0).vectors)))
    right = store.find(store.key(store.identity(members), size, "cpu"))
    assert right is not None
    monkeypatch.setattr(store, "find", lambda key: right)
    # the same build but for one number that is no parameter
    others = committee("potential", **SMALL)
    for other in others:
        other.network.interactions[0].avg_num_neighbors *= 1.001
        other.network.scale_shift.scale *= 1.0001
    networks = CompiledNetworks(others, "energy", background)
    monkeypatch.setattr(networks, "_tensors", CompiledNetworks(members, "", background)._tensors)
    assert networks(inputs(0)) is None
    assert "compiled values differ by" in caplog.text
    assert "evaluated as they are" in caplog.text
    assert networks(inputs(0)) is None
    assert caplog.text.count("differ by") == 1


def test_a_machine_without_a_compiler_is_said_once(
    committee, inputs, background, monkeypatch, tmp_path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("CXX", "/no/such/compiler")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    networks = CompiledNetworks(committee("dipole", 1), "dipole", background)
    assert not wait(networks, inputs(0), background)
    assert networks(inputs(0)) is None
    assert caplog.text.count("dipole: cannot be compiled") == 1
    assert "compiler" in caplog.text
    assert not list(store.home().glob("*.request"))


def test_a_store_that_cannot_be_used_ends_no_run(
    committee, inputs, background, monkeypatch, tmp_path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way of a folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    networks = CompiledNetworks(committee("dipole", 1), "dipole", background)
    assert networks(inputs(0)) is None
    assert networks(inputs(0)) is None
    assert caplog.text.count("dipole: no compiled program: ") == 1


def test_a_damaged_program_ends_no_run_and_is_removed(
    committee, inputs, background, monkeypatch, tmp_path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    members, given = committee("dipole", 1), inputs(0)
    size = size_for(len(given.attributes), len(given.vectors))
    key = store.key(store.identity(members), size, "cpu")
    for name in ("forward", "backward"):
        (tmp_path / f"{name}.pt2").write_bytes(b"half a file")
    store.keep(key, list(tmp_path.glob("*.pt2")), False, {})
    networks = CompiledNetworks(members, "dipole", background)
    assert networks(given) is None
    assert "cannot be loaded" in caplog.text
    assert "compiled again" in caplog.text
    assert store.find(key) is None
    assert networks.state is compiled.State.WAITING
    assert background.running


def test_short_work_starts_no_compilation(committee, inputs) -> None:
    background = Background(patience=60.0)
    networks = CompiledNetworks(committee("dipole", 1), "dipole", background)
    for _ in range(3):
        assert networks(inputs(0)) is None
    assert not background.running


@pytest.mark.parametrize("n_edges", [1, 7, 100, 1250, 7444, 1_000_000])
def test_sizes_leave_room_for_a_few_more_edges_and_waste_little(n_edges: int) -> None:
    size = size_for(10, n_edges)
    assert size.n_atoms == 11
    assert n_edges * 1.0199 <= size.n_edges <= max(n_edges * 1.09, n_edges + 32)
