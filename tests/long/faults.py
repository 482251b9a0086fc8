"""``make faults``: what a run does when something breaks, in the middle of it.

Each fault is one ``mlobs run`` with the real i-PI and real clients, which are hurt when some step
has been reached. Numbers are compared with those of the same run, where nothing happens. The value
of a figure is the time from the fault until there are steps again, or until all have ended with an
error. A run that hangs is ended, and its figure does not hold.

``python faults.py`` tries all and writes the results; ``python faults.py NAME`` tries one.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import faults_of_clients as clients
import faults_of_files as files
import faults_of_networks as networks
import faults_of_servers as servers
import faults_of_storms as storms
from launched import Failure, Undisturbed
from report import Figure, run
from seen import Seen

Fault = Callable[[Path, Undisturbed], Seen]

FAULTS: tuple[Fault, ...] = (
    clients.client_killed,
    clients.only_client_killed,
    clients.all_clients_killed,
    clients.client_unread_request,
    clients.client_stopped,
    clients.client_stopped_with_timeout,
    clients.only_client_stopped_for_longer_than_the_timeout,
    clients.client_slow,
    clients.client_returns_nan,
    clients.client_returns_wrong_size,
    clients.client_out_of_memory,
    clients.client_out_of_memory_in_a_cgroup,
    clients.foreign_nan,
    clients.foreign_wrong_size,
    clients.foreign_garbage,
    clients.foreign_half_message,
    servers.server_killed,
    servers.server_terminated,
    servers.server_stopped,
    servers.run_killed,
    servers.only_ipi_left,
    servers.everything_killed,
    servers.run_interrupted,
    servers.killed_while_it_stops,
    servers.exit_file,
    servers.restart_cut,
    servers.stale_socket,
    servers.stale_rendezvous,
    servers.two_runs_of_one_name,
    servers.two_servers_of_one_port,
    servers.malformed_header,
    servers.oversized_message,
    servers.oversized_init,
    servers.server_vanishes_in_a_message,
    networks.network_cut_shortly,
    networks.network_cut,
    networks.connection_reset,
    files.record_disk_full,
    files.whole_disk_full,
    files.disk_read_only,
    files.model_replaced,
    files.model_replaced_and_client_killed,
    files.model_cut,
    storms.storms,
)
WHY_NOT: dict[Fault, Callable[[], str]] = {
    clients.client_out_of_memory_in_a_cgroup: clients.why_no_cgroup,
    networks.network_cut_shortly: networks.why_no_namespaces,
    networks.network_cut: networks.why_no_namespaces,
    networks.connection_reset: networks.why_no_namespaces,
    files.record_disk_full: files.why_no_mounts,
    files.whole_disk_full: files.why_no_mounts,
    files.disk_read_only: files.why_no_mounts,
}
"""Those that not every machine lets us make."""


def attempt(fault: Fault, folder: Path, undisturbed: Undisturbed) -> list[Figure]:
    """Try one; it fails if its run hangs, ends otherwise than it should, or loses what it has."""
    begun = time.monotonic()
    name = (fault.__doc__ or "").strip()
    try:
        seen = fault(folder, undisturbed)
    except Exception as error:  # whatever it is, the others are tried, too
        words = str(error) if isinstance(error, Failure) else f"{type(error).__name__}: {error}"
        seen = Seen(words, time.monotonic() - begun, "not known", False)
    happened = seen.happened.replace("|", "/").replace("\n", " ")
    return [Figure(name, seen.seconds, None, "s", f"{happened}; lost: {seen.lost}", seen.passed)]


def possible() -> dict[str, Fault]:
    """All faults that can be made on this machine, by name; says why others cannot."""
    found = {}
    for fault in FAULTS:
        if reason := WHY_NOT[fault]() if fault in WHY_NOT else "":
            print(f"{fault.__name__} is left out: {reason}")
        else:
            found[fault.__name__] = fault
    return found


def main() -> int:
    """Try all; 1 if something does not hold."""
    with tempfile.TemporaryDirectory() as scratch:
        undisturbed = Undisturbed(Path(scratch, "undisturbed"))
        studies = {
            name: partial(attempt, fault, Path(scratch, name), undisturbed)
            for name, fault in possible().items()
        }
        return run("faults", studies)


if __name__ == "__main__":
    sys.exit(main())
