"""Where the relay of a run listens, and how a client is let in.

``mlobs run --listen`` writes a file that only its owner can read, with a password. The relay sends
a random challenge; the client answers with the ``<address>`` that it wants to serve and with a code
that only who knows the password can make of both (HMAC, RFC 2104). So the password itself is never
on the network, and an answer that somebody has overheard opens nothing. What follows is neither
encrypted nor signed: i-PI's own protocol asks nobody who he is.
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
    """Who listens where.

    Attributes:
        run: a random name, which no other run has.
        host: an IPv4 address of the node of i-PI.
        port: there.
        password: of this run.
    """

    run: str
    host: str
    port: int
    password: str

    @classmethod
    def invent(cls, run: str, host: str, port: int) -> Self:
        """Make one with a new password."""
        return cls(run, host, port, secrets.token_hex(32))

    def write(self, path: Path) -> None:
        """Write the file at once as a whole, for its owner alone.

        Raises:
            LaunchError: it cannot be written.
        """
        with replacing(path, 0o600, error=LaunchError) as draft:
            draft.write_bytes(orjson.dumps(asdict(self), option=orjson.OPT_INDENT_2))

    def remove(self, path: Path) -> None:
        """Remove the file, unless another run has written its own meanwhile."""
        with contextlib.suppress(OSError, RemoteProtocolError):
            if Rendezvous.read(path) == self:
                path.unlink()

    @classmethod
    def read(cls, path: Path, run: str = "") -> Self:
        """Read the file.

        Args:
            path: of the file.
            run: the name that it must have, if any.

        Raises:
            OSError: it cannot be read, is not there (ENOENT), or is of another run (ENOENT, too).
            RemoteProtocolError: something else is in it.
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
                errno.ENOENT, f"{path} is of the run {found.run}, not of this one, {run}"
            )
        return found

    def greet(self, stream: socket.socket, address: str) -> None:
        """Ask to be let in.

        Args:
            stream: to the relay.
            address: of the socket to be served.

        Raises:
            OSError: nobody answers, or with ECONNREFUSED, i-PI does not listen yet.
            RemoteProtocolError: we are not let in.
        """
        proof = self._prove(receive_line(stream, RELAY_TIMEOUT), address)
        stream.sendall(orjson.dumps([self.run, address, proof]) + b"\n")
        answer = receive_line(stream, RELAY_TIMEOUT)
        if answer == NOT_YET:
            raise ConnectionRefusedError(errno.ECONNREFUSED, NOT_YET)
        if answer != WELCOME:
            raise RemoteProtocolError(f"the run {self.run} does not let us in: {answer}")

    def admit(self, stream: socket.socket, patience: float) -> str:
        """Challenge who wants to be let in; return the ``<address>`` that is asked for.

        Args:
            stream: from the client.
            patience: seconds for the whole greeting.

        Raises:
            OSError: nothing is said in time.
            RemoteProtocolError: it is none of our clients.
        """
        challenge = secrets.token_hex(32)
        stream.settimeout(patience)
        stream.sendall(challenge.encode() + b"\n")
        try:
            run, address, proof = orjson.loads(receive_line(stream, patience))
        except (orjson.JSONDecodeError, TypeError, ValueError):
            raise RemoteProtocolError("this is no greeting of 'mlobs client --join'") from None
        if run != self.run:
            raise RemoteProtocolError(f"this is the run {self.run}")
        expected = self._prove(challenge, str(address))
        if not hmac.compare_digest(str(proof).encode(), expected.encode()):
            raise RemoteProtocolError("the password is wrong")
        return str(address)

    def _prove(self, challenge: str, address: str) -> str:
        """What only who knows the password can say to this challenge."""
        message = orjson.dumps([challenge, self.run, address])
        return hmac.digest(self.password.encode(), message, "sha256").hex()


def receive_line(stream: socket.socket, patience: float) -> str:
    """Read up to the end of a line, and not a byte more: the rest is for others.

    Args:
        stream: to read from.
        patience: seconds for the whole line.

    Raises:
        OSError: the other end has gone, or takes too long.
        RemoteProtocolError: the line is too long, or no text.
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
            raise RemoteProtocolError(f"a line of more than {MAX_LINE} bytes")
    try:
        return line[:-1].decode()
    except UnicodeDecodeError:
        raise RemoteProtocolError("a line that is no text") from None
