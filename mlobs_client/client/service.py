"""Find the client file that serves each forcefield of an input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mlobs_client.client.config import ClientConfig, Socket
from mlobs_client.client.schedule import Schedule
from mlobs_client.ipi.forcefields import Forcefield
from mlobs_client.ipi.input import PREFIX, IpiInput
from mlobs_client.quantities import QUANTITIES


@dataclass(frozen=True)
class ClientFile:
    """A client file that has been read.

    Attributes:
        path: path of the file.
        config: its content.
        n_processes: number of clients that are started with it.
    """

    path: Path
    config: ClientConfig
    n_processes: int = 1

    @property
    def extras(self) -> frozenset[str]:
        """The keys of the extras that this client sends."""
        return frozenset(self.extras_strides)

    @property
    def extras_strides(self) -> dict[str, int]:
        """The strides of the extras that this client sends, by their keys."""
        observables = self.config.observables
        row = dict.fromkeys(("record_row", "record"), observables.record_stride)
        sent = {QUANTITIES[n].wire_name: observables.strides[n] for n in observables.extras}
        return {**sent, **row} if observables.record else sent

    @property
    def uses_gpu(self) -> bool:
        """True if one of its models has ``device = "cuda"``, which stands for any free GPU."""
        tables = self.config.models.values()
        return any(getattr(table, "device", "cpu") == "cuda" for table in tables)

    @property
    def names_gpu(self) -> bool:
        """True if one of its models runs on a GPU that the file names, such as "cuda:1"."""
        tables = self.config.models.values()
        return any(getattr(table, "device", "cpu").startswith("cuda:") for table in tables)

    @property
    def depends_on_step(self) -> bool:
        """True if the client does not evaluate all its observables at every step."""
        return Schedule(self.config.observables.strides).depends_on_step


Service = Mapping[str, ClientFile]
"""The client files that serve forcefields, by the name of the forcefield."""


def listens(ff: Forcefield, socket: Socket, prefix: str) -> bool:
    """Return whether a client reaches a forcefield.

    Args:
        ff: the forcefield.
        socket: [socket] of the client file.
        prefix: prefix that i-PI adds to the ``<address>`` of unix sockets.
    """
    if ff.mode == "inet" or socket.mode == "inet":
        return ff.mode == socket.mode and ff.port == socket.port
    return prefix + ff.address == unix_path(socket.address)


def unix_path(address: str) -> str:
    """Return the path of the socket that a client opens.

    Args:
        address: ``<address>`` of the socket; a name with a slash is a whole path.
    """
    return address if "/" in address else PREFIX + address


def find_service(ipi: IpiInput, clients: Sequence[ClientFile]) -> dict[str, ClientFile]:
    """Find the client file that serves each forcefield, by the name of the forcefield.

    Args:
        ipi: the input.
        clients: all client files of the run.
    """
    service = {}
    embedded = [ff.name for ff in ipi.forcefields if ff.kind in ("ffdirect", "ffmpi")]
    for client in clients:
        reached = [
            ff.name for ff in ipi.sockets if listens(ff, client.config.socket, ipi.sockets_prefix)
        ]
        for name in reached or embedded:
            service[name] = client
    return service
