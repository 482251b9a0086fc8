"""Choose where i-PI listens, and free addresses that dead servers have left behind."""

from __future__ import annotations

import contextlib
import errno
import logging
import socket
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mlobs_client.client.service import ClientFile
from mlobs_client.errors import LaunchError
from mlobs_client.ipi.forcefields import Forcefield
from mlobs_client.ipi.input import IpiInput
from mlobs_client.launch import socket_folders

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sockets:
    """The location of the unix sockets of a run.

    Attributes:
        prefix: string that i-PI and its clients put before their addresses.
        locks: descriptors of the lock files that i-PI holds for as long as it listens there.
    """

    prefix: str
    locks: tuple[int, ...] = ()


@contextlib.contextmanager
def sockets_of_run(ipi: IpiInput, clients: Sequence[ClientFile]) -> Iterator[Sockets]:
    """Choose the location of the unix sockets of i-PI and its clients.

    It is a folder that only its owner can enter, made for this run and removed after it, so that
    runs with the same addresses do not interfere. Its name begins with i-PI's default prefix, since
    some programs always put that before an address. The location is that of the input if a client
    file has an absolute path, or if forcefields are nested: i-PI 3.3.1 does not pass its option -S
    on to them.

    Args:
        ipi: the input.
        clients: all client files of the run.

    Raises:
        LaunchError: no folder can be made.
    """
    names = [one.config.socket.address for one in clients if one.config.socket.mode == "unix"]
    if not names or ipi.is_composed or any("/" in name for name in names):
        yield Sockets(ipi.sockets_prefix)
        return
    with socket_folders.made() as (folder, lock):
        yield Sockets(f"{folder}/", (lock,))


def is_listening(ipi: IpiInput) -> bool:
    """Return whether i-PI listens on the addresses of all its sockets."""
    return all(_is_open(ff, ipi.sockets_prefix) for ff in ipi.sockets)


def _is_open(ff: Forcefield, prefix: str) -> bool:
    if ff.mode != "inet":
        return Path(prefix + ff.address).exists()
    try:
        _try_to_listen(ff)
    except OSError as error:
        return error.errno == errno.EADDRINUSE
    return False


def free_addresses(ipi: IpiInput) -> None:
    """Check the address of every socket, and remove socket files that a dead server left.

    Raises:
        LaunchError: another process listens there, or the address cannot be used.
    """
    for ff in ipi.sockets:
        if ff.mode == "inet":
            _check_port(ff, ipi)
        else:
            _free_unix(ff, ipi)


def _free_unix(ff: Forcefield, ipi: IpiInput) -> None:
    path = Path(ipi.sockets_prefix + ff.address)
    other = f"choose another <address> in {ipi.path.name} and in [socket] of the client file"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except FileNotFoundError:
            return
        except ConnectionRefusedError:
            _remove(path, other)
            return
        except OSError as error:
            raise LaunchError(f"i-PI cannot listen on {path}: {error}; {other}") from error
        who = _describe_listener(probe)
    raise LaunchError(
        f"the address {ff.address!r} ({path}) is in use by {who}, perhaps the i-PI of a run that "
        f"was killed: end it, or {other}"
    )


def _remove(path: Path, other: str) -> None:
    try:
        path.unlink()
    except OSError as error:
        raise LaunchError(
            f"{path} was left by a server that is gone, and cannot be removed: {error}; {other}"
        ) from error
    logger.warning("removed %s, which was left by a server that is gone", path)


def _describe_listener(probe: socket.socket) -> str:
    if not hasattr(socket, "SO_PEERCRED"):  # Linux has it
        return "another server"
    credentials = probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return f"process {struct.unpack('3i', credentials)[0]}"


def _check_port(ff: Forcefield, ipi: IpiInput) -> None:
    try:
        _try_to_listen(ff)
    except OSError as error:
        raise LaunchError(_describe_port(ff, ipi, error)) from error


def _try_to_listen(ff: Forcefield) -> None:
    """Listen as i-PI does: IPv4, with SO_REUSEADDR."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((ff.address, ff.port))
        probe.listen()  # a second bind succeeds under SO_REUSEADDR, a second listen does not


def _describe_port(ff: Forcefield, ipi: IpiInput, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"port {ff.port} of {ff.address!r} is in use by another server; choose another <port> "
            f"in {ipi.path.name} and in [socket] of the client file"
        )
    return (
        f"i-PI cannot listen on {ff.address!r} port {ff.port}: {error.strerror or error}; "
        f"<address> in {ipi.path.name} must be a name or an address of this machine"
    )
