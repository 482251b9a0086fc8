"""Compile the steps of a training, where that saves more time than it takes."""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple, Self

import numpy as np
import torch
from mace.data import AtomicData

from mlobs_client.evaluate.compile.training import Batch, TrainingProgram, TrainingSize
from mlobs_client.evaluate.model_files import quiet_third_parties
from mlobs_client.evaluate.networks.atomic import AtomicNetwork, NetworkKind
from mlobs_client.learn.batches import Tensors, join

logger = logging.getLogger(__name__)

QUANTITIES: Final[dict[str, NetworkKind]] = {
    "potential": "energy",
    "dipole": "dipole",
    "polarizability": "polarizability",
}
"""Quantities of the networks that can be compiled, by their kind; others have two of them."""

WORTH: Final = 1e7
"""Number of edges in all steps from which compiling, some minutes, saves time."""

EMPTIEST: Final = 0.5
"""Smallest mean share of a program that batches fill; the rest is padding, which takes time."""

TOLERANCE: Final = 1e-3
"""Largest difference of a program from the network, relative; both are in single precision."""

ONLY: Final = (
    "the training is not compiled: only potentials, dipoles and polarizabilities on a CPU are; "
    "leave --compile out"
)

LOOK: Final = "; check that there are a C++ compiler and space in the cache, or give --no-compile"


class Steps(NamedTuple):
    """Graphs of a file, of which each step of a training has a batch.

    Attributes:
        graphs: the graphs, which have the same targets.
        batch: number of structures per step.
    """

    graphs: Sequence[AtomicData]
    batch: int

    @property
    def size(self) -> TrainingSize:
        """Size of the largest batch."""
        n = min(self.batch, len(self.graphs))
        atoms, edges = (sorted(counts)[-n:] for counts in zip(*self._counts, strict=True))
        return TrainingSize(n, sum(atoms), sum(edges))

    @property
    def mean_edges(self) -> float:
        """Mean number of edges of a batch."""
        n = min(self.batch, len(self.graphs))
        return n * float(np.mean([edges for _, edges in self._counts]))

    @property
    def has_gradient(self) -> bool:
        """True if a target is a derivative."""
        return _has_gradient(self.graphs[0])

    @property
    def _counts(self) -> list[tuple[int, int]]:
        return [(graph.num_nodes, graph.edge_index.shape[1]) for graph in self.graphs]


class Compiled(torch.nn.Module):
    """A network that evaluates the batches of its training by compiled programs.

    Other batches, such as those of validation, are evaluated by the network itself. Its state has
    the names of the network, so that a checkpoint also continues where there are no programs.

    Args:
        network: the network, whose weights are trained.
        programs: its programs, which all copies share.
    """

    def __init__(self, network: torch.nn.Module, programs: Programs) -> None:
        super().__init__()
        self.network = network
        self._programs = programs
        self.register_state_dict_post_hook(_leave_out_level)  # type: ignore[no-untyped-call]
        self.register_load_state_dict_pre_hook(_put_in_level)  # type: ignore[no-untyped-call]

    def forward(self, batch: Tensors, *, training: bool = False, **others: bool) -> Tensors:
        """Return the outputs of the network.

        If the batch has a vector ``direction``, programs also return ``dipole_gradient``, shape
        ``(n_atoms, 3)``: the gradient of the dipole along it.
        """
        if training and (program := self._programs.find(batch)):
            return self._programs.run(program, self.network, batch)
        output: Tensors = self.network(batch, training=training, **others)
        return output


