"""From the networks as they are to compiled ones, and back when something is wrong."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from uncompiled import reference, traced_program

from mlobs_client.evaluate.atomic import AtomicNetwork
from mlobs_client.evaluate.compile import networks as compiled
from mlobs_client.evaluate.compile import store
from mlobs_client.evaluate.compile.background import Background
from mlobs_client.evaluate.compile.networks import CompiledNetworks, State, _Ready, size_for
from mlobs_client.evaluate.compile.store import Size
from mlobs_client.evaluate.graph import Graph, GraphBuilder
from mlobs_client.evaluate.plain import PlainNetworks
from mlobs_client.units import ANGSTROM

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


def wait(networks: CompiledNetworks, graph: Graph, background: Background) -> bool:
    """Evaluate as a client does, until there is a program or there never will be."""
    assert networks(graph) is None
    while background.running:
        time.sleep(0.1)
    time.sleep(2 * compiled.LOOK_EVERY)
    return networks(graph) is not None


def needed_for(graph: Graph, members: Sequence[AtomicNetwork]) -> store.Size:
    """What is compiled for these structures."""
    n_edges = len(graph.within(members[0].cutoff).vectors)
    n_pairs = len(graph.neighbours.images)
    return size_for(store.Size(graph.n_structures, len(graph.positions), n_pairs, n_edges))


@pytest.fixture(scope="module")
def with_program(
    network, store_of_compiled_networks: Path
) -> tuple[list[AtomicNetwork], Background]:
    made = [network("unscaled potential", seed, **SMALL) for seed in range(2)]  # with ZBL
    return [AtomicNetwork(one, "energy") for one in made], Background(0.0)


def test_a_compiled_committee_gives_the_numbers_of_its_networks(
    with_program, graph, monkeypatch, caplog: pytest.LogCaptureFixture
) -> None:
    members, background = with_program
    monkeypatch.setattr(compiled, "MOST_SIZES", 1)
    caplog.set_level(logging.INFO, logger="mlobs_client")
    networks = CompiledNetworks(PlainNetworks(members), background)
    assert wait(networks, graph(0), background), background.failures
    assert "energy: compiled for" in caplog.text
    assert "stacked" in caplog.text
    n_compiled = 0
    for seed in range(40):
        given = graph(seed)
        found = networks(given)
        if found is None:  # too many edges for this program
            continue
        n_compiled += 1
        random = np.random.default_rng(seed)
        weights = torch.from_numpy(random.normal(size=found.values.shape))
        expected = reference(members, given, weights)
        for one, other in zip([found.values, *found.pull_back(weights)], expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)
    assert n_compiled > 5


def test_edges_that_became_too_many_between_two_steps_need_another_program(
    committee, water, background
) -> None:
    members = committee("potential", 1, **SMALL)
    plain = PlainNetworks(members)
    networks = CompiledNetworks(plain, background)
    build = GraphBuilder(plain.cutoff, skin=3.0 * ANGSTROM)  # lists live long
    structure = water(2, length=14.0)
    before = build([replace(structure, positions=0.75 * structure.positions)])
    after = build([structure])
    assert build.n_built == 1
    n_edges = len(before.vectors)
    assert n_edges < len(after.vectors)
    small, large = (Size(2, 7, 512, n) for n in (n_edges, 2 * len(after.vectors)))
    networks._ready = [
        _Ready(size, traced_program(members, size, False)) for size in (small, large)
    ]
    assert networks(before) is not None
    found = networks(after)
    assert found is not None
    assert found.n_edges == len(after.vectors)
    weights = torch.ones_like(found.values)
    expected = reference(members, after, weights)
    for one, other in zip([found.values, *found.pull_back(weights)], expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)
    # the program is new, and the number of edges that of an earlier step: it says nothing
    assert not networks._agrees(networks._ready[0], after)
    assert networks.state is State.READY


def test_another_client_finds_the_program_in_the_store(with_program, graph) -> None:
    members, _ = with_program
    other = Background(patience=0.0)
    networks = CompiledNetworks(PlainNetworks(members), other)
    assert networks(graph(0)) is not None
    assert not other.running


def test_a_program_that_gives_other_numbers_is_not_used(
    with_program, committee, graph, monkeypatch, caplog: pytest.LogCaptureFixture
) -> None:
    members, background = with_program
    size = needed_for(graph(0), members)
    right = store.find(store.key(store.identity(members), size, "cpu"))
    assert right is not None
    monkeypatch.setattr(store, "find", lambda key: right)
    # the same build but for one number that is no parameter
    others = committee("unscaled potential", **SMALL)
    for other in others:
        other.network.interactions[0].avg_num_neighbors *= 1.001
    networks = CompiledNetworks(PlainNetworks(others), background)
    monkeypatch.setattr(
        networks, "_tensors", CompiledNetworks(PlainNetworks(members), background)._tensors
    )
    assert networks(graph(0)) is None
    assert "compiled values differ by" in caplog.text
    assert "evaluated as they are" in caplog.text
    assert networks(graph(0)) is None
    assert caplog.text.count("differ by") == 1


def test_a_machine_without_a_compiler_is_said_once(
    committee, graph, background, monkeypatch, tmp_path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("CXX", "/no/such/compiler")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    networks = CompiledNetworks(PlainNetworks(committee("dipole", 1)), background)
    assert not wait(networks, graph(0), background)
    assert networks(graph(0)) is None
    assert caplog.text.count("dipole: cannot be compiled") == 1
    assert "compiler" in caplog.text
    assert not list(store.home().glob("*.request"))


def test_a_store_that_cannot_be_used_ends_no_run(
    committee, graph, background, monkeypatch, tmp_path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way of a folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    networks = CompiledNetworks(PlainNetworks(committee("dipole", 1)), background)
    assert networks(graph(0)) is None
    assert networks(graph(0)) is None
    assert caplog.text.count("dipole: no compiled program: ") == 1


def test_a_damaged_program_ends_no_run_and_is_removed(
    committee, graph, background, monkeypatch, tmp_path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    members, given = committee("dipole", 1), graph(0)
    size = needed_for(given, members)
    key = store.key(store.identity(members), size, "cpu")
    for name in ("forward", "backward"):
        (tmp_path / f"{name}.pt2").write_bytes(b"half a file")
    store.keep(key, list(tmp_path.glob("*.pt2")), False, {})
    networks = CompiledNetworks(PlainNetworks(members), background)
    assert networks(given) is None
    assert "cannot be loaded" in caplog.text
    assert "compiled again" in caplog.text
    assert store.find(key) is None
    assert networks.state is compiled.State.WAITING
    assert background.running


def test_short_work_starts_no_compilation(committee, graph) -> None:
    background = Background(patience=60.0)
    networks = CompiledNetworks(PlainNetworks(committee("dipole", 1)), background)
    for _ in range(3):
        assert networks(graph(0)) is None
    assert not background.running


@pytest.mark.parametrize("n", [1, 7, 100, 1250, 7444, 1_000_000])
def test_sizes_leave_room_for_a_few_more_pairs_and_edges_and_waste_little(n: int) -> None:
    size = size_for(store.Size(3, 10, n, n))
    assert (size.n_structures, size.n_atoms) == (4, 11)
    assert n * 1.0199 <= size.n_edges <= max(n * 1.09, n + 32)
    assert n * 1.06 <= size.n_pairs <= max(n * 1.2, n + 32)
