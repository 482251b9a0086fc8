"""A committee that becomes compiled while it works."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from enum import Enum, auto
from typing import Final, NamedTuple

import torch

from mlobs_client.errors import ModelError
from mlobs_client.evaluate.atomic import AtomicNetwork, Inputs
from mlobs_client.evaluate.compile import store
from mlobs_client.evaluate.compile.background import Background
from mlobs_client.evaluate.compile.programs import TOLERANCE, Contributions, Program, differing

logger = logging.getLogger(__name__)

LOOK_EVERY: Final = 2.0  # seconds between two looks at the store
MOST_SIZES: Final = 8
"""Of one committee. A run that needs more changes faster than can be compiled."""


class State(Enum):
    """How far compilation is, for the inputs that were evaluated last."""

    NONE = auto()  # nobody wants it, or there is nothing that takes time
    WAITING = auto()  # a program would have been used
    READY = auto()
    FAILED = auto()  # and will not be tried again


class _Ready(NamedTuple):
    size: store.Size
    program: Program


class CompiledNetworks:
    """Contributions of all members, by compiled programs as soon as there are any.

    A program of the right size is taken from the store; where there is none, the networks are
    evaluated as they are, and after a while a program is compiled in the background. Before a
    program is used, its values and derivatives are compared with those of the networks, on the
    structure at hand. What is wrong with compilation is said once, and the networks serve on.

    Attributes:
        state: of the last evaluation.

    Args:
        networks: the members.
        name: of the committee, for the log.
        background: shared by all committees of a client.
    """

    def __init__(
        self, networks: Sequence[AtomicNetwork], name: str, background: Background
    ) -> None:
        self._networks = networks
        self._name = name
        self._background = background
        self._tensors = differing(networks)
        self._identity = store.identity(networks)
        weights = next(networks[0].parameters())
        self._dtype, self._device = weights.dtype, str(weights.device)
        self._ready: list[_Ready] = []
        self._next_look: dict[store.Size, float] = {}
        self._since: float | None = None
        self._removed: set[str] = set()
        self.state = State.NONE

    def __call__(self, inputs: Inputs) -> Contributions | None:
        """Contributions of all members, or None as long as no program fits."""
        now = time.monotonic()
        if self._since is None:
            self._since = now
        if self.state is State.FAILED:
            return None
        self.state = State.NONE
        if not len(inputs.vectors):
            return None
        ready = self._program(inputs)
        if ready is None:
            if self.state is not State.FAILED:
                self.state = State.WAITING
            return None
        self.state = State.READY
        return Contributions(ready.program, ready.size, inputs)

    def _program(self, inputs: Inputs) -> _Ready | None:
        """The smallest program that the inputs fit into, if it is not much too large."""
        n_atoms, n_edges = len(inputs.attributes), len(inputs.vectors)
        fitting = [
            ready
            for ready in self._ready
            if n_atoms < ready.size.n_atoms and n_edges <= ready.size.n_edges
        ]
        best = min(
            fitting, key=lambda ready: (ready.size.n_edges, ready.size.n_atoms), default=None
        )
        if best is not None and _is_close(best.size, n_atoms, n_edges):
            return best
        return self._look_for(size_for(n_atoms, n_edges), inputs) or best

    def _look_for(self, size: store.Size, inputs: Inputs) -> _Ready | None:
        """Take a program from the store, or have it made; nothing that fails here ends a run."""
        now = time.monotonic()
        if now < self._next_look.get(size, now):
            return None
        self._next_look[size] = now + LOOK_EVERY
        key = store.key(self._identity, size, self._device)
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
            if not self._agrees(ready, inputs):
                return None
        except (ModelError, OSError, RuntimeError) as error:
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

    def _load(self, found: store.Found, key: str) -> Program | None:
        """A program of the store; one that is damaged is removed, once."""
        try:
            return Program.load(found.folder, self._networks, self._tensors, found.stacked)
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

    def _have_made(self, size: store.Size, key: str) -> None:
        """Start a compilation, if the work is not too short for it."""
        used_for = time.monotonic() - (self._since or 0.0)
        if used_for >= self._background.patience and len(self._ready) < MOST_SIZES:
            request = store.Request(self._networks, size, torch.get_num_threads())
            self._background.start(request, key)

    def _agrees(self, ready: _Ready, inputs: Inputs) -> bool:
        """Whether values and derivatives are those of the networks."""
        with torch.enable_grad():
            vectors = inputs.vectors.clone().requires_grad_()
            varied = inputs._replace(vectors=vectors)
            values = torch.stack([network(*varied) for network in self._networks])
            random = torch.Generator().manual_seed(0)
            weights = torch.rand(values.shape, generator=random, dtype=torch.float64).to(values)
            (derivative,) = torch.autograd.grad([values], [vectors], [weights])
        compiled = Contributions(ready.program, ready.size, inputs)
        found = [(values.detach(), derivative), (compiled.values, compiled.pull_back(weights))]
        for what, expected, given in zip(("values", "derivatives"), *found, strict=True):
            scale = max(float(expected.abs().max()), 1e-3)
            error = float((given - expected).abs().max()) / scale
            if not error <= TOLERANCE[self._dtype]:
                self._give_up(
                    f"compiled {what} differ by {error:.1e} (relative, tolerance "
                    f"{TOLERANCE[self._dtype]:.0e})"
                )
                return False
        return True

    def _give_up(self, reason: str) -> None:
        self.state = State.FAILED
        logger.warning("%s: %s; the networks are evaluated as they are", self._name, reason)


def size_for(n_atoms: int, n_edges: int) -> store.Size:
    """The size to compile for: some more edges than now, for their number varies with time.

    Sizes go up in steps of three to six percent, so that a trajectory needs a few of them.
    """
    wanted = n_edges + n_edges // 50
    step = max(16, 1 << max(0, wanted.bit_length() - 5))
    return store.Size(n_atoms + 1, -(-max(wanted, 1) // step) * step)


def _is_close(size: store.Size, n_atoms: int, n_edges: int) -> bool:
    """Whether so little is padded that another program would not be much faster."""
    return size.n_edges <= 1.25 * n_edges + 64 and size.n_atoms <= 1.25 * n_atoms + 16
