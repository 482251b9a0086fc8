"""The protocol of i-PI without input and output: bytes become events, and replies become bytes.

It uses neither a socket nor a clock, so every conversation can be tested byte by byte. The order of
messages is the table :data:`TRANSITIONS`; their layout is in :class:`Connection`.

Source:
    i-PI 3.3.1, ``ipi/interfaces/sockets.py`` (``Driver.initialize``, ``dispatch_send``,
    ``dispatch_send_batch``, ``_recv_forces_bulk_batch``).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

import numpy as np

from mlobs_client.errors import LocalProtocolError, RemoteProtocolError, ServerGone
from mlobs_client.structure import Array

HEADER_LENGTH: Final = 12
# Larger lengths are noise, not simulations; without limits a stray number would make the client
# wait forever for bytes that never come.
MAX_ATOMS: Final = 50_000_000
MAX_DIGITS: Final = 18
MAX_INIT_LENGTH: Final = 1 << 24


def header(name: str) -> bytes:
    """Return the 12 bytes with which a message starts.

    Args:
        name: ASCII name of the message.
    """
    return name.ljust(HEADER_LENGTH).encode("ascii")


STATUS: Final = header("STATUS")
INIT: Final = header("INIT")
POSDATA: Final = header("POSDATA")
GETFORCE: Final = header("GETFORCE")
EXIT: Final = header("EXIT")
NEEDINIT: Final = header("NEEDINIT")
READY: Final = header("READY")
HAVEDATA: Final = header("HAVEDATA")
FORCEREADY: Final = header("FORCEREADY")


class State(Enum):
    """The state of the conversation."""

    CONNECTED = auto()  # no message yet: i-PI must send the request id first
    IDLE = auto()
    EVALUATING = auto()  # the caller has to call send_results()
    HAS_RESULTS = auto()  # the server has not fetched them yet
    ENDED = auto()


# (state, message from the server) -> next state. A pair that is missing is an error. While
# EVALUATING, messages stay in the buffer.
TRANSITIONS: Final[dict[tuple[State, bytes], State]] = {
    (State.CONNECTED, STATUS): State.CONNECTED,
    (State.CONNECTED, INIT): State.IDLE,
    (State.CONNECTED, EXIT): State.ENDED,
    (State.IDLE, STATUS): State.IDLE,
    (State.IDLE, INIT): State.IDLE,
    (State.IDLE, POSDATA): State.EVALUATING,
    (State.IDLE, EXIT): State.ENDED,
    (State.HAS_RESULTS, STATUS): State.HAS_RESULTS,
    (State.HAS_RESULTS, GETFORCE): State.IDLE,
    (State.HAS_RESULTS, EXIT): State.ENDED,
}

SERVER_MESSAGES: Final = frozenset(message for _, message in TRANSITIONS)

STATUS_REPLIES: Final = {
    State.CONNECTED: NEEDINIT,
    State.IDLE: READY,
    State.HAS_RESULTS: HAVEDATA,
}


class Need(Enum):
    """The connection needs more bytes."""

    DATA = auto()


@dataclass(frozen=True, eq=False)
class Evaluate:
    """The server wants energies and forces; answer with :meth:`Connection.send_results`.

    Attributes:
        cells: shape ``(n_structures, 3, 3)``, bohr, lattice vectors are rows.
        positions: shape ``(n_structures, n_atoms, 3)``, bohr.
        request_id: the number in INIT; i-PI sends it once per connection, so it is not a bead
            index.
        init_text: the text in INIT, from the ``<parameters>`` of the forcefield.
        batch_size: number of structures that a request can hold.
    """

    cells: Array
    positions: Array
    request_id: int
    init_text: str
    batch_size: int = 1


@dataclass(frozen=True)
class Exit:
    """The server sent EXIT, which is a clean end."""


Event = Need | Evaluate | Exit


@dataclass(frozen=True, eq=False)
class Reply:
    """The results for one structure.

    Attributes:
        energy: energy, Eh.
        forces: shape ``(n_atoms, 3)``, Eh/bohr.
        virial: shape ``(3, 3)``, Eh, -dE/d(strain), where strain turns row vectors R into
            R (1 + strain).
        extras: JSON text, UTF-8; see :mod:`mlobs_client.wire.extras`.
    """

    energy: float
    forces: Array
    virial: Array
    extras: bytes = b""


class Connection:
    """One conversation with an i-PI server, as a state machine.

    Call :meth:`next_event` until it asks for data, send :meth:`data_to_send`, and pass the bytes
    from the server to :meth:`receive_data`. STATUS, INIT and GETFORCE are answered internally.
    """

    def __init__(self) -> None:
        self._state = State.CONNECTED
        self._incoming = bytearray()
        self._outgoing: list[bytes] = []
        self._server_closed = False
        self._request_id = 0
        self._init_text = ""
        self._batch_size = 1
        self._requested = (0, 0)  # structures to evaluate, atoms in each
        self._results: list[bytes] = []

    @property
    def state(self) -> State:
        return self._state

    @property
    def owes_results(self) -> bool:
        """True if there are results that the server has not fetched yet."""
        return self._state is State.HAS_RESULTS

    def receive_data(self, data: bytes) -> None:
        """Take bytes from the server; no bytes mean that it has closed its end."""
        if not data:
            self._server_closed = True
        self._incoming += data

    def data_to_send(self) -> bytes:
        """Return the bytes to send to the server, and forget them."""
        data = b"".join(self._outgoing)
        self._outgoing.clear()
        return data

    def next_event(self) -> Event:
        """Process the received bytes up to the next event that the caller must handle.

        Raises:
            RemoteProtocolError: the server sent a message that the protocol does not allow.
            ServerGone: the server closed its end without EXIT.
            LocalProtocolError: the last :class:`Evaluate` was not answered.
        """
        while self._state is not State.ENDED:
            message = self._next_message()
            if message is None:
                if self._server_closed:
                    raise ServerGone(self._describe_end())
                return Need.DATA
            name, body = message
            if name == STATUS:
                self._outgoing.append(STATUS_REPLIES[self._state])
            elif name == INIT:
                self._initialise(body)
            elif name == POSDATA:
                return self._read_structures(body)
            elif name == GETFORCE:
                self._outgoing.extend(self._results)
        return Exit()

    def send_results(self, replies: Sequence[Reply]) -> None:
        """Answer the last :class:`Evaluate`.

        Args:
            replies: one for each of its structures.

        Raises:
            LocalProtocolError: there was no request, or a reply has a wrong shape or contains NaN
                or infinity.
        """
        if self._state is not State.EVALUATING:
            raise LocalProtocolError(
                f"send_results was called without a request, in state {self._state.name}; "
                "call it once after each Evaluate"
            )
        n_structures, n_atoms = self._requested
        if len(replies) != n_structures:
            raise LocalProtocolError(
                f"{len(replies)} replies were given for {n_structures} structures"
            )
        self._results = _pack(replies, n_atoms, self._batch_size)
        self._state = State.HAS_RESULTS

    def _next_message(self) -> tuple[bytes, bytearray] | None:
        if self._state is State.EVALUATING:
            raise LocalProtocolError("answer the last Evaluate with send_results first")
        if len(self._incoming) < HEADER_LENGTH:
            return None
        name = bytes(self._incoming[:HEADER_LENGTH])
        if (self._state, name) not in TRANSITIONS:
            raise RemoteProtocolError(_describe_unexpected(self._state, name))
        size = self._message_size(name)
        if size is None or len(self._incoming) < size:
            return None
        body = self._incoming[HEADER_LENGTH:size]
        del self._incoming[:size]
        self._state = TRANSITIONS[self._state, name]
        return name, body

    def _message_size(self, name: bytes) -> int | None:
        """Return the length of the first message with its header; None while it is not known."""
        if name == INIT:
            length = self._peek_int(HEADER_LENGTH + 4)
            if length is None:
                return None
            if not 0 <= length <= MAX_INIT_LENGTH:
                raise RemoteProtocolError(f"INIT announces a text of {length} bytes")
            return HEADER_LENGTH + 8 + length
        if name == POSDATA:
            return self._posdata_size()
        return HEADER_LENGTH

    def _posdata_size(self) -> int | None:
        if self._incoming[20:28] == b"ipi_shm_":  # names of segments instead of a cell
            raise RemoteProtocolError(
                "the server uses shared memory, which this client does not support; write "
                "mode='unix' instead of mode='shm' in its <ffsocket>"
            )
        n_structures = self._batch_size
        n_atoms = self._peek_int(HEADER_LENGTH + (144 if n_structures == 1 else 0))
        if n_atoms is None:
            return None
        if not 1 <= n_atoms * n_structures <= MAX_ATOMS:
            raise RemoteProtocolError(
                f"POSDATA announces {n_structures} structure(s) of {n_atoms} atoms; the layout of "
                f"this message is not the one of i-PI 3 with batch_size {n_structures}"
            )
        return HEADER_LENGTH + 4 + n_structures * (144 + 24 * n_atoms)

    def _peek_int(self, offset: int) -> int | None:
        if len(self._incoming) < offset + 4:
            return None
        return int(struct.unpack_from("=i", self._incoming, offset)[0])

    def _initialise(self, body: bytearray) -> None:
        (self._request_id,) = struct.unpack_from("=i", body)
        self._init_text = body[8:].decode("utf-8", errors="replace")
        self._batch_size = _read_batch_size(self._init_text)

    def _read_structures(self, body: bytearray) -> Evaluate:
        """Read one structure (h, ih, n, q) or a batch (n, [h, ih], q), without its padding."""
        n = self._batch_size
        at_count, at_cells = (144, 0) if n == 1 else (0, 4)
        n_atoms = int(struct.unpack_from("=i", body, at_count)[0])
        cells = np.frombuffer(body, np.float64, 18 * n, at_cells).reshape(n, 2, 3, 3)[:, 0]
        # Lattice vectors are columns in i-PI and rows here. Copies, because the numbers start at
        # odd addresses.
        cells = cells.transpose(0, 2, 1).copy()
        positions = np.frombuffer(body, np.float64, 3 * n_atoms * n, 4 + 144 * n)
        positions = positions.reshape(n, n_atoms, 3).copy()
        _check_finite("cell", cells)
        _check_finite("positions", positions)
        n_real = count_without_padding(cells, positions)
        self._requested = (n_real, n_atoms)
        return Evaluate(cells[:n_real], positions[:n_real], self._request_id, self._init_text, n)

    def _describe_end(self) -> str:
        where = f"in state {self._state.name}"
        if self._incoming:
            start = bytes(self._incoming[:HEADER_LENGTH]).decode("ascii", "replace").strip()
            where = f"in the middle of {start!r}"
        return (
            f"the i-PI server closed the connection without EXIT, {where}; "
            "the end of its own log says why"
        )


def _describe_unexpected(state: State, name: bytes) -> str:
    if name not in SERVER_MESSAGES:
        return (
            f"the server sent the unknown header {name!r}; is it i-PI that listens at this address?"
        )
    allowed = [message.decode().strip() for known, message in TRANSITIONS if known is state]
    return (
        f"the server sent {name.decode().strip()} in state {state.name}, "
        f"where only {', '.join(allowed)} are allowed"
    )


def _read_batch_size(init_text: str) -> int:
    """Return N of ``batch_size:N`` among the parameters in INIT; 1 if it is missing."""
    for parameter in reversed(init_text.split(",")):  # i-PI appends its own
        key, _, value = parameter.partition(":")
        if key.strip() != "batch_size":
            continue
        word = value.strip()
        # Python does not read integers of thousands of digits
        if not word.isdecimal() or len(word) > MAX_DIGITS or not 1 <= int(word) <= MAX_ATOMS:
            raise RemoteProtocolError(
                f"INIT announces batch_size {word[:40]!r}, not an integer from 1 to {MAX_ATOMS}; "
                "see <batch_size> and <parameters> in the <ffsocket>"
            )
        return int(word)
    return 1


def count_without_padding(cells: Array, positions: Array) -> int:
    """Count the structures of a request without the repeats of the last one at its end.

    Args:
        cells: shape ``(n_structures, 3, 3)``, bohr.
        positions: shape ``(n_structures, n_atoms, 3)``, bohr.
    """
    if len(positions) == 1:
        return 1
    differs = (positions != positions[-1]).any(axis=(1, 2)) | (cells != cells[-1]).any(axis=(1, 2))
    return int(np.flatnonzero(differs)[-1]) + 2 if differs.any() else 1


def _check_finite(name: str, values: Array) -> None:
    if not np.isfinite(values).all():
        index = tuple(np.argwhere(~np.isfinite(values))[0].tolist())
        raise RemoteProtocolError(
            f"the server sent {name}{list(index)} = {values[index]}, not a finite number; the "
            "simulation has blown up: look at its forces and at its time step"
        )


def _pack(replies: Sequence[Reply], n_atoms: int, batch_size: int) -> list[bytes]:
    """Return the bytes of FORCEREADY; the layout of one structure is that of a batch of one."""
    energies = _stack("energy", [reply.energy for reply in replies], ())
    forces = _stack("forces", [reply.forces for reply in replies], (n_atoms, 3))
    virials = _stack("virial", [reply.virial for reply in replies], (3, 3))
    extras = [_pack_extras(i, reply.extras) for i, reply in enumerate(replies)]
    padded = [min(i, len(replies) - 1) for i in range(batch_size)]
    return [
        FORCEREADY,
        energies[padded].tobytes(),
        struct.pack("=i", n_atoms),
        forces[padded].tobytes(),
        # i-PI strains columns, R -> (1 + strain) R: its strain is the transpose of ours.
        virials[padded].transpose(0, 2, 1).tobytes(),
        *(extras[i] for i in padded),
    ]


def _stack(name: str, values: Sequence[Array | float], shape: tuple[int, ...]) -> Array:
    for i, value in enumerate(values):
        if np.shape(value) != shape:
            raise LocalProtocolError(
                f"{name} of reply {i} must have shape {shape}, got {np.shape(value)}"
            )
    stacked = np.array(values, dtype=np.float64)
    if not np.isfinite(stacked).all():
        index = tuple(np.argwhere(~np.isfinite(stacked))[0].tolist())
        raise LocalProtocolError(
            f"{name} of reply {index[0]} contains {stacked[index]}, not a finite number"
        )
    return stacked


def _pack_extras(i: int, extras: bytes) -> bytes:
    try:
        extras.decode("utf-8")
    except UnicodeDecodeError as error:
        raise LocalProtocolError(f"extras of reply {i} must be UTF-8: {error}") from error
    return struct.pack("=i", len(extras)) + extras