class Programs:
    """Programs of one architecture.

    Args:
        network: a network of this architecture, which is not changed.
        kind: its kind, a key of ``QUANTITIES``.
        steps: the graphs whose batches are compiled; a program serves those of the same size.
    """

    def __init__(self, network: torch.nn.Module, kind: str, steps: Iterable[Steps]) -> None:
        self._quantity = QUANTITIES[kind]
        with quiet_third_parties():  # copies of e3nn go by way of a file
            atomic = AtomicNetwork(copy.deepcopy(network), self._quantity)
        self._shape = atomic.shape
        self._names = [name.removeprefix("network.") for name, _ in atomic.named_parameters()]
        self._programs: dict[tuple[TrainingSize, bool], TrainingProgram] = {}
        for one in steps:
            key = one.size, one.has_gradient
            if key not in self._programs:
                self._programs[key] = TrainingProgram(atomic, key[0], with_gradient=key[1])
            self._compare(network, one)

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def find(self, batch: Tensors) -> TrainingProgram | None:
        """Return the smallest program for a batch, or None."""
        n_structures, n_atoms, n_edges = _size(batch)
        fitting = [
            (size.n_edges, program)
            for (size, has_gradient), program in self._programs.items()
            if has_gradient == _has_gradient(batch)
            and size.n_structures == n_structures
            and size.n_atoms >= n_atoms
            and size.n_edges >= n_edges
        ]
        return min(fitting, key=lambda one: one[0])[1] if fitting else None

    def run(self, program: TrainingProgram, network: torch.nn.Module, batch: Tensors) -> Tensors:
        """Return outputs of a network of this architecture, by the names that MACE gives them."""
        cotangents = batch["positions"].new_ones((len(batch["ptr"]) - 1, *self._shape))
        if "direction" in batch:
            cotangents = cotangents * batch["direction"]
        weights = dict(network.named_parameters())
        values = program([weights[name] for name in self._names], _describe(batch), cotangents)
        output: Tensors = {self._quantity: values.sums}
        if values.by_positions is None or values.by_strain is None:
            return output
        if "direction" in batch:
            return output | {"dipole_gradient": values.by_positions}
        return output | {"forces": -values.by_positions, "virials": -values.by_strain}

    def _compare(self, network: torch.nn.Module, steps: Steps) -> None:
        """Compare a program with the network, for one batch.

        Raises:
            ValueError: they differ.
        """
        batch = join(steps.graphs[: steps.size.n_structures])
        program = self.find(batch)
        assert program is not None
        found = self.run(program, network, batch)
        exact = network(
            batch,
            compute_force="target_forces" in batch,
            compute_virials="target_virials" in batch,
        )
        for name in (name for name in found if exact.get(name) is not None):
            difference = (found[name] - exact[name]).detach().abs().max()
            error = float(difference / exact[name].detach().abs().max().clamp(min=1e-6))
            if not error <= TOLERANCE:
                raise ValueError(f"the {name} of the program differs by {error:.1g} (relative)")


def compile_steps(
    network: torch.nn.Module,
    kind: str,
    all_steps: Sequence[Steps],
    n_steps: int,
    wanted: bool | None,
) -> torch.nn.Module:
    """Return the network with compiled programs, or as it is, and say why.

    Args:
        network: network in training.
        kind: its kind.
        all_steps: all graphs of a step.
        n_steps: number of steps.
        wanted: whether to compile; None where it is worth the time.
    """
    if wanted is False:
        return network
    if kind not in QUANTITIES or next(network.parameters()).device.type != "cpu":
        if wanted:
            logger.warning("%s", ONLY)
        return network
    work = n_steps * sum(steps.mean_edges for steps in all_steps)
    if wanted is None and work < WORTH:
        return network
    compact = [steps for steps in all_steps if steps.mean_edges >= EMPTIEST * steps.size.n_edges]
    if len(compact) < len(all_steps):
        logger.warning(
            "batches of %d of %d files differ too much in size to be compiled",
            len(all_steps) - len(compact), len(all_steps),
        )  # fmt: skip
    if not compact:
        return network
    try:
        return Compiled(network, Programs(network, kind, compact))
    except Exception as error:  # torch's compiler raises anything
        reason = str(error).strip().split("\n")[0]
        logger.warning("the training is not compiled, and slower: %s%s", reason, LOOK)
        return network


def _leave_out_level(_: torch.nn.Module, state: dict[str, Any], prefix: str, __: object) -> None:
    """Name weights as without :class:`Compiled`."""
    _rename(state, f"{prefix}network.", prefix)


def _put_in_level(_: torch.nn.Module, state: dict[str, Any], prefix: str, *__: object) -> None:
    _rename(state, prefix, f"{prefix}network.")


def _rename(state: dict[str, Any], old: str, new: str) -> None:
    for name in [name for name in state if name.startswith(old)]:
        state[new + name.removeprefix(old)] = state.pop(name)


def _has_gradient(batch: Any) -> bool:
    names = ("target_forces", "target_virials", "target_born_charges")
    return any(name in batch for name in names)


def _size(batch: Tensors) -> TrainingSize:
    return TrainingSize(
        len(batch["ptr"]) - 1, len(batch["positions"]), batch["edge_index"].shape[1]
    )


def _describe(batch: Tensors) -> Batch:
    senders, receivers = edges = batch["edge_index"]
    vectors = batch["positions"][receivers] - batch["positions"][senders] + batch["shifts"]
    return Batch(vectors, batch["node_attrs"], edges, batch["batch"])
