"""Find the relay of a run, and authenticate clients to it.

``mlobs run --listen`` writes a file that contains a password, and that only its owner can read. The
relay sends a random challenge; the client answers with the ``<address>`` that it wants to serve,
and with a code that cannot be computed from the challenge and the ``<address>`` without the
password (HMAC, RFC 2104). So the password itself is never sent over the network, and an answer that
somebody has recorded is worthless. The messages of i-PI that follow are neither encrypted nor
signed.
"""

from __future__ import annotations

import contextlib
import errno
import hmac
import os
import secrets
import socket
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Self

import orjson

from mlobs_client.errors import LaunchError, RemoteProtocolError
from mlobs_client.files import replacing

MAX_LINE: Final = 4096  # bytes of a line
RELAY_TIMEOUT: Final = 15.0  # seconds for the relay to answer
WELCOME: Final = "welcome"
NOT_YET: Final = "i-PI does not listen yet"


@dataclass(frozen=True)
class Rendezvous:
    """The address of the relay of a run, and its password.

    Attributes:
        run: a random name, which no other run has.
        host: IPv4 address of the node on which i-PI runs.
        port: TCP port of the relay.
        password: password of this run.
    """

    run: str
    host: str
    port: int
    password: str

    @classmethod
    def invent(cls, run: str, host: str, port: int) -> Self:
        """Choose a new password for a run.

        Args:
            run: name of the run.
            host: IPv4 address of the node on which i-PI runs.
            port: TCP port of the relay.
        """
        return cls(run, host, port, secrets.token_hex(32))

    def write(self, path: Path) -> None:
        """Write the file atomically, readable only by its owner.

        Args:
            path: path of the file.

        Raises:
            LaunchError: the file cannot be written.
        """
        with replacing(path, 0o600, error=LaunchError) as draft:
            draft.write_bytes(orjson.dumps(asdict(self), option=orjson.OPT_INDENT_2))

    def remove(self, path: Path) -> None:
        """Remove the file, unless another run has replaced it.

        Args:
            path: path of the file.
        """
        with contextlib.suppress(OSError, RemoteProtocolError):
            if Rendezvous.read(path) == self:
                path.unlink()

    @classmethod
    def read(cls, path: Path, run: str = "") -> Self:
        """Read address and password from the file.

        Args:
            path: path of the file.
            run: name that the run must have; if empty, any run is accepted.

        Raises:
            OSError: the file cannot be read; with ENOENT, it is missing or belongs to another run.
            RemoteProtocolError: the file was not written by :meth:`write`.
        """
        try:
            found = cls(**orjson.loads(path.read_bytes()))
            if not isinstance(found.host, str) or not 0 < found.port < 1 << 16:
                raise TypeError(f"it names the port {found.port} of {found.host}")
        except (orjson.JSONDecodeError, TypeError) as error:
            raise RemoteProtocolError(
                f"{path} was not written by 'mlobs run --listen': {error}; name its mlobs-run.json"
            ) from error
        if run and found.run != run:
            raise FileNotFoundError(
                errno.ENOENT, f"{path} belongs to the run {found.run}, not to this one, {run}"
            )
        return found

    def greet(self, stream: socket.socket, address: str) -> None:
        """Authenticate a client to the relay.

        Args:
            stream: connection to the relay.
            address: ``<address>`` of the socket to be served.

        Raises:
            OSError: the relay does not answer; with ECONNREFUSED, i-PI is not listening yet.
            RemoteProtocolError: the relay refuses this client.
        """
        proof = self._prove(receive_line(stream, RELAY_TIMEOUT), address)
        stream.sendall(orjson.dumps([self.run, address, proof]) + b"\n")
        answer = receive_line(stream, RELAY_TIMEOUT)
        if answer == NOT_YET:
            raise ConnectionRefusedError(errno.ECONNREFUSED, NOT_YET)
        if answer != WELCOME:
            raise RemoteProtocolError(f"the run {self.run} refuses this client: {answer}")

    def admit(self, stream: socket.socket, patience: float) -> str:
        """Authenticate a client with a challenge; return the ``<address>`` that it wants to serve.

        Args:
            stream: connection to the client.
            patience: time for the whole handshake, s.

        Raises:
            OSError: the client does not answer in time.
            RemoteProtocolError: it is not a client of this run.
        """
        challenge = secrets.token_hex(32)
        stream.settimeout(patience)
        stream.sendall(challenge.encode() + b"\n")
        try:
            run, address, proof = orjson.loads(receive_line(stream, patience))
        except (orjson.JSONDecodeError, TypeError, ValueError):
            raise RemoteProtocolError("the answer is not that of 'mlobs client --join'") from None
        if run != self.run:
            raise RemoteProtocolError(f"this is the run {self.run}")
        expected = self._prove(challenge, str(address))
        if not hmac.compare_digest(str(proof).encode(), expected.encode()):
            raise RemoteProtocolError("the password is wrong")
        return str(address)

    def _prove(self, challenge: str, address: str) -> str:
        """Return the code that cannot be computed from this challenge without the password."""
        message = orjson.dumps([challenge, self.run, address])
        return hmac.digest(self.password.encode(), message, "sha256").hex()


def receive_line(stream: socket.socket, patience: float) -> str:
    """Read a line, and not one byte beyond it, since the rest is for other readers.

    Args:
        stream: connection to read from.
        patience: time for the whole line, s.

    Raises:
        OSError: the other end has closed the connection, or takes too long.
        RemoteProtocolError: the line is too long, or is not UTF-8 text.
    """
    deadline = time.monotonic() + patience
    line = bytearray()
    while not line.endswith(b"\n"):
        stream.settimeout(max(0.01, deadline - time.monotonic()))
        byte = stream.recv(1)
        if not byte:
            raise ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))
        line += byte
        if len(line) > MAX_LINE:
            raise RemoteProtocolError(f"a line has more than {MAX_LINE} bytes")
    try:
        return line[:-1].decode()
    except UnicodeDecodeError:
        raise RemoteProtocolError("a line is not UTF-8 text") from None
