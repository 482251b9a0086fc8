"""Time cases with clients that work at the same time, each in a process of its own.

They are processes, because torch reads the number of threads when it is loaded, and because clients
that run together share caches and memory bandwidth. A step is everything between positions and
forces: neighbours, networks, derivatives. Positions move a little from step to step, so that
neighbour lists are reused as in a simulation, but nothing else is.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import multiprocessing
import os
import signal
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from multiprocessing.connection import Connection
from typing import Any, Final, NamedTuple

import numpy as np

from mlobs_client.bench.cases import Case, Timing
from mlobs_client.bench.subject import Subject
from mlobs_client.client.build import ClientModels
from mlobs_client.client.total_energy import predict
from mlobs_client.errors import LaunchError, MlobsError
from mlobs_client.evaluate.evaluation import Precision
from mlobs_client.structure import Structure
from mlobs_client.units import ANGSTROM

LEAST_STEPS: Final = 5
N_FRAMES: Final = 4  # steps with different positions, which are repeated
MOVEMENT: Final = 0.01 * ANGSTROM  # of a coordinate in a step, about
PATIENCE: Final = 20.0  # seconds for the end of a process and of its compilation

ReportCase = Callable[[Case, str], None]


def measure(
    subject: Subject, cases: Iterable[Case], seconds: float, report: ReportCase
) -> Iterator[Timing]:
    """Measure cases one after the other.

    Args:
        subject: models and structure.
        cases: cases; consecutive ones with the same precision, threads and clients share their
            processes.
        seconds: minimum time for which the steps of each case are repeated, s.
        report: called with the case and the current activity.

    Yields:
        The time of each case.

    Raises:
        MlobsError: the models cannot be evaluated, or a process died.
    """
    for (dtype, threads, n_clients), group in itertools.groupby(
        cases, key=lambda case: (case.dtype, case.threads, case.clients)
    ):
        with _clients(subject, dtype, threads, n_clients) as clients:
            for case in group:
                yield _measure(clients, case, seconds, partial(report, case))


class _Prepared(NamedTuple):
    """The message that a client is ready.

    Attributes:
        not_compiled: warnings about networks that cannot be compiled.
    """

    not_compiled: str


class _Client:
    """A connection to a process that evaluates as a client does.

    It is asked in turn to prepare a case, and to repeat its steps for some time.
    """

    def __init__(self, subject: Subject, dtype: Precision, threads: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(theirs, subject, dtype, threads), daemon=True
        )
        self._process.start()
        theirs.close()

    def ask(self, question: Case | float) -> None:
        with contextlib.suppress(BrokenPipeError):  # why it died is said where an answer is missing
            self._connection.send(question)

    def answer(self, report: Callable[[str], None]) -> Any:
        """Wait for the answer, and report messages until then."""
        while True:
            try:
                message = self._connection.recv()
            except (EOFError, ConnectionError):
                self._process.join()
                raise LaunchError(
                    f"a client that was measured ended with status {self._process.exitcode}; if "
                    "that is -9, there was not enough memory: give fewer --beads or --cores"
                ) from None
            if isinstance(message, MlobsError):
                raise message
            if not isinstance(message, str):
                return message
            report(message)

    def terminate(self) -> None:
        """Ask the process to end, together with a compilation that it may have started."""
        self._process.terminate()

    def wait(self) -> None:
        self._process.join(PATIENCE)
        self._process.kill()
        self._process.join()


@contextlib.contextmanager
def _clients(
    subject: Subject, dtype: Precision, threads: int, n_clients: int
) -> Iterator[Sequence[_Client]]:
    clients: list[_Client] = []
    try:
        for _ in range(n_clients):
            clients.append(_Client(subject, dtype, threads))
        yield clients
    finally:
        for client in clients:
            client.terminate()
        for client in clients:
            client.wait()


def _measure(
    clients: Sequence[_Client], case: Case, seconds: float, report: Callable[[str], None]
) -> Timing:
    """Time one case by its slowest client, since i-PI waits for all."""
    report("loading")
    first, *others = clients
    first.ask(case)
    prepared: _Prepared = first.answer(report)
    for other in others:  # they find the programs that the first one compiled
        other.ask(case)
    for other in others:
        other.answer(report)
    report("measuring")
    for client in clients:
        client.ask(seconds)
    times: list[float] = [client.answer(report) for client in clients]
    return Timing(case, max(times), prepared.not_compiled)


def _serve(connection: Connection, subject: Subject, dtype: Precision, threads: int) -> None:
    """Answer requests in the process until the connection is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for who started us, and ends us
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    # torch reads it when it is loaded, which is from here on
    os.environ["OMP_NUM_THREADS"] = str(threads)
    complaints = _Complaints()
    logging.getLogger("mlobs_client").addHandler(complaints)
    with contextlib.suppress(EOFError, ConnectionError):
        while True:
            case = connection.recv()
            complaints.texts.clear()
            try:
                step = _prepare(subject, case, lambda: connection.send("compiling"))
                connection.send(_Prepared("; ".join(dict.fromkeys(complaints.texts))))
                connection.send(_median(step, connection.recv()))
            except MlobsError as error:
                connection.send(error)


class _Complaints(logging.Handler):
    """A handler of warnings about uncompiled networks; the parent shows all others."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.addFilter(logging.Filter("mlobs_client.evaluate.compile"))
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


def _prepare(subject: Subject, case: Case, report: Callable[[], None]) -> Callable[[], None]:
    """Load and compile the networks; return a function that evaluates the next step."""
    from mlobs_client.client.precompile import compile_ahead

    assembly = subject.assemble(case.dtype, case.batch)
    steps = frames(assembly.structure, case.share)
    for structures in steps:
        compile_ahead(structures, assembly.evaluators, report=report)
    return partial(_step, assembly, itertools.cycle(steps))


def _step(assembly: ClientModels, steps: Iterator[Sequence[Structure]]) -> None:
    predict(next(steps), assembly.evaluators, assembly.terms)


def frames(structure: Structure, share: int) -> list[list[Structure]]:
    """Return the structures of consecutive steps: the structure with small random displacements.

    All clients get the same structures, so that they need the same programs.
    """
    random = np.random.default_rng(0)
    moves = MOVEMENT * random.normal(size=(N_FRAMES, share, *structure.positions.shape))
    return [
        [replace(structure, positions=structure.positions + move) for move in moves_of_step]
        for moves_of_step in moves
    ]


def _median(step: Callable[[], None], seconds: float) -> float:
    """Return the median time of a step, s, from steps that last at least ``seconds`` in total."""
    times: list[float] = []
    while len(times) < LEAST_STEPS or sum(times) < seconds:
        begun = time.perf_counter()
        step()
        times.append(time.perf_counter() - begun)
    return statistics.median(times)
