"""A scripted i-PI server, to test a client byte by byte in memory, or over a real socket.

A test asks for one exchange after another::

    server = ScriptedServer(MemoryClient(answer), batch_size=4)
    results = server.evaluate(cells, positions)
    server.exit()

Over a socket, the client runs elsewhere, in a thread or a process::

    with listen(UnixAddress("/tmp/test.sock")) as listener:
        ...                                   # start the client
        server = ScriptedServer(accept(listener))
"""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

import numpy as np

from mlobs_client.errors import RemoteProtocolError
from mlobs_client.structure import Array
from mlobs_client.wire.client import Responder
from mlobs_client.wire.protocol import (
    EXIT,
    FORCEREADY,
    GETFORCE,
    HAVEDATA,
    HEADER_LENGTH,
    INIT,
    NEEDINIT,
    POSDATA,
    READY,
    STATUS,
    Connection,
    Evaluate,
    Exit,
    Need,
    Reply,
)
from mlobs_client.wire.transport import TcpAddress, UnixAddress


class Stream(Protocol):
    """The server's end of a connection."""

    def send(self, data: bytes) -> None:
        """Send everything to the client."""

    def receive(self, size: int) -> bytes:
        """Return exactly ``size`` bytes from the client."""


class MemoryClient:
    """A client without a socket, which processes the bytes from the server immediately.

    Attributes:
        ended: True after the client has received EXIT.

    Args:
        answer: as for :func:`mlobs_client.wire.client.serve`.
        cuts: lengths of the pieces in which the client receives the bytes from the server; further
            bytes arrive as the server sends them.
    """

    def __init__(self, answer: Responder, cuts: Iterable[int] = ()) -> None:
        self.ended = False
        self._answer = answer
        self._cuts = iter(cuts)
        self._connection = Connection()
        self._pending = b""
        self._outgoing = b""

    def send(self, data: bytes) -> None:
        while data:
            piece = max(1, next(self._cuts, len(data)))
            self._connection.receive_data(data[:piece])
            data = data[piece:]
            self._work()

    def receive(self, size: int) -> bytes:
        if len(self._outgoing) < size:
            raise RemoteProtocolError(
                f"the client sent {self._outgoing[:60]!r}, but {size} bytes were expected"
            )
        data, self._outgoing = self._outgoing[:size], self._outgoing[size:]
        return data

    def _work(self) -> None:
        while (event := self._connection.next_event()) is not Need.DATA:
            if isinstance(event, Evaluate):
                self._connection.send_results(self._answer(event))
            if isinstance(event, Exit):
                self.ended = True
                return
        self._outgoing += self._connection.data_to_send()


class SocketStream:
    """The server's end of a real connection."""

    def __init__(self, stream: socket.socket) -> None:
        self._stream = stream

    def send(self, data: bytes) -> None:
        self._stream.sendall(data)

    def receive(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            piece = self._stream.recv(size - len(data))
            if not piece:
                raise RemoteProtocolError(f"the client closed the connection after {data[:60]!r}")
            data += piece
        return data

    def close(self) -> None:
        self._stream.close()


@contextlib.contextmanager
def listen(address: UnixAddress | TcpAddress) -> Iterator[socket.socket]:
    """Listen on an address; a unix socket is removed afterwards."""
    if isinstance(address, UnixAddress):
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(address.path)
    else:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address.host, address.port))
    try:
        listener.listen()
        yield listener
    finally:
        listener.close()
        if isinstance(address, UnixAddress):
            Path(address.path).unlink()


def accept(listener: socket.socket, timeout: float = 10.0) -> SocketStream:
    """Wait for the next client, for at most ``timeout`` seconds."""
    listener.settimeout(timeout)
    stream, _ = listener.accept()
    stream.settimeout(timeout)
    return SocketStream(stream)


