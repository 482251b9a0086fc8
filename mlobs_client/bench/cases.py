"""Choose the settings of clients that are worth measuring, and the ones to recommend."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from mlobs_client.evaluate.evaluation import Precision

PRECISIONS: Final[tuple[Precision, ...]] = ("float64", "float32")

LARGEST: Final = 4
"""Largest batch size, in units of the one that a client would choose by itself: larger batches do
not fit into the caches of a CPU, and each size costs a compilation."""

TIE: Final = 1.03
"""Largest ratio of times that is not significant: the next measurement may reverse their order."""


@dataclass(frozen=True)
class Case:
    """Settings of clients.

    Attributes:
        dtype: precision of the networks.
        batch: largest number of structures that the networks evaluate together.
        threads: number of threads of each client.
        clients: number of clients that work at the same time.
        share: number of structures in a request, ``<batch_size>`` of i-PI.
    """

    dtype: Precision
    batch: int
    threads: int
    clients: int
    share: int

    def __str__(self) -> str:
        return (
            f"{self.dtype}, batch {self.batch}, {count(self.threads, 'thread')}, "
            f"{count(self.clients, 'client')}"
        )


@dataclass(frozen=True)
class Timing:
    """The time of a step in one case.

    Attributes:
        case: settings of the clients.
        seconds: median time of a step of the slowest client, s.
        not_compiled: reason why networks were not compiled, although this was requested.
    """

    case: Case
    seconds: float
    not_compiled: str = ""

    def ns_per_day(self, timestep: float) -> float:
        """Return the simulated time per day of wall time, ns.

        Args:
            timestep: time step, fs.
        """
        return timestep * 1e-6 * 86400.0 / self.seconds


def batch_sizes(beads: int, estimate: int) -> list[int]:
    """Return batch sizes to measure, ascending: one, ..., half of the structures of a step, all.

    Halving gives equal batches, which are also the shares of two, four, ... clients.

    Args:
        beads: structures of a step.
        estimate: batch size that a client would choose by itself; sizes larger than
            :data:`LARGEST` times this one are left out.
    """
    sizes = [beads]
    while sizes[-1] > 1:
        sizes.append(_share(sizes[-1], 2))
    return [size for size in reversed(sizes) if size <= max(1, LARGEST * estimate)]


def single_clients(beads: int, sizes: Iterable[int]) -> list[Case]:
    """Return cases of one client with one thread, for each precision and batch size."""
    return [
        Case(dtype, size, threads=1, clients=1, share=beads)
        for dtype in PRECISIONS
        for size in sizes
    ]


def divisions(case: Case, cores: int) -> list[Case]:
    """Return variants of a case with more threads or clients, as cores and structures allow.

    Several clients with several threads each are included only if they use all cores.

    Args:
        case: case of one client with one thread.
        cores: number of available cores.
    """
    return [
        Case(case.dtype, min(case.batch, share), threads, clients, share)
        for threads in _powers(cores)
        for clients, share in _shares(case.share, cores // threads).items()
        if threads * clients > 1 and (threads == 1 or clients == 1 or 2 * threads * clients > cores)
    ]


def count_programs(singles: Sequence[Case], cores: int) -> int:
    """Return the maximum number of compilations that the measurements may need.

    Args:
        singles: cases of one client with one thread, see :func:`single_clients`.
        cores: number of available cores.
    """
    most = 0
    for batch in {single.batch for single in singles}:
        cases = [*singles]
        for single in singles:
            if single.batch == batch:
                cases += divisions(single, cores)
        most = max(most, len({(case.dtype, case.threads, case.batch) for case in cases}))
    return most


def count(number: int, what: str) -> str:
    """Return a number with its noun, in singular or plural."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def best(timings: Sequence[Timing]) -> Timing:
    """Return the fastest case; among those within 3 %, the most precise and then the simplest."""
    fastest = min(timing.seconds for timing in timings)
    return min(
        (timing for timing in timings if timing.seconds <= TIE * fastest),
        key=lambda timing: (
            PRECISIONS.index(timing.case.dtype),
            timing.case.clients,
            timing.case.threads,
            timing.case.batch,
        ),
    )


def _shares(beads: int, most: int) -> dict[int, int]:
    """Return the share by number of clients, with the fewest clients for each share."""
    shares = {_share(beads, clients) for clients in (*_powers(most), most)}
    return {_share(beads, share): share for share in sorted(shares, reverse=True)}


def _powers(most: int) -> list[int]:
    """Return 1, 2, 4, ... up to ``most``."""
    return [1 << k for k in range(most.bit_length())]


def _share(beads: int, clients: int) -> int:
    return -(-beads // clients)
