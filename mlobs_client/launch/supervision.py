"""Watch i-PI and its clients, and restart those that crash or hang as long as that helps."""

from __future__ import annotations

import contextlib
import logging
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from mlobs_client.client.service import ClientFile
from mlobs_client.errors import ConfigError, LaunchError
from mlobs_client.ipi import input as ipi_input
from mlobs_client.ipi.input import IpiInput
from mlobs_client.launch import exit_file, mpi
from mlobs_client.launch.address import free_addresses, is_listening
from mlobs_client.launch.backups import BLOWN_UP, set_aside
from mlobs_client.launch.checkpoints import find_newest, stamps_of
from mlobs_client.launch.crashes import CrashCounter
from mlobs_client.launch.ending import Ending, find_full_disk, last_error, read_ending
from mlobs_client.launch.heartbeat import Heartbeat
from mlobs_client.launch.input_files import InputFiles
from mlobs_client.launch.options import Outcome, RunOptions, Server
from mlobs_client.launch.parent_death_signal import with_parent_death_signal
from mlobs_client.launch.places import Placement
from mlobs_client.launch.processes import SRUN, Child, find_program, search_path
from mlobs_client.launch.progress import Progress, Status
from mlobs_client.launch.relay import FILE, Relay
from mlobs_client.launch.service import find_counting
from mlobs_client.launch.stamps import is_new

logger = logging.getLogger(__name__)

POLL_INTERVAL: Final = 0.2  # seconds between two looks at the children
REPORT_INTERVAL: Final = 1.0
SERVER_PATIENCE: Final = 30.0  # for the RESTART of a large system
CLIENT_PATIENCE: Final = 1.5  # a server that dies ends all within two seconds
STEP_PATIENCE: Final = 5.0  # for Slurm, to end a step
EXIT_GRACE: Final = 10.0  # between EXIT to a client and the end of i-PI
MAX_SILENCES: Final = 3  # in a row; the clients are replaced at each
CONNECTED: Final = "connected to the i-PI server"  # said by `mlobs client -v`
# A client that is killed before it has read its request resets the connection. In i-PI 3.3.1
# that ends the thread which talks to clients (sockets.py, _recv_forces_bulk), not the process.
POLL_THREAD_DIED: Final = "Exception in thread poll_"


