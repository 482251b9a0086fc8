"""Train several members at once, each in a process of its own."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess

from mlobs_client.errors import MlobsError, ModelError

Training = Callable[[Callable[[int, float], None]], None]
"""Training of one member, which can be sent to another process, with its progress."""


def train_at_once(
    trainings: Mapping[int, Training], n_processes: int, report: Callable[[int, int, float], None]
) -> None:
    """Train members in processes that end with this one, even if it is killed.

    Args:
        trainings: trainings by the numbers of their members.
        n_processes: largest number of processes at once.
        report: called with the member, the step and the last validation error.

    Raises:
        MlobsError: a training failed; the others are stopped, and continue when called again.
    """
    waiting = list(trainings.items())
    running: dict[Connection, tuple[int, SpawnProcess]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < n_processes:
                member, training = waiting.pop(0)
                running.update([_begin(member, training)])
            for end in wait([*running]):
                assert isinstance(end, Connection)
                if not _pass_on(end, *running[end], report):
                    del running[end]
    finally:
        for _, process in running.values():
            process.terminate()
            process.join()


def _begin(member: int, training: Training) -> tuple[Connection, tuple[int, SpawnProcess]]:
    """Start a process; it inherits nothing, as libraries with threads do not survive a fork."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(training, theirs), daemon=True)
    process.start()
    theirs.close()  # so that our end is told when the process has ended
    return ours, (member, process)


def _work(training: Training, pipe: Connection) -> None:
    try:
        training(lambda step, error: pipe.send((step, error)))
    except BrokenPipeError:  # the other end is dead, and this one has a checkpoint
        return
    except MlobsError as error:
        pipe.send(error)


def _pass_on(
    end: Connection, member: int, process: SpawnProcess, report: Callable[[int, int, float], None]
) -> bool:
    """Pass one message on; return False if the process has ended."""
    try:
        message = end.recv()
    except EOFError as error:
        process.join()
        if process.exitcode:
            raise ModelError(
                f"the training of member {member} ended with exit status {process.exitcode}; "
                "the same command continues it"
            ) from error
        return False
    if isinstance(message, MlobsError):
        raise message
    report(member, *message)
    return True
