"""One i-PI and N clients on this machine, from start to end."""

from __future__ import annotations

import contextlib
import itertools
import logging
import shutil
import signal
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from mlobs_client.check import ipi_input
from mlobs_client.check.agreement import ClientFile, find_service
from mlobs_client.check.counting import find_obstacle
from mlobs_client.check.ipi_input import IpiInput
from mlobs_client.errors import LaunchError
from mlobs_client.launch.address import free_addresses, sockets_prefix
from mlobs_client.launch.checkpoints import find_newest, set_aside
from mlobs_client.launch.ending import Ending, last_error, read_ending
from mlobs_client.launch.locks import hold
from mlobs_client.launch.processes import Child
from mlobs_client.launch.progress import Progress, Status
from mlobs_client.launch.signals import received_signals

logger = logging.getLogger(__name__)

EXIT: Final = "EXIT"  # i-PI ends when a file of this name is in its folder
LOG: Final = "i-pi.log"
PAUSE: Final = 0.2  # seconds between two looks at the children
PAUSE_OF_REPORTS: Final = 1.0
SERVER_PATIENCE: Final = 30.0  # for the RESTART of a large system
CLIENT_PATIENCE: Final = 1.5  # a server that dies ends all within two seconds
FAREWELL: Final = 60.0  # between EXIT to the clients and the end of i-PI
MAX_DEATHS: Final = 5  # of clients, with the same last words within ...
DEATHS_WINDOW: Final = 120.0  # ... seconds
EXPLODED: Final = 1e5  # K: no molecules any more
CONNECTED: Final = "connected to the i-PI server"  # said by `mlobs client -v`
# A client that is killed before it has read its request resets the connection. In i-PI 3.3.1
# that ends the thread which talks to clients (sockets.py, _recv_forces_bulk), not the process.
DEAF: Final = "Exception in thread poll_"


@dataclass(frozen=True)
class Outcome:
    """How a run ended, when it did not fail.

    Attributes:
        ending: finished or stopped.
        reason: why it stopped, in i-PI's words.
        signal: that stopped it, if any.
        restart: the RESTART that this run wrote, if any.
    """

    ending: Ending
    reason: str
    signal: signal.Signals | None
    restart: Path | None


def run(
    ipi: IpiInput,
    clients: Sequence[ClientFile],
    n_clients: int,
    report: Callable[[Status], None],
    *,
    others_serve: bool = False,
) -> Outcome:
    """Run i-PI and its clients until it ends, or until SIGINT or SIGTERM.

    Logs are ``i-pi.log`` and ``NAME-K.log`` beside the input. A client that dies is started
    again; not if it never reached the server, nor for ever with the same error. When i-PI dies,
    all clients are ended within two seconds.

    Args:
        ipi: the input.
        clients: the client files of its forcefields.
        n_clients: processes for each client file.
        report: called about every second.
        others_serve: sockets without a client file are served by other programs.

    Raises:
        LaunchError: an address is in use, a client cannot work, or i-PI failed; the text has the
            reason and the log.
    """
    _check_service(ipi, clients, n_clients, others_serve=others_serve)
    exit_file = ipi.path.parent / EXIT
    if exit_file.exists():
        raise LaunchError(f"{exit_file} would stop i-PI at once; remove it")
    files = _name_clients(ipi, clients, n_clients)
    meets_no_others = [] if others_serve else list(files.values())
    with (
        _alone(ipi.path.parent) as lock,
        received_signals() as received,
        sockets_prefix(ipi, meets_no_others) as prefix,
    ):
        free_addresses(replace(ipi, sockets_prefix=prefix))
        if ipi.step == 0:
            set_aside(ipi)
        local = _LocalRun(ipi, files, prefix, lock)
        try:
            return local.watch(received, report)
        finally:
            local.end()


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[int]:
    """Keep other runs out of a folder: they would write to the same files, and stop each other.

    Yields the descriptor of the lock. i-PI inherits it, for it may outlive us.
    """
    with hold(folder / LOG) as lock:
        if lock is None:
            raise LaunchError(
                f"another 'mlobs run' works in {folder.resolve()}, or the i-PI of one that was "
                "killed; wait for its end, or copy the inputs to a folder of their own"
            )
        yield lock