class ScriptedServer:
    """A server that sends the messages of i-PI when a test asks for them.

    Args:
        stream: connection to one client.
        batch_size: number of structures in each message, padded with copies as i-PI does.
        parameters: text in INIT.
        request_id: number in INIT.
        consolidated: True to send POSDATA and GETFORCE together, as i-PI does by default.
    """

    def __init__(
        self,
        stream: Stream,
        *,
        batch_size: int = 1,
        parameters: str = "",
        request_id: int = 0,
        consolidated: bool = True,
    ) -> None:
        self.stream = stream
        self._batch_size = batch_size
        self._parameters = parameters
        self._request_id = request_id
        self._consolidated = consolidated

    def evaluate(self, cells: Array, positions: Array) -> list[Reply]:
        """Let the client evaluate structures, and return its replies.

        Args:
            cells: shape ``(n_structures, 3, 3)``, bohr, lattice vectors are rows.
            positions: shape ``(n_structures, n_atoms, 3)``, bohr.

        Raises:
            RemoteProtocolError: the client broke the protocol.
        """
        replies: list[Reply] = []
        for start in range(0, len(positions), self._batch_size):
            chunk = slice(start, start + self._batch_size)
            replies += self._evaluate(cells[chunk], positions[chunk])
        return replies

    def exit(self) -> None:
        """Send EXIT."""
        self.stream.send(EXIT)

    def ask_status(self) -> bytes:
        """Send STATUS, and return the header of the reply."""
        self.stream.send(STATUS)
        return self.stream.receive(HEADER_LENGTH)

    def prepare(self) -> None:
        """Bring the client to READY, as before each request."""
        if self.ask_status() == NEEDINIT:
            self.stream.send(init(self._request_id, self._parameters, self._batch_size))
            self._expect(READY, self.ask_status())

    def _evaluate(self, cells: Array, positions: Array) -> list[Reply]:
        n_real, n_atoms = positions.shape[:2]
        pad = self._batch_size - n_real
        request = posdata(
            np.concatenate([cells, np.repeat(cells[-1:], pad, axis=0)]),
            np.concatenate([positions, np.repeat(positions[-1:], pad, axis=0)]),
        )
        self.prepare()
        if self._consolidated:
            self.stream.send(request + GETFORCE)
        else:
            self.stream.send(request)
            self._expect(HAVEDATA, self.ask_status())
            self.stream.send(GETFORCE)
        return self._read_replies(n_atoms)[:n_real]

    def _read_replies(self, n_atoms: int) -> list[Reply]:
        n = self._batch_size
        self._expect(FORCEREADY, self.stream.receive(HEADER_LENGTH))
        energies = self._read_floats(n)
        self._expect(struct.pack("=i", n_atoms), self.stream.receive(4))
        forces = self._read_floats(n, n_atoms, 3)
        virials = self._read_floats(n, 3, 3).transpose(0, 2, 1)
        extras = [self.stream.receive(self._read_int()) for _ in range(n)]
        return [
            Reply(float(energy), *rest)
            for energy, *rest in zip(energies, forces, virials, extras, strict=True)
        ]

    def _read_int(self) -> int:
        return int(struct.unpack("=i", self.stream.receive(4))[0])

    def _read_floats(self, *shape: int) -> Array:
        data = self.stream.receive(8 * int(np.prod(shape)))
        return np.frombuffer(data, np.float64).reshape(shape)

    def _expect(self, wanted: bytes, got: bytes) -> None:
        if wanted != got:
            raise RemoteProtocolError(f"the client sent {got!r}, but {wanted!r} was expected")


def init(request_id: int, parameters: str = "", batch_size: int = 1) -> bytes:
    """Encode INIT as i-PI does, which announces the batch size in the parameters."""
    if batch_size > 1:
        parameters += f"{',' if parameters.strip() else ''} batch_size:{batch_size}"
    text = parameters.encode()
    return INIT + struct.pack("=ii", request_id, len(text)) + text


def posdata(cells: Array, positions: Array) -> bytes:
    """Encode POSDATA: h, ih, n, q for one structure; n, [h, ih], q for a batch.

    h is the cell, ih its inverse, n the number of atoms, and q their positions.

    Args:
        cells: shape ``(n_structures, 3, 3)``, bohr, lattice vectors are rows.
        positions: shape ``(n_structures, n_atoms, 3)``, bohr.
    """
    columns = np.asarray(cells, dtype=np.float64).transpose(0, 2, 1)
    both = np.stack([columns, np.linalg.inv(columns)], axis=1).tobytes()
    count = struct.pack("=i", positions.shape[1])
    parts = (both, count) if len(positions) == 1 else (count, both)
    return b"".join([POSDATA, *parts, np.asarray(positions, dtype=np.float64).tobytes()])