class Supervision:
    """Starts i-PI and its clients, and restarts them if they crash or hang.

    Args:
        ipi: the input.
        files: the client file of each process, by its name.
        places: GPU or node of each process, by its name.
        options: options of the run.
        server: the way in which i-PI is started.
        relay: listens for clients on other machines; None without them.

    Raises:
        LaunchError: i-PI cannot be started.
    """

    def __init__(
        self,
        ipi: IpiInput,
        files: Mapping[str, ClientFile],
        places: Mapping[str, Placement],
        options: RunOptions,
        server: Server,
        relay: Relay | None,
    ) -> None:
        self._ipi = ipi
        self._options = options
        self._how = server
        self._relay = relay
        self._drivers = server.drivers
        self._folder = ipi.path.parent
        self._files = files
        self._input_files = InputFiles(files.values())
        self._places = places
        self._before = stamps_of(ipi)
        self._progress = Progress(ipi)
        self._last_cool = ipi.step  # the last step that was not too hot
        self._crashes = CrashCounter()
        self._heartbeat = Heartbeat(options.stall)
        self._silences: list[int] = []  # how many steps had been made, for each
        self._left: dict[str, float] = {}  # when i-PI had said EXIT to a client
        self._clients: dict[str, Child] = {}
        self._server = self._start_server(ipi.path.name)

    def watch(
        self, received: Sequence[signal.Signals], report: Callable[[Status], None]
    ) -> Outcome:
        """Start the clients, and watch all processes until i-PI ends or a signal is received.

        Raises:
            LaunchError: the simulation exploded, a process crashes again and again, or i-PI failed.
        """
        next_report = 0.0
        self._start_clients(self._ipi.step)
        while self._server.status is None and not received:
            try:
                self._look_after_clients()
                if time.monotonic() >= next_report:
                    next_report = time.monotonic() + REPORT_INTERVAL
                    self._look_after_server()
                    status = self._progress.read(self._count_clients())
                    report(status)
                    self._look_at_progress(status)
            except (LaunchError, OSError) as error:
                self._stop_server()
                raise LaunchError(f"{error}{self._advice()}") from error
            self._server.wait(POLL_INTERVAL)
        if received:
            self._stop_server()
        try:
            report(self._progress.read(self._count_clients()))
            return self._judge_end(received[0] if received else None)
        except OSError as error:  # a log that is gone, a terminal that was closed
            raise LaunchError(f"{error}{self._advice()}") from error

    def end(self) -> None:
        """End all processes that still run."""
        if self._server.status is None:
            self._server.end(0.0)
        self._end_clients()

    def _stop_server(self) -> None:
        """Let i-PI end with a RESTART.

        A signal would not do: a batch system may have sent one already, and at the second one i-PI
        quits without a RESTART.
        """
        with contextlib.suppress(LaunchError):  # then a signal must do
            exit_file.make(self._folder)
            self._server.wait(SERVER_PATIENCE)
        self._server.end(SERVER_PATIENCE)
        with contextlib.suppress(OSError):
            exit_file.remove(self._folder)

    def _end_clients(self) -> None:
        if self._relay is not None:
            self._relay.drop_all()
        if self._options.srun:  # which kills at SIGTERM what would end by itself
            self._wait_for_clients(STEP_PATIENCE)
        for client in self._clients.values():
            if client.status is None:
                client.terminate()
        self._wait_for_clients(CLIENT_PATIENCE)
        for client in self._clients.values():
            client.end(0.0)

    def _wait_for_clients(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        for client in self._clients.values():
            client.wait(max(0.0, deadline - time.monotonic()))

    def _start_server(self, file: str) -> Child:
        command = [find_program("i-pi", "ipi"), "-S", self._how.prefix, file]
        environment = {}
        for driver in self._how.mpi_clients:
            command = mpi.command(self._ipi, driver, command)
            environment = {"OMP_NUM_THREADS": str(driver.config.threads)}
        return Child(
            "i-pi",
            with_parent_death_signal(command),
            self._folder,
            environment,
            inherited=self._how.locks,
        )

    def _start_clients(self, step: int) -> None:
        """Start all clients for an i-PI that starts from this step."""
        meets_others = self._options.others_serve or self._options.listen is not None
        counting = frozenset() if meets_others else find_counting(self._ipi, self._files)
        self._clients.clear()
        for name in self._files:
            self._clients[name] = self._start_client(name, step if name in counting else None)

    def _start_drivers(self) -> None:
        """Start drivers of other programs, which do not wait for i-PI, as soon as it listens."""
        missing = [name for name in self._drivers if name not in self._clients]
        if missing and is_listening(replace(self._ipi, sockets_prefix=self._how.prefix)):
            for name in missing:
                words = self._drivers[name]
                path = {"PATH": search_path()}
                self._clients[name] = Child(name, words, self._folder, path, with_group=True)

    def _start_client(self, name: str, step: int | None = None) -> Child:
        self._input_files.check_unchanged()
        client, place = self._files[name], self._places[name]
        command = [sys.executable, "-m", "mlobs_client", "client", str(client.path.absolute())]
        counted = [] if step is None else ["--step", str(step)]
        options = ["--verbose", *self._way_to_ipi(), *counted, "--name", name]
        environment = {**place.environment, "OMP_NUM_THREADS": str(client.config.threads)}
        return Child(name, [*place.words, *command, *options], self._folder, environment)

    def _way_to_ipi(self) -> list[str]:
        if self._relay is None or not self._options.srun:
            return ["--sockets-prefix", self._how.prefix]
        file = (self._folder / FILE).resolve()
        return ["--join", str(file), "--run", self._relay.rendezvous.run]

    def _count_clients(self) -> int:
        return sum(client.status is None for client in self._clients.values())

    def _look_after_clients(self) -> None:
        self._start_drivers()
        for name, client in list(self._clients.items()):
            if client.status is None or not self._is_missed(name, client):
                continue
            if self._server.wait(1.0):  # its clients notice its death before we do
                return
            self._handle_exit(client)
            del self._clients[name]
            if name in self._files:
                self._clients[name] = self._start_client(name)

    def _is_missed(self, name: str, client: Child) -> bool:
        """Return whether a client has ended before i-PI.

        i-PI sends EXIT when it ends, but also to a client that did not reply within its
        <timeout>; it then continues without that client.
        """
        if client.status != 0:
            return True
        if time.monotonic() - self._left.setdefault(name, time.monotonic()) < EXIT_GRACE:
            return False
        del self._left[name]
        return True

    def _look_after_server(self) -> None:
        """Continue from a RESTART if i-PI lives but has stopped talking to clients."""
        said = self._server.said()
        if POLL_THREAD_DIED not in said:
            return
        words = f"i-PI lost the thread that talks to clients ({last_error(said)})"
        self._crashes.count(words, self._server.log, self._n_steps, is_error=False)
        self._stop_server()
        self._end_clients()
        restart = self._restart
        if restart is None:
            raise LaunchError(f"{words} and left no RESTART (log: {self._server.log})")
        logger.warning("%s: continuing from %s; log: %s", words, restart, self._server.log)
        free_addresses(replace(self._ipi, sockets_prefix=self._how.prefix))
        self._server = self._start_server(restart.name)
        self._start_clients(ipi_input.read(restart).step)

    def _look_at_progress(self, status: Status) -> None:
        """End a run that has exploded; restart the clients of a run that hangs."""
        limit = self._options.max_temperature
        if status.temperature is not None and not status.temperature <= limit:
            self._stop_server()
            if (restart := self._restart) is not None:  # no run shall continue from it
                restart.replace(restart.with_name(BLOWN_UP))
            set_aside(self._ipi, beyond=self._last_cool)
            raise LaunchError(
                f"the temperature is {status.temperature:.2g} K at step {status.step}, more than "
                f"--max-temperature {limit:g}: the simulation has blown up; look at <timestep>, "
                f"the last frames and {BLOWN_UP}, where it stopped"
            )
        self._last_cool = status.step or self._last_cool
        self._heartbeat.beat(status.step)
        if self._is_loading():
            self._heartbeat.reset_timer()
        if (silence := self._heartbeat.silence) is not None:
            self._replace_clients(silence)

    def _is_loading(self) -> bool:
        """Return whether a forcefield still waits for clients that are loading their models.

        Clients of other programs are known to be connected only after the first step.
        """
        if not self._files:
            return self._heartbeat.n_steps == 0
        connected = {
            self._files[name].path
            for name, client in self._clients.items()
            if name in self._files and client.has_said(CONNECTED)
        }
        return any(file.path not in connected for file in self._files.values())

    def _replace_clients(self, silence: float) -> None:
        """Restart all clients: one has stopped answering, and i-PI does not tell which."""
        n_steps = self._heartbeat.n_steps
        words = f"no step for {silence:.0f} s"
        if not self._clients:
            raise LaunchError(f"{words}, and there are no clients of this run to restart")
        self._silences.append(n_steps)
        if self._silences.count(n_steps) >= MAX_SILENCES:
            raise LaunchError(
                f"{words}, {MAX_SILENCES} times in a row, although all clients were replaced; see "
                f"{self._server.log}, or allow more time with --stall"
            )
        logger.warning("%s: all clients are replaced; --stall sets how long to wait", words)
        self._end_clients()
        self._clients.clear()
        for name in self._files:
            self._clients[name] = self._start_client(name)
        self._heartbeat.reset_timer()

    def _advice(self) -> str:
        """Name the checkpoint from which a failed run can continue."""
        try:
            newest = find_newest(self._ipi, self._before)
        except ConfigError as error:
            return f"; {error}"
        if newest is None:
            return ""
        return (
            f"; to resume from {newest.path} (step {newest.step}), remove the cause, and add "
            "--resume to 'mlobs run'"
        )

    @property
    def _n_steps(self) -> int | None:
        """Number of steps seen; None if no output shows them."""
        return self._heartbeat.n_steps if self._ipi.writes_steps else None

    @property
    def _restart(self) -> Path | None:
        """The RESTART that this run has written, if any."""
        path = self._folder / "RESTART"
        return path if is_new(path, self._before) else None

    def _handle_exit(self, client: Child) -> None:
        if client.name in self._drivers:
            words = f"{client.name} ended before i-PI: {client.last_line}"
            self._crashes.count(words, client.log, self._n_steps, is_error=client.status != 0)
            logger.warning("%s; it is started again; log: %s", words, client.log)
            return
        if client.status == 0:
            logger.warning(
                "i-PI has sent %s away, which was silent for longer than the <timeout> of its "
                "<ffsocket>: it is started again; log: %s",
                client.name,
                client.log,
            )
            return
        words = client.last_line.removeprefix("mlobs: error: ")
        is_error = client.status == 1 and not words.startswith(SRUN)
        if is_error and not client.has_said(CONNECTED):
            raise LaunchError(f"{client.name} cannot start: {words} (log: {client.log})")
        self._crashes.count(words, client.log, self._n_steps, is_error=is_error)
        logger.warning("%s died (%s) and is started again; log: %s", client.name, words, client.log)

    def _judge_end(self, received: signal.Signals | None) -> Outcome:
        status = self._server.status or 0
        if self._ipi.is_mpi_job and status > 0:
            status = 0  # i-PI 3.3.1 leaves MPI without a word, and mpirun then ends all the others
        ending, reason = read_ending(self._server.said(), status)
        restart = self._restart
        if received is not None:
            return Outcome(Ending.STOPPED, received.name, received, restart)
        if ending is Ending.FAILED:
            raise LaunchError(
                f"i-PI ended: {reason} (log: {self._server.log}){find_full_disk(self._folder)}"
                f"{self._advice()}"
            )
        return Outcome(ending, reason, None, restart)