class _LocalRun:
    def __init__(
        self, ipi: IpiInput, files: Mapping[str, ClientFile], prefix: str, lock: int
    ) -> None:
        self._ipi = ipi
        self._lock = lock
        self._prefix = prefix
        self._folder = ipi.path.parent
        self._files = files
        self._since = time.time()
        self._deaths: deque[tuple[float, str]] = deque()
        self._all_left: float | None = None
        self._exploded = False
        self._clients: dict[str, Child] = {}
        self._server = self._start_server(ipi.path.name)

    def watch(
        self, received: Sequence[signal.Signals], report: Callable[[Status], None]
    ) -> Outcome:
        progress = Progress(self._ipi)
        next_report = 0.0
        self._start_clients(self._ipi.step)
        while self._server.status is None and not received:
            try:
                self._look_after_clients()
                if time.monotonic() >= next_report:
                    next_report = time.monotonic() + PAUSE_OF_REPORTS
                    self._look_after_server()
                    self._report(progress, report)
            except LaunchError as error:
                self._stop_server()
                raise LaunchError(f"{error}{self._advice()}") from error
            self._server.wait(PAUSE)
        if received:
            self._stop_server()
        self._report(progress, report)
        return self._judge_end(received[0] if received else None)

    def end(self) -> None:
        """End whatever still runs."""
        if self._server.status is None:
            self._server.end(0.0)
        self._end_clients()

    def _stop_server(self) -> None:
        """Let i-PI finish with a RESTART.

        Not by a signal: a batch system may have sent one already, and i-PI takes the second as
        an order to leave everything and go.
        """
        exit_file = self._folder / EXIT
        exit_file.touch()
        try:
            if not self._server.wait(SERVER_PATIENCE):
                self._server.end(SERVER_PATIENCE)
        finally:
            exit_file.unlink(missing_ok=True)

    def _end_clients(self) -> None:
        for client in self._clients.values():
            if client.status is None:
                client.terminate()
        deadline = time.monotonic() + CLIENT_PATIENCE
        for client in self._clients.values():
            client.end(max(0.0, deadline - time.monotonic()))

    def _start_server(self, file: str) -> Child:
        command = [find_ipi(), "-S", self._prefix, file]
        return Child("i-pi", command, self._folder, inherited=[self._lock])

    def _start_clients(self, step: int) -> None:
        """Start all clients of an i-PI that starts from this step."""
        counting = find_counting(self._ipi, self._files)
        for name in self._files:
            self._clients[name] = self._start_client(name, step if name in counting else None)

    def _start_client(self, name: str, step: int | None = None) -> Child:
        client = self._files[name]
        command = [sys.executable, "-m", "mlobs_client", "client", str(client.path.resolve())]
        counted = [] if step is None else ["--step", str(step)]
        options = ["--verbose", "--sockets-prefix", self._prefix, *counted, "--name", name]
        return Child(name, [*command, *options], self._folder, client.config.threads)

    def _count_clients(self) -> int:
        return sum(client.status is None for client in self._clients.values())

    def _look_after_clients(self) -> None:
        for name, client in self._clients.items():
            if client.status in (None, 0):  # 0: the server has said EXIT
                continue
            if self._server.wait(1.0):  # its clients notice its death before we do
                return
            self._judge_death(client)
            self._clients[name] = self._start_client(name)
        if self._clients and self._count_clients() == 0:
            self._all_left = self._all_left or time.monotonic()
            if time.monotonic() - self._all_left > FAREWELL:
                raise LaunchError(
                    f"i-PI said EXIT to all clients {FAREWELL:g} s ago and has not ended; "
                    f"see the end of {self._server.log}"
                )

    def _look_after_server(self) -> None:
        """Go on from a RESTART where i-PI lives but has stopped to talk to clients."""
        said = self._server.said()
        if DEAF not in said:
            return
        words = f"i-PI lost the thread that talks to clients ({last_error(said)})"
        self._count_death(words, self._server.log)
        self._stop_server()
        self._end_clients()
        restart = self._restart
        if restart is None:
            raise LaunchError(f"{words} and left no RESTART (log: {self._server.log})")
        logger.warning("%s: going on from %s; log: %s", words, restart, self._server.log)
        free_addresses(replace(self._ipi, sockets_prefix=self._prefix))
        self._server = self._start_server(restart.name)
        self._start_clients(ipi_input.read(restart).step)

    def _report(self, progress: Progress, report: Callable[[Status], None]) -> None:
        """Say how far the run is, and once, that it makes no sense any more."""
        status = progress.read(self._count_clients())
        report(status)
        if self._exploded or status.temperature is None or status.temperature < EXPLODED:
            return
        self._exploded = True
        logger.warning(
            "the temperature is %.2g K at step %s: the simulation has blown up; look at <timestep> "
            "and at the last frames, and end it with Ctrl-C",
            status.temperature,
            status.step,
        )

    def _advice(self) -> str:
        """From what a run that failed can go on."""
        newest = find_newest(self._ipi, self._since)
        if newest is None:
            return ""
        return (
            f"; resume from {newest.path} (step {newest.step}), after you have removed the reason: "
            "add --resume to 'mlobs run'"
        )

    @property
    def _restart(self) -> Path | None:
        """The RESTART that this run has written."""
        path = self._folder / "RESTART"
        written = path.exists() and path.stat().st_mtime >= self._since - 1.0
        return path if written else None

    def _judge_death(self, client: Child) -> None:
        words = client.last_words.removeprefix("mlobs: error: ")
        if client.status == 1 and CONNECTED not in client.said():
            raise LaunchError(f"{client.name} cannot start: {words} (log: {client.log})")
        self._count_death(words, client.log)
        logger.warning("%s died (%s) and is started again; log: %s", client.name, words, client.log)

    def _count_death(self, words: str, log: Path) -> None:
        now = time.monotonic()
        self._deaths.append((now, words))
        while now - self._deaths[0][0] > DEATHS_WINDOW:
            self._deaths.popleft()
        n_same = sum(said == words for _, said in self._deaths)
        if n_same >= MAX_DEATHS:
            raise LaunchError(f"died {n_same} times in {DEATHS_WINDOW:g} s: {words} (log: {log})")

    def _judge_end(self, received: signal.Signals | None) -> Outcome:
        ending, reason = read_ending(self._server.said(), self._server.status or 0)
        restart = self._restart
        if received is not None:
            return Outcome(Ending.STOPPED, received.name, received, restart)
        if ending is Ending.FAILED:
            raise LaunchError(f"i-PI ended: {reason} (log: {self._server.log}){self._advice()}")
        return Outcome(ending, reason, None, restart)


