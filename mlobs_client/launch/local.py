"""Run i-PI and its clients from start to end, here or on all nodes of an allocation."""

from __future__ import annotations

import contextlib
import logging
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from mlobs_client.check.models import require_trusted_input
from mlobs_client.client.service import ClientFile
from mlobs_client.errors import LaunchError
from mlobs_client.ipi.input import IpiInput
from mlobs_client.launch.address import free_addresses, sockets_of_run
from mlobs_client.launch.backups import back_up, move_renamed
from mlobs_client.launch.checkpoints import set_total_steps
from mlobs_client.launch.drivers import name_drivers, names_all, read_commands
from mlobs_client.launch.folder import alone
from mlobs_client.launch.options import Outcome, RunOptions, Server
from mlobs_client.launch.places import by_srun, on_this_machine
from mlobs_client.launch.progress import Status
from mlobs_client.launch.relay import Relay, opened
from mlobs_client.launch.run_log import RunLog
from mlobs_client.launch.service import check_relayed, check_service, name_clients
from mlobs_client.launch.signals import received_signals
from mlobs_client.launch.supervision import Supervision

logger = logging.getLogger(__name__)


def run(
    ipi: IpiInput,
    clients: Sequence[ClientFile],
    report: Callable[[Status], None],
    options: RunOptions,
) -> Outcome:
    """Run i-PI and its clients until it ends, or until SIGINT or SIGTERM.

    Logs are ``mlobs-run.log``, ``i-pi.log`` and ``NAME-K.log`` beside the input, and ``backups``
    there has what earlier runs left. A client that dies is started again, but not if it never
    reached the server, and not forever after the same error. When i-PI dies, all clients are ended
    within two seconds.

    Args:
        ipi: the input.
        clients: the client files of its forcefields.
        report: called about once a second.
        options: see :class:`~mlobs_client.launch.options.RunOptions`.

    Raises:
        LaunchError: another run works in the folder, an address is in use, a client cannot work,
            or i-PI failed; the message names the reason and the log.
        ModelError: i-PI would load models that are not trusted.
    """
    require_trusted_input(ipi, ipi.path.parent)
    check_service(ipi, clients, others_serve=options.others_serve or bool(options.drivers))
    commands = read_commands(options.drivers, ipi)
    if options.stall is not None and not ipi.writes_steps:
        raise LaunchError(
            f"--stall {options.stall:g}: {ipi.path.name} has no <properties> with 'step', so "
            "steps cannot be seen; add one"
        )
    files = name_clients(ipi, clients)
    places = by_srun(files) if options.srun else on_this_machine(files)
    meets_others = (options.others_serve and not options.listen) or (
        bool(commands) and not names_all(options.drivers, ipi, clients)
    )
    with (
        alone(ipi.path.parent) as lock,
        RunLog(ipi.path.parent, options.words) as log,
        received_signals() as received,
        sockets_of_run(ipi, [] if meets_others else clients) as sockets,
        _relay(ipi, sockets.prefix, options) as relay,
    ):
        if options.extends:  # not before the lock: another run could start meanwhile
            set_total_steps(ipi.path, ipi.total_steps)
        free_addresses(replace(ipi, sockets_prefix=sockets.prefix))
        _back_up_renamed(ipi, log)
        back_up(ipi, [client.path.parent / client.config.structure for client in clients])
        drivers = name_drivers(commands, ipi, sockets.prefix, files)
        mpi_clients = clients if ipi.is_mpi_job else ()
        server = Server(sockets.prefix, (lock, *sockets.locks), mpi_clients, drivers)
        supervised = Supervision(ipi, files, places, options, server, relay)
        try:
            outcome = supervised.watch(received, log.follow(report))
        finally:
            supervised.end()
        try:
            _back_up_renamed(ipi, log)
        except LaunchError as error:  # the run has worked all the same
            logger.warning("%s", error)
        log.say_end(outcome)
        return outcome


def _back_up_renamed(ipi: IpiInput, log: RunLog) -> None:
    for moved in move_renamed(ipi.path.parent):
        log.say(f"what i-PI had renamed is kept in {moved}")


@contextlib.contextmanager
def _relay(ipi: IpiInput, prefix: str, options: RunOptions) -> Iterator[Relay | None]:
    """Listen for clients on other machines, if the options ask for it."""
    host = options.listen or (socket.gethostname() if options.srun else None)
    if host is None:
        yield None
        return
    check_relayed(ipi)
    with opened(Relay(host, [ff.address for ff in ipi.sockets], prefix), ipi.path.parent) as relay:
        if options.listen is None and relay.rendezvous.host.startswith("127."):
            logger.warning(
                "%s is %s, which other machines cannot reach; give one that they can with --listen",
                host,
                relay.rendezvous.host,
            )
        yield relay
