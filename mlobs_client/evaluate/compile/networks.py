"""Evaluate a committee, which is compiled while it works."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from enum import Enum, auto
from functools import cached_property
from typing import Final, NamedTuple
from weakref import WeakKeyDictionary

import torch

from mlobs_client.errors import MlobsError, ModelError
from mlobs_client.evaluate.compile import store
from mlobs_client.evaluate.compile.background import Background
from mlobs_client.evaluate.compile.geometry import Padding
from mlobs_client.evaluate.compile.programs import TOLERANCE, Program, Sums, differing
from mlobs_client.evaluate.compile.radial import tabulated
from mlobs_client.evaluate.derivatives import through_edges
from mlobs_client.evaluate.graph import SAME_PLACE, Graph
from mlobs_client.evaluate.neighbours import NeighbourList
from mlobs_client.evaluate.networks.atomic import AtomicNetwork
from mlobs_client.evaluate.networks.plain import PlainNetworks

logger = logging.getLogger(__name__)

LOOK_EVERY: Final = 2.0  # seconds between two looks at the store
MOST_SIZES: Final = 8
"""Largest number of sizes of one committee: if a run needs more, it changes too fast to compile."""


class CompilationState(Enum):
    """The state of compilation for the inputs of the last evaluation."""

    NONE = auto()  # no compilation is requested, or there are no edges
    WAITING = auto()  # a program is not ready yet
    READY = auto()
    FAILED = auto()  # there is no program, and none will be compiled


class _Ready(NamedTuple):
    size: store.ProgramSize
    program: Program


class _Seen(NamedTuple):
    """The padding of a neighbour list, and its number of edges at the last evaluation."""

    padding: Padding
    n_edges: int


class CompiledNetworks:
    """Sums over atoms of all members, computed by compiled programs as soon as there are any.

    A program of the right size is taken from the store; if there is none, the networks are
    evaluated as they are, and after a while a program is compiled in the background. Before a
    program is used, its values and derivatives are compared with those of the networks, on the
    structures at hand. If compilation fails, a warning is logged once, and the networks are used.

    Attributes:
        state: state of compilation at the last evaluation.

    Args:
        networks: the networks, not compiled.
        background: worker that is shared by all committees of a client.
    """

    def __init__(self, networks: PlainNetworks, background: Background) -> None:
        self._networks = networks
        self._name = networks.quantity
        self._background = background
        self._identity = store.identity(networks.members)
        self._ready: list[_Ready] = []
        self._seen = WeakKeyDictionary[NeighbourList, _Seen]()
        self._next_look: dict[store.ProgramSize, float] = {}
        self._since: float | None = None
        self._removed: set[str] = set()
        self._gave_up = False
        self.state = CompilationState.NONE

    @cached_property
    def _members(self) -> Sequence[AtomicNetwork]:
        """Members in the form that is compiled, with tables of radial functions."""
        try:
            return tabulated(self._networks.members)
        except Exception as error:  # of the libraries: whatever it is, the run goes on
            # a program of others has tables, and cannot do without
            raise ModelError(f"no tables of radial functions: {error}") from error

    def __call__(self, graph: Graph) -> Sums | None:
        """Return the sums of all members, or None as long as no program fits."""
        if self._since is None:
            self._since = time.monotonic()
        self.state = CompilationState.NONE
        if not len(graph.neighbours.images):
            return None
        n_edges = self._count_edges(graph)
        while n_edges:  # without edges, a program cannot be compared with the networks
            ready = self._program(graph, n_edges)
            if ready is None:
                self.state = CompilationState.FAILED if self._gave_up else CompilationState.WAITING
                break
            self.state = CompilationState.READY
            sums = self._run(ready, graph)
            if sums.closest < SAME_PLACE:
                return None  # as they are, networks get a graph that says which atoms
            if sums.n_edges <= ready.size.n_edges:
                return sums
            n_edges = sums.n_edges
        self._seen.pop(graph.neighbours, None)  # to be counted anew
        return None

    def _count_edges(self, graph: Graph) -> int:
        """Return the number of edges, or that at the last step if it is known."""
        seen = self._seen.get(graph.neighbours)
        if seen is not None:
            return seen.n_edges
        return len(graph.within(self._networks.cutoff).vectors)

    def _run(self, ready: _Ready, graph: Graph) -> Sums:
        seen = self._seen.get(graph.neighbours)
        if (
            seen is None
            or seen.padding.size != ready.size
            or seen.padding.numbers is not graph.numbers
        ):
            attributes = self._networks.attributes(graph.numbers)
            seen = _Seen(Padding.of(graph, attributes, ready.size), 0)
        sums = Sums(ready.program, seen.padding, graph)
        # going down slowly: numbers that fluctuate about a size do not change programs each step
        n_edges = max(sums.n_edges, seen.n_edges - 1)
        self._seen[graph.neighbours] = seen._replace(n_edges=n_edges)
        return sums

    def _program(self, graph: Graph, n_edges: int) -> _Ready | None:
        """Return the program with the least padding; look for another one if all are too large."""
        n_pairs = len(graph.neighbours.images)
        required = store.ProgramSize(graph.n_structures, len(graph.positions), n_pairs, n_edges)
        fitting = sorted(
            (ready for ready in self._ready if _fits(required, ready.size)),
            key=lambda ready: (ready.size.n_edges, ready.size.n_pairs),
        )
        close = (ready for ready in fitting if _is_close(required, ready.size))
        return next(close, None) or self._look_for(required, graph) or next(iter(fitting), None)

    def _look_for(self, required: store.ProgramSize, graph: Graph) -> _Ready | None:
        """Take a program from the store, or start its compilation; failures do not end a run."""
        now, size = time.monotonic(), padded_size(required)
        if self._gave_up or now < self._next_look.get(size, now):
            return None
        self._next_look[size] = now + LOOK_EVERY
        key = store.key(self._identity, size, self._networks.device)
        try:
            if reason := self._background.failures.get(key):
                self._give_up(f"cannot be compiled: {reason}")
                return None
            found = store.find(key)
            program = None if found is None else self._load(found, key)
            if found is None or program is None:
                self._have_made(size, key)
                return None
            ready = _Ready(size, program)
            sums = self._run(ready, graph)
            if sums.n_edges > size.n_edges:  # more than at the last step, or than others count
                return self._look_for(replace(required, n_edges=sums.n_edges), graph)
            if not self._agrees(sums, graph):
                return None
        except (MlobsError, OSError, RuntimeError) as error:
            self._give_up(f"no compiled program: {error}")
            return None
        self._ready.append(ready)
        times = [f"{way} {1e3 * seconds:.2f} ms" for way, seconds in found.seconds.items()]
        logger.info(
            "%s: compiled for %d atoms and %d edges (%s)",
            self._name,
            size.n_atoms,
            size.n_edges,
            ", ".join(times),
        )
        return ready

    def _load(self, found: store.StoredProgram, key: str) -> Program | None:
        """Load a program from the store; a damaged one is removed, once."""
        tensors = differing(self._members)
        try:
            return Program.load(found.folder, self._members, tensors, found.stacked)
        except (OSError, RuntimeError) as error:
            reason = str(error).strip().split("\n")[0]
            if key in self._removed:  # so it is no accident of the disk
                raise ModelError(f"{found.folder} cannot be loaded: {reason}") from error
            store.remove(key)
            self._removed.add(key)
            logger.warning(
                "%s: %s cannot be loaded (%s); it is removed, and compiled again",
                self._name, found.folder, reason,
            )  # fmt: skip
            return None

    def _have_made(self, size: store.ProgramSize, key: str) -> None:
        """Start a compilation, if the networks have been in use for long enough."""
        if len(self._ready) >= MOST_SIZES:
            self._give_up(f"programs of {MOST_SIZES} sizes are in use, and none of them fits")
            return
        used_for = time.monotonic() - (self._since or 0.0)
        if used_for >= self._background.patience:
            request = store.Request(self._members, size, torch.get_num_threads())
            self._background.start(request, key)

    def _agrees(self, sums: Sums, graph: Graph) -> bool:
        """Return whether values and derivatives agree with those of the networks.

        Forces near equilibrium are small differences of large numbers, so errors are relative to
        the sum of absolute contributions. Errors of values are relative to the sum for strain
        derivatives, since values contain constants of isolated atoms.
        """
        with torch.enable_grad():
            values = self._networks(graph)
        random = torch.Generator().manual_seed(0)
        weights = torch.rand(values.shape, generator=random, dtype=torch.float64).to(values)
        (by_vectors,) = torch.autograd.grad([values], [graph.vectors], [weights])
        expected = [values.detach(), *through_edges(graph, by_vectors)]
        found = [sums.values, *sums.pull_back(weights)]
        added_up = float((graph.vectors.detach().abs().T @ by_vectors.abs()).max())
        scales = [added_up / graph.n_structures, float(by_vectors.abs().max())]
        dtype = self._networks.dtype
        # isolated atoms are in the values, and have been rounded together with them
        rounded = [8.0 * torch.finfo(dtype).eps * float(values.detach().abs().max()), 0.0, 0.0]
        tolerance = TOLERANCE[dtype]
        names = ("values", "gradients", "strain derivatives")
        for what, one, other, scale, rounding in zip(
            names, expected, found, [*scales, scales[0]], rounded, strict=True
        ):
            error = (float((other - one).abs().max()) - rounding) / max(scale, 1e-3)
            if not error <= tolerance:
                self._give_up(
                    f"compiled {what} differ by {error:.1e} (relative, tolerance {tolerance:.0e})"
                )
                return False
        return True

    def _give_up(self, reason: str) -> None:
        self._gave_up = True
        logger.warning("%s: %s; the networks are evaluated as they are", self._name, reason)


def padded_size(required: store.ProgramSize) -> store.ProgramSize:
    """Return the size to compile for, with some room for pairs and edges, whose number varies.

    Numbers of edges increase in steps of three to six percent, so that a trajectory needs few
    sizes; numbers of pairs, which cost little, in steps twice as large.
    """
    return store.ProgramSize(
        required.n_structures + 1,
        required.n_atoms + 1,
        _round_up(required.n_pairs + required.n_pairs // 16 + 1, digits=4),
        _round_up(required.n_edges + required.n_edges // 50, digits=5),
    )


def _round_up(number: int, digits: int) -> int:
    """Round up to a multiple of 16 with at most this many nonzero binary digits."""
    step = max(16, 1 << max(0, number.bit_length() - digits))
    return -(-max(number, 1) // step) * step


def _fits(required: store.ProgramSize, size: store.ProgramSize) -> bool:
    return (
        required.n_structures < size.n_structures
        and required.n_atoms < size.n_atoms
        and required.n_pairs < size.n_pairs
        and required.n_edges <= size.n_edges
    )


def _is_close(required: store.ProgramSize, size: store.ProgramSize) -> bool:
    """Return whether the padding is so small that another program would not be much faster."""
    return (
        size.n_atoms <= 1.25 * required.n_atoms + 16
        and size.n_pairs <= 1.5 * required.n_pairs + 64
        and size.n_edges <= 1.25 * required.n_edges + 64
    )
