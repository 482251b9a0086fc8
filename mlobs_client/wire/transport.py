"""Connect to a server, and send and receive bytes; a request to finish interrupts all waiting."""

from __future__ import annotations

import errno
import logging
import selectors
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from mlobs_client.errors import TransportError
from mlobs_client.wire.rendezvous import Rendezvous
from mlobs_client.wire.stop import Stop, StopRequested

logger = logging.getLogger(__name__)

RETRY_INTERVAL: Final = 0.1  # seconds between two attempts to connect
CONNECT_TIMEOUT: Final = 5.0  # seconds that one attempt may take
CLOSING_TIMEOUT: Final = 1.0  # seconds for the server to notice that a client ends, or to read
CHUNK: Final = 1 << 18  # bytes taken from the socket at once
# Errors of an attempt while the server has not started yet, or its queue of new clients is full.
NOT_UP_YET: Final = {
    errno.ENOENT,
    errno.ECONNREFUSED,
    errno.ECONNRESET,
    errno.EAGAIN,
    errno.ETIMEDOUT,
    errno.EHOSTUNREACH,
    errno.ENETUNREACH,
    errno.ESTALE,  # on NFS, if the file was replaced meanwhile
}


@dataclass(frozen=True)
class UnixAddress:
    """A server on this machine, ``mode='unix'``.

    Attributes:
        name: ``<address>`` of the server; a name with a slash is a whole path.
        prefix: prefix that i-PI adds to the name (its option ``-S``).
    """

    name: str
    prefix: str = "/tmp/ipi_"

    @property
    def path(self) -> str:
        return self.name if "/" in self.name else self.prefix + self.name

    def __str__(self) -> str:
        return f"unix socket {self.path}"


@dataclass(frozen=True)
class TcpAddress:
    """A server on the network, ``mode='inet'``.

    Attributes:
        host: name or IPv4 address of its machine.
        port: its TCP port.
    """

    host: str
    port: int

    def __str__(self) -> str:
        return f"host {self.host}, port {self.port}"


@dataclass(frozen=True)
class RelayedAddress:
    """A unix socket on another machine, behind the relay of its ``mlobs run --listen``.

    Attributes:
        name: ``<address>`` of the server.
        rendezvous: file with the address of the relay.
        run: name of the run; if empty, any run is accepted.
    """

    name: str
    rendezvous: Path
    run: str = ""

    def __str__(self) -> str:
        return f"{self.name!r} of {self.rendezvous}"


Address = UnixAddress | TcpAddress | RelayedAddress


class Transport:
    """A connected stream socket; waiting for it uses no CPU time and can be interrupted.

    Args:
        stream: the socket.
        stop: interrupts waiting; None if nothing does.
    """

    def __init__(self, stream: socket.socket, stop: Stop | None = None) -> None:
        self._stream = stream
        self._stop = stop
        self._readable = selectors.DefaultSelector()
        self._writable = selectors.DefaultSelector()
        self._readable.register(stream, selectors.EVENT_READ)
        self._writable.register(stream, selectors.EVENT_WRITE)
        if stop is not None:
            self._readable.register(stop, selectors.EVENT_READ)
            self._writable.register(stop, selectors.EVENT_READ)

    def receive(self, *, interruptible: bool = True) -> bytes:
        """Wait for bytes; return empty bytes once the server has closed or lost the connection.

        Args:
            interruptible: True if a request to finish ends the waiting at once.

        Raises:
            StopRequested: the client was asked to finish; if not ``interruptible``, the server has
                also sent nothing for :data:`CLOSING_TIMEOUT` since then.
        """
        self._wait(self._readable, interruptible=interruptible)
        try:
            return self._stream.recv(CHUNK)
        except OSError as error:
            logger.debug("receiving failed: %s", error)
            return b""

    def send(self, data: bytes) -> None:
        """Send all bytes.

        A server that has disappeared is noticed by :meth:`receive`, not here: it may have sent an
        EXIT that has not been read yet.

        Args:
            data: the bytes.

        Raises:
            StopRequested: the client was asked to finish, and the server has read nothing for
                :data:`CLOSING_TIMEOUT` since then.
        """
        left = memoryview(data)
        try:
            while left:
                try:
                    left = left[self._stream.send(left, socket.MSG_DONTWAIT) :]
                except BlockingIOError:
                    self._wait(self._writable, interruptible=False)
        except OSError as error:
            logger.debug("sending failed: %s", error)

    def _wait(self, selector: selectors.BaseSelector, *, interruptible: bool) -> None:
        """Wait for the server; arguments and errors as above."""
        ready = [key.fileobj for key, _ in selector.select()]
        if self._stop not in ready:
            return
        if interruptible:
            raise StopRequested
        with selectors.DefaultSelector() as without_stop:
            without_stop.register(self._stream, selector.get_key(self._stream).events)
            if not without_stop.select(CLOSING_TIMEOUT):
                raise StopRequested

    def close(self) -> None:
        """Close our end after the server has read what was sent.

        A socket that is closed with unread bytes resets the connection. i-PI 3.3.1 does not catch
        this while it reads forces: its polling thread dies, and it waits forever.
        """
        self._readable.close()
        self._writable.close()
        try:
            self._stream.shutdown(socket.SHUT_WR)
            self._stream.settimeout(CLOSING_TIMEOUT)
            deadline = time.monotonic() + CLOSING_TIMEOUT
            while self._stream.recv(CHUNK) and time.monotonic() < deadline:
                pass
        except OSError as error:
            logger.debug("the server was gone before the connection was closed: %s", error)
        self._stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def connect(address: Address, patience: float = 60.0, stop: Stop | None = None) -> Transport:
    """Connect to a server, and wait for it if it has not started yet.

    Args:
        address: address of the server.
        patience: time to wait for it, s.
        stop: interrupts the waiting; None if nothing does.

    Raises:
        TransportError: the server did not start in time, or the address can never work.
        StopRequested: the client was asked to finish.
    """
    deadline = time.monotonic() + patience
    waiting = False
    while True:
        try:
            return Transport(
                _open(address, max(0.1, min(CONNECT_TIMEOUT, deadline - time.monotonic()))), stop
            )
        except OSError as error:
            reason = error
        if not _may_pass(reason):
            hint = f"check {_where_to_look(address)}"
            raise TransportError(
                f"cannot connect to {address}: {_describe(reason)}; {hint}"
            ) from reason
        left = deadline - time.monotonic()
        if left <= 0.0:
            raise TransportError(_describe_silence(address, patience, reason)) from reason
        if not waiting:
            waiting = True
            logger.info("waiting up to %g s for an i-PI server at %s", patience, address)
        _sleep(min(RETRY_INTERVAL, left), stop)


