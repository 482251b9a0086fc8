"""Assign client files to the sockets of a run, and refuse sockets that no client serves."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence

from mlobs_client.client.counting import find_obstacle
from mlobs_client.client.service import ClientFile, find_service
from mlobs_client.errors import LaunchError
from mlobs_client.ipi.input import IpiInput
from mlobs_client.launch import mpi


def name_clients(ipi: IpiInput, clients: Sequence[ClientFile]) -> dict[str, ClientFile]:
    """Name the processes to start, FILE-0, FILE-1 ... for each file that serves a socket."""
    service = find_service(ipi, clients)
    served = [service[ff.name] for ff in ipi.sockets if ff.name in service]
    named: dict[str, ClientFile] = {}
    for client in clients:
        for _ in range(client.n_processes if client in served else 0):
            names = (f"{client.path.stem}-{i}" for i in itertools.count())
            named[next(name for name in names if name not in named)] = client
    return named


def find_counting(ipi: IpiInput, files: Mapping[str, ClientFile]) -> frozenset[str]:
    """Find the processes that need the step of i-PI and can count it.

    Args:
        ipi: the input.
        files: the client file of each process, by its name.
    """
    service = find_service(ipi, list(files.values()))
    n_processes = Counter(client.path for client in files.values())  # a file may be given twice
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


def check_service(ipi: IpiInput, clients: Sequence[ClientFile], *, others_serve: bool) -> None:
    """Refuse a run in which i-PI would wait for a client forever.

    Raises:
        LaunchError: no client file serves a socket.
    """
    if ipi.is_mpi_job:
        mpi.check(ipi, clients)
    if others_serve:
        return
    service = find_service(ipi, clients)
    for ff in ipi.sockets:
        if ff.name not in service or service[ff.name].n_processes == 0:
            raise LaunchError(
                f"no client would serve <ffsocket name='{ff.name}'> ({ff.mode} {ff.address!r}), "
                "and i-PI would wait forever; give its client file as well, with -n 1 or more, or "
                "--others-serve if another program serves it"
            )


def check_relayed(ipi: IpiInput) -> None:
    """Refuse sockets that clients on other machines cannot reach.

    Raises:
        LaunchError: a socket is not a unix socket.
    """
    for ff in ipi.sockets:
        if ff.mode != "unix":
            raise LaunchError(
                f"<ffsocket name='{ff.name}'> has mode='{ff.mode}': only unix sockets can be "
                "relayed to clients on other machines; write mode='unix' in "
                f"{ipi.path.name} and in [socket] of the client file"
            )
