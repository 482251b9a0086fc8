"""From the networks as they are to compiled ones, and back when something is wrong."""

from __future__ import annotations

import dataclasses
import gc
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
import pytest
import torch
from compiled import SMALL, compile_client, two_networks
from uncompiled import reference, traced_program

from mlobs_client.client.structure_file import read_structure_file
from mlobs_client.errors import EvaluationError
from mlobs_client.evaluate.compile import networks as compiled
from mlobs_client.evaluate.compile import store
from mlobs_client.evaluate.compile.background import Background
from mlobs_client.evaluate.compile.networks import (
    CompilationState,
    CompiledNetworks,
    _Ready,
    padded_size,
)
from mlobs_client.evaluate.compile.programs import Program, Sums, differing
from mlobs_client.evaluate.compile.radial import tabulated
from mlobs_client.evaluate.compile.store import ProgramSize
from mlobs_client.evaluate.graph import Graph, GraphBuilder
from mlobs_client.evaluate.networks.atomic import AtomicNetwork
from mlobs_client.evaluate.networks.plain import PlainNetworks
from mlobs_client.structure import Structure
from mlobs_client.units import ANGSTROM


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


def needed_for(graph: Graph, members: Sequence[AtomicNetwork]) -> store.ProgramSize:
    """What is compiled for these structures."""
    n_edges = len(graph.within(members[0].cutoff).vectors)
    n_pairs = len(graph.neighbours.images)
    return padded_size(
        store.ProgramSize(graph.n_structures, len(graph.positions), n_pairs, n_edges)
    )