def _open(address: Address, timeout: float) -> socket.socket:
    if isinstance(address, RelayedAddress):
        return _open_relayed(address, timeout)
    if isinstance(address, UnixAddress):
        stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        target: str | tuple[str, int] = address.path
    else:
        stream = socket.socket(socket.AF_INET, socket.SOCK_STREAM)  # i-PI binds IPv4 only
        target = (address.host, address.port)
        keep_alive(stream)
    try:
        stream.settimeout(timeout)
        stream.connect(target)
        if stream.family == socket.AF_INET and stream.getsockname() == stream.getpeername():
            # Without a server, the kernel may choose for us the very port that we try to reach.
            raise ConnectionRefusedError(errno.ECONNREFUSED, "connected to itself")
        stream.settimeout(None)
    except BaseException:
        stream.close()
        raise
    return stream


def _open_relayed(address: RelayedAddress, timeout: float) -> socket.socket:
    rendezvous = Rendezvous.read(address.rendezvous, address.run)
    stream = _open(TcpAddress(rendezvous.host, rendezvous.port), timeout)
    try:
        stream.settimeout(timeout)
        rendezvous.greet(stream, address.name)
        stream.settimeout(None)
    except BaseException:
        stream.close()
        raise
    return stream


def keep_alive(stream: socket.socket) -> None:
    """Make a socket send small messages at once, and notice a dead host within two minutes.

    Args:
        stream: a connected TCP socket.
    """
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    settings = {
        "TCP_KEEPIDLE": 60,
        "TCP_KEEPINTVL": 10,
        "TCP_KEEPCNT": 6,
        "TCP_USER_TIMEOUT": 120_000,  # ms, until sent bytes must be confirmed
    }
    for name, value in settings.items():
        if hasattr(socket, name):  # Linux has all of them
            stream.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _sleep(seconds: float, stop: Stop | None) -> None:
    if stop is None:
        time.sleep(seconds)
    else:
        stop.wait(seconds)


def _may_pass(reason: OSError) -> bool:
    return isinstance(reason, TimeoutError) or (
        not isinstance(reason, socket.gaierror) and reason.errno in NOT_UP_YET
    )


def _describe(reason: OSError) -> str:
    if isinstance(reason, socket.gaierror):
        return f"this host name is unknown ({reason.strerror})"
    return reason.strerror or str(reason)


def _where_to_look(address: Address) -> str:
    if isinstance(address, RelayedAddress):
        return "that its 'mlobs run' is alive, and that its node can be reached"
    return "mode and address in [socket]"


def _describe_silence(address: Address, patience: float, reason: OSError) -> str:
    hint = "is i-PI running? Compare mode, address and port in its <ffsocket> and in [socket]"
    if isinstance(address, UnixAddress):
        hint = f"{hint} (i-PI puts {UnixAddress.prefix} before the address of a unix socket)"
    if isinstance(address, RelayedAddress):
        hint = f"check {_where_to_look(address)}"
    return f"no i-PI server at {address} after {patience:g} s ({_describe(reason)}); {hint}"
