"""Ways to run clients: which are worth measuring, and which of them to recommend."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from mlobs_client.evaluate.evaluation import Precision

PRECISIONS: Final[tuple[Precision, ...]] = ("float64", "float32")

LARGEST: Final = 4
"""Times the built-in estimate: larger batches leave the caches of a CPU, and each size costs a
compilation."""

TIE: Final = 1.03
"""Ratio of times that says nothing: the next measurement may reverse it."""


@dataclass(frozen=True)
class Case:
    """A way to run clients.

    Attributes:
        dtype: of the networks.
        batch: structures that the networks evaluate together at most.
        threads: of each client.
        clients: that work at the same time.
        share: structures that a client gets at once, ``<batch_size>`` of i-PI.
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
    """What was measured of a case.

    Attributes:
        case: that was measured.
        seconds: of a step, the median; of the slowest client.
        not_compiled: why networks were evaluated as they are, though compiled ones were wanted.
    """

    case: Case
    seconds: float
    not_compiled: str = ""

    def ns_per_day(self, timestep: float) -> float:
        """Simulated time.

        Args:
            timestep: of a step, fs.
        """
        return timestep * 1e-6 * 86400.0 / self.seconds


def batch_sizes(beads: int, estimate: int) -> list[int]:
    """All structures of a step together, and half as many, down to one, ascending.

    Halves make equal batches, and are the shares of two, four, ... clients.

    Args:
        beads: structures of a step.
        estimate: what a client would do by itself.
    """
    sizes = [beads]
    while sizes[-1] > 1:
        sizes.append(_share(sizes[-1], 2))
    return [size for size in reversed(sizes) if size <= max(1, LARGEST * estimate)]


def single_clients(beads: int, sizes: Iterable[int]) -> list[Case]:
    """One client with one thread, for each precision and batch size."""
    return [
        Case(dtype, size, threads=1, clients=1, share=beads)
        for dtype in PRECISIONS
        for size in sizes
    ]


def divisions(case: Case, cores: int) -> list[Case]:
    """A case with more threads and more clients, as far as there are cores and structures.

    Several clients with several threads each are there only where they fill the cores.

    Args:
        case: with one thread and one client.
        cores: that may be used.
    """
    return [
        Case(case.dtype, min(case.batch, share), threads, clients, share)
        for threads in _powers(cores)
        for clients, share in _shares(case.share, cores // threads).items()
        if threads * clients > 1 and (threads == 1 or clients == 1 or 2 * threads * clients > cores)
    ]


def count_programs(singles: Sequence[Case], cores: int) -> int:
    """How many compilations a study needs, whichever batch size turns out to be the best.

    Args:
        singles: one client with one thread, see :func:`single_clients`.
        cores: for their divisions.
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
    """One thing or several, in words."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def best(timings: Sequence[Timing]) -> Timing:
    """The fastest; of those that are as fast, the most precise and then the simplest."""
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
    """The share of each number of clients: of those that make it no smaller, the fewest."""
    shares = {_share(beads, clients) for clients in (*_powers(most), most)}
    return {_share(beads, share): share for share in sorted(shares, reverse=True)}


def _powers(most: int) -> list[int]:
    """1, 2, 4, ... up to ``most``."""
    return [1 << k for k in range(most.bit_length())]


def _share(beads: int, clients: int) -> int:
    return -(-beads // clients)