def find_ipi() -> str:
    """Return the path of ``i-pi``: beside the running Python, else anywhere on the PATH.

    Raises:
        LaunchError: it is not installed.
    """
    beside = Path(sys.executable).with_name("i-pi")
    found = str(beside) if beside.exists() else shutil.which("i-pi")
    if found is None:
        raise LaunchError(
            f"the command i-pi is neither beside {sys.executable} nor on the PATH; "
            "install it with: pip install ipi"
        )
    return found


def _name_clients(
    ipi: IpiInput, clients: Sequence[ClientFile], n_clients: int
) -> dict[str, ClientFile]:
    """Name the processes to start: FILE-0, FILE-1 ... for each file that serves a socket."""
    service = find_service(ipi, clients)
    served = [service[ff.name] for ff in ipi.sockets if ff.name in service]
    named: dict[str, ClientFile] = {}
    for client in clients:
        for _ in range(n_clients if client in served else 0):
            names = (f"{client.path.stem}-{i}" for i in itertools.count())
            named[next(name for name in names if name not in named)] = client
    return named


def find_counting(ipi: IpiInput, files: Mapping[str, ClientFile]) -> frozenset[str]:
    """Find the processes that can count the steps of i-PI, and have a use for it.

    Args:
        ipi: the input.
        files: the client file of each process, by its name.
    """
    service = find_service(ipi, list(files.values()))
    n_processes = Counter(client.path for client in files.values())
    return frozenset(
        name
        for name, client in files.items()
        if client.depends_on_step
        and all(
            find_obstacle(ipi, ff, n_processes[client.path]) is None
            for ff in ipi.forcefields
            if service.get(ff.name) == client
        )
    )


def _check_service(
    ipi: IpiInput, clients: Sequence[ClientFile], n_clients: int, *, others_serve: bool
) -> None:
    """Refuse what would let i-PI wait for ever."""
    if any(ff.kind == "ffmpi" for ff in ipi.forcefields):
        raise LaunchError(
            f"{ipi.path.name} has an <ffmpi>, which needs one MPI job; start it with: mpirun -n 1 "
            f"i-pi {ipi.path.name} : -n 2 i-pi-driver-py --mpi -m custom -P mlobs_pes.py "
            "-o client=client.toml"
        )
    if others_serve:
        return
    service = find_service(ipi, clients)
    for ff in ipi.sockets:
        if ff.name not in service or n_clients == 0:
            raise LaunchError(
                f"nobody would serve <ffsocket name='{ff.name}'> ({ff.mode} {ff.address!r}), and "
                "i-PI would wait for ever; give its client file too, with -n 1 or more, or say "
                "--others-serve if another program does"
            )
