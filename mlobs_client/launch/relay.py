"""Connect clients on other nodes to i-PI, through a port that checks a password.

i-PI itself listens on unix sockets in a folder that only its owner can enter. So its protocol,
which has no authentication, is not exposed to the network; the input needs no ports; and a client
that is killed, or disconnected in the middle of a message, resets only its connection to the relay,
which then closes the one to i-PI properly. (i-PI 3.3.1 waits forever after a connection has been
reset.)
"""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import secrets
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from mlobs_client.errors import LaunchError, RemoteProtocolError
from mlobs_client.wire.rendezvous import NOT_YET, WELCOME, Rendezvous
from mlobs_client.wire.transport import CHUNK, UnixAddress, keep_alive

logger = logging.getLogger(__name__)

FILE: Final = "mlobs-run.json"
"""Name of the rendezvous file, in the folder of i-PI."""
HANDSHAKE_TIMEOUT: Final = 10.0  # seconds that a client has for its answer
MAX_UNAUTHENTICATED: Final = 64  # that have not proved yet that they know the password
RETRY_DELAY: Final = 0.1  # s
QUEUE: Final = 128  # clients that knock at once


class Relay:
    """Listens for clients, in threads of its own.

    Args:
        host: name or IPv4 address of this machine, at which clients reach it.
        addresses: addresses of i-PI's unix sockets.
        prefix: string that i-PI puts before them.

    Attributes:
        rendezvous: address and password for clients.

    Raises:
        LaunchError: this machine cannot listen on the address.
    """

    def __init__(self, host: str, addresses: Iterable[str], prefix: str) -> None:
        self._prefix = prefix
        self._paths = frozenset(UnixAddress(name, prefix).path for name in addresses)
        self._lock = threading.Lock()
        self._clients: set[socket.socket] = set()
        self._unauthenticated = threading.Semaphore(MAX_UNAUTHENTICATED)
        self._is_closed = False
        try:
            self._door = socket.create_server((host, 0), backlog=QUEUE)
        except (OSError, ValueError) as error:
            raise LaunchError(
                f"--listen {host}: cannot listen there: {error}; give a name or an IPv4 address of "
                "this machine, on a network that the clients reach"
            ) from error
        address, port = self._door.getsockname()
        if ipaddress.ip_address(address).is_unspecified:
            self._door.close()
            raise LaunchError(
                f"--listen {host} means all networks of this machine; name one of its addresses"
            )
        self.rendezvous = Rendezvous.invent(secrets.token_hex(6), address, port)
        threading.Thread(target=self._receive_clients, daemon=True).start()

    def close(self) -> None:
        """Stop listening, and close all connections."""
        self._is_closed = True
        # wakes the thread that waits there, which closing would not
        with contextlib.suppress(OSError):
            self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()
        self.drop_all()

    def drop_all(self) -> None:
        """Close all connections; i-PI hands structures without a reply to other clients."""
        with self._lock:
            for client in self._clients:
                with contextlib.suppress(OSError):
                    client.shutdown(socket.SHUT_RDWR)

    def _receive_clients(self) -> None:
        while True:
            try:
                client, (host, _) = self._door.accept()
            except OSError as error:
                if self._is_closed:
                    return
                logger.warning("no client can be accepted at the moment: %s", error.strerror)
                time.sleep(RETRY_DELAY)
                continue
            if self._unauthenticated.acquire(blocking=False):
                threading.Thread(target=self._serve, args=(client, host), daemon=True).start()
            else:
                client.close()  # it will try again; strangers must not use up what we have

    def _serve(self, client: socket.socket, host: str) -> None:
        with client, self._known(client):
            try:
                path = self._admit(client)
                server = _connect(path)
            except RemoteProtocolError as error:
                logger.warning("a client at %s was refused: %s", host, error)
                _say(client, str(error))
                return
            except OSError as error:
                logger.debug("%s said nothing, or i-PI is not there: %s", host, error)
                _say(client, NOT_YET)
                return
            with server:
                _say(client, WELCOME)
                client.settimeout(None)
                keep_alive(client)
                back = threading.Thread(target=_pass_on, args=(server, client), daemon=True)
                back.start()
                _pass_on(client, server)
                back.join()

    def _admit(self, client: socket.socket) -> str:
        """Authenticate a client; return the path of the socket that it requests."""
        try:
            return self._find_path(self.rendezvous.admit(client, HANDSHAKE_TIMEOUT))
        finally:
            self._unauthenticated.release()

    @contextlib.contextmanager
    def _known(self, client: socket.socket) -> Iterator[None]:
        with self._lock:
            self._clients.add(client)
        try:
            yield
        finally:
            with self._lock:
                self._clients.discard(client)

    def _find_path(self, address: str) -> str:
        path = UnixAddress(address, self._prefix).path
        if path not in self._paths:
            raise RemoteProtocolError(f"no <ffsocket> of this run has the <address> {address!r}")
        return path


@contextlib.contextmanager
def opened(relay: Relay, folder: Path) -> Iterator[Relay]:
    """Write the rendezvous file into a folder; at the end, close the relay and remove the file.

    Raises:
        LaunchError: the file cannot be written.
    """
    path = folder / FILE
    try:
        relay.rendezvous.write(path)
        yield relay
    finally:
        relay.close()
        relay.rendezvous.remove(path)


def _connect(path: str) -> socket.socket:
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        server.connect(path)
    except BaseException:
        server.close()
        raise
    return server


def _say(client: socket.socket, line: str) -> None:
    with contextlib.suppress(OSError):
        client.sendall(line.encode() + b"\n")


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    """Forward bytes until the source closes, then shut down the target.

    Bytes that the target no longer accepts are still read: closing a socket with unread bytes
    resets the connection.
    """
    is_taken = True
    while data := _receive(source):
        try:
            if is_taken:
                target.sendall(data)
        except OSError:
            is_taken = False
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def _receive(source: socket.socket) -> bytes:
    try:
        return source.recv(CHUNK)
    except OSError:
        return b""