@pytest.fixture(scope="module")
def with_program(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[list[AtomicNetwork], Graph]:
    """A committee, and two structures for which it was compiled."""
    folder = compile_client(tmp_path_factory.mktemp("compiled")).parent
    made = [AtomicNetwork(one, "energy") for one in two_networks()]
    structure = read_structure_file(folder / "init.xyz").structure
    return made, GraphBuilder(made[0].cutoff)([structure] * 2)


@pytest.mark.timeout(900)  # the compiler beside other work
def test_a_compiled_committee_gives_the_numbers_of_its_networks(
    with_program, background, graph, monkeypatch, caplog: pytest.LogCaptureFixture
) -> None:
    members, compiled_for = with_program
    monkeypatch.setattr(compiled, "MOST_SIZES", 1)
    caplog.set_level(logging.INFO, logger="mlobs_client")
    networks = CompiledNetworks(PlainNetworks(members), background)
    assert networks(compiled_for) is not None
    assert not background.running
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


@pytest.fixture(scope="module")
def traced() -> dict[tuple[ProgramSize, torch.dtype], Program]:
    """By size and precision; a program has no state, so that all tests share those of a size."""
    return {}


@pytest.fixture
def with_programs(committee, background, traced) -> Callable[..., CompiledNetworks]:
    """Networks with programs of the given sizes, which were traced, and not compiled."""

    def get(*sizes: ProgramSize, dtype: torch.dtype = torch.float64) -> CompiledNetworks:
        members = committee("potential", 1, **SMALL)
        for member in members:
            member.to(dtype)
        networks = CompiledNetworks(PlainNetworks(members), background)
        for size in sizes:
            if (size, dtype) not in traced:
                traced[size, dtype] = traced_program(members, size, False)
        networks._ready = [_Ready(size, traced[size, dtype]) for size in sizes]
        return networks

    return get


def agree(found: Sums | None, networks: CompiledNetworks, graph: Graph) -> bool:
    """Whether a program was used, and gave the numbers of the networks."""
    if found is None:
        return False
    weights = torch.ones_like(found.values)
    expected = reference(networks._networks.members, graph, weights)
    results = [found.values, *found.pull_back(weights)]
    return all(map(partial(np.allclose, rtol=1e-12, atol=1e-12), results, expected))


def test_edges_that_became_too_many_between_two_steps_need_another_program(
    with_programs, water
) -> None:
    build = GraphBuilder(3.5 * ANGSTROM, skin=3.0 * ANGSTROM)  # lists live long
    structure = water(2, length=14.0)
    before = build([dataclasses.replace(structure, positions=0.75 * structure.positions)])
    after = build([structure])
    assert build.n_built == 1
    n_edges = len(before.vectors)
    assert n_edges < len(after.vectors)
    networks = with_programs(
        ProgramSize(2, 7, 128, n_edges), ProgramSize(2, 7, 128, 2 * len(after.vectors))
    )
    assert agree(networks(before), networks, before)
    found = networks(after)
    assert found is not None
    assert found.n_edges == len(after.vectors)
    assert agree(found, networks, after)


def test_a_list_that_serves_other_species_is_filled_anew(with_programs, water) -> None:
    build = GraphBuilder(3.5 * ANGSTROM)
    structure = water(2, length=14.0)
    other = dataclasses.replace(structure, numbers=structure.numbers[::-1].copy())
    networks = with_programs(ProgramSize(2, 7, 128, 64))
    for one in (structure, other, structure):
        given = build([one])
        assert agree(networks(given), networks, given)
    assert build.n_built == 1


def test_atoms_that_are_out_of_reach_need_no_program(with_programs) -> None:
    networks = with_programs(ProgramSize(2, 3, 16, 16))
    build = GraphBuilder(3.5 * ANGSTROM, skin=4.0 * ANGSTROM)
    # going down slowly from two edges, and up again within the same list
    none, ready = CompilationState.NONE, CompilationState.READY
    for distance, state in zip(
        (8.0, 6.0, 8.0, 8.0, 8.0, 6.0), (none, ready, ready, ready, none, ready), strict=True
    ):
        positions = np.array([[0.0, 0.0, 0.0], [distance, 0.0, 0.0]])
        given = build([Structure(np.array([8, 1]), positions, 60.0 * np.eye(3))])
        assert (networks(given) is None) == (state is CompilationState.NONE)
        assert networks.state is state
    assert build.n_built == 1


def test_lists_that_are_gone_are_forgotten(with_programs, water) -> None:
    networks = with_programs(ProgramSize(2, 7, 128, 64))
    for seed in range(5):
        given = GraphBuilder(3.5 * ANGSTROM)([water(2, seed=seed, length=14.0)])
        assert networks(given)
        assert given.neighbours in networks._seen
    del given
    gc.collect()
    assert len(networks._seen) == 0


def test_atoms_at_the_same_place_are_left_to_the_networks_as_they_are(with_programs, water) -> None:
    structure = water(2, length=14.0)
    positions = structure.positions.copy()
    build = GraphBuilder(3.5 * ANGSTROM, skin=3.0 * ANGSTROM)
    networks = with_programs(ProgramSize(2, 7, 128, 64))
    assert networks(build([structure])) is not None
    positions[2] = positions[1]
    given = build([dataclasses.replace(structure, positions=positions)])
    assert networks(given) is None
    with pytest.raises(EvaluationError, match="same place"):
        _ = given.edges


def test_single_precision_is_believed_where_forces_cancel(with_programs) -> None:
    atoms = 4.0 * np.argwhere(np.ones((2, 2, 2)))  # bohr
    numbers = np.array([8, 1, 1, 8, 1, 8, 8, 1])
    crystal = Structure(numbers, atoms, 8.0 * np.eye(3))
    given = GraphBuilder(3.5 * ANGSTROM)([crystal])
    n_edges, n_pairs = len(given.vectors), len(given.neighbours.images)
    networks = with_programs(ProgramSize(2, 9, n_pairs + 1, n_edges), dtype=torch.float32)
    with torch.no_grad():
        sums = networks(given)
        assert sums is not None
        (forces, _), weights = sums.pull_back(torch.ones_like(sums.values)), sums.values
        assert float(forces.abs().max()) < 1e-4  # nothing but rounding
        assert networks._agrees(sums, given)
        # while a wrong program is found out
        sums.values = 1.001 * weights
        assert not networks._agrees(sums, given)


def test_what_failed_for_one_size_is_said_once_and_other_sizes_serve_on(
    with_programs, water, background, caplog: pytest.LogCaptureFixture
) -> None:
    networks = with_programs(ProgramSize(2, 7, 128, 64))
    fits, larger = (GraphBuilder(3.5 * ANGSTROM)([water(n, length=14.0)]) for n in (2, 4))
    n_pairs, n_edges = len(larger.neighbours.images), len(larger.vectors)
    size = padded_size(ProgramSize(1, len(larger.positions), n_pairs, n_edges))
    background.failures[store.key(networks._identity, size, "cpu")] = "no space left"
    for _ in range(3):
        assert networks(larger) is None
        assert networks.state is CompilationState.FAILED
        assert networks(fits) is not None
        assert networks.state is CompilationState.READY
        time.sleep(compiled.LOOK_EVERY)
    assert caplog.text.count("no space left") == 1


def test_the_smallest_program_that_is_not_much_too_large_is_used(with_programs, water) -> None:
    given = GraphBuilder(3.5 * ANGSTROM)([water(2, length=14.0)])
    n_pairs = len(given.neighbours.images)
    networks = with_programs(ProgramSize(2, 7, 2000, 48), ProgramSize(2, 7, n_pairs + 16, 64))
    networks(given)
    assert networks._seen[given.neighbours].padding.size == ProgramSize(2, 7, n_pairs + 16, 64)


def test_a_program_that_gives_other_numbers_is_not_used(
    with_program, background, committee, monkeypatch, caplog: pytest.LogCaptureFixture
) -> None:
    members, given = with_program
    size = needed_for(given, members)
    right = store.find(store.key(store.identity(members), size, "cpu"))
    assert right is not None
    monkeypatch.setattr(store, "find", lambda key: right)
    # the same build but for one number that is no parameter
    others = committee("unscaled potential", **SMALL)
    for other in others:
        other.network.interactions[0].avg_num_neighbors *= 1.001
    networks = CompiledNetworks(PlainNetworks(others), background)
    tensors = differing(tabulated(members))
    monkeypatch.setattr(compiled, "differing", lambda _: tensors)
    assert networks(given) is None
    assert "compiled values differ by" in caplog.text
    assert "evaluated as they are" in caplog.text
    assert networks(given) is None
    assert caplog.text.count("differ by") == 1


def test_a_machine_without_a_compiler_is_said_once(
    committee, graph, background, monkeypatch, tmp_path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("CXX", "/no/such/compiler")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    networks = CompiledNetworks(PlainNetworks(committee("dipole", 1, **SMALL)), background)
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
    assert networks.state is compiled.CompilationState.WAITING
    assert background.running


def test_short_work_starts_no_compilation(committee, graph) -> None:
    background = Background(patience=60.0)
    networks = CompiledNetworks(PlainNetworks(committee("dipole", 1)), background)
    for _ in range(3):
        assert networks(graph(0)) is None
    assert not background.running


@pytest.mark.parametrize("n", [1, 7, 100, 1250, 7444, 1_000_000])
def test_sizes_leave_room_for_a_few_more_pairs_and_edges_and_waste_little(n: int) -> None:
    size = padded_size(store.ProgramSize(3, 10, n, n))
    assert (size.n_structures, size.n_atoms) == (4, 11)
    assert n * 1.0199 <= size.n_edges <= max(n * 1.09, n + 32)
    assert n * 1.06 <= size.n_pairs <= max(n * 1.2, n + 32)
