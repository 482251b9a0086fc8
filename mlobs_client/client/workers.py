"""Evaluate the models of a client file in several processes, each with its own models.

The frames of a trajectory are independent, and MACE on a CPU is fastest with one thread per
process.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Final

from mlobs_client.errors import EvaluationError
from mlobs_client.structure import Array, Structure

WAITING: Final = 2
"""Number of batches per process that are read ahead, so that no process waits; more would cost
memory."""

Values = list[dict[str, Array]]
EvaluateBatches = Callable[[Iterable[Sequence[Structure]]], Iterator[Values]]


@contextlib.contextmanager
def workers(client: Path, wanted: Sequence[str], n_processes: int) -> Iterator[EvaluateBatches]:
    """Start processes; yield a function that evaluates batches and yields their values in order.

    Args:
        client: path of the client file.
        wanted: names of observables.
        n_processes: number of processes.

    Raises:
        EvaluationError: a process was killed, or a model cannot treat a structure.
    """
    pool = ProcessPoolExecutor(
        n_processes,
        mp_context=multiprocessing.get_context("spawn"),  # torch does not survive a fork
        initializer=_load,
        initargs=(client, tuple(wanted)),
    )

    def evaluate(batches: Iterable[Sequence[Structure]]) -> Iterator[Values]:
        pending: deque[Future[Values]] = deque()
        for batch in batches:
            pending.append(pool.submit(_evaluate, batch))
            if len(pending) > WAITING * n_processes:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()

    try:
        yield evaluate
    except BrokenProcessPool as error:
        raise EvaluationError(
            f"one of the {n_processes} processes has died, possibly out of memory; continue with "
            "fewer (--at-once), or with a smaller --batch-size"
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


_observe: Callable[[Sequence[Structure]], Values]
"""Evaluates a batch with the models of this process."""


def _load(client: Path, wanted: tuple[str, ...]) -> None:
    global _observe
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent process
    threading.Thread(target=_end_with_parent, daemon=True).start()
    from mlobs_client.client import config
    from mlobs_client.client.build import assemble
    from mlobs_client.client.total_energy import observe_batch

    assembly = assemble(config.load_config(client), client.parent)

    def observe(structures: Sequence[Structure]) -> Values:
        return observe_batch(structures, assembly.evaluators, assembly.terms, wanted)

    _observe = observe


def _end_with_parent() -> None:
    """End when the parent process is killed, since nothing else would end this process."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _evaluate(structures: Sequence[Structure]) -> Values:
    return _observe(structures)
