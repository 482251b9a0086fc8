"""The loop of a client: it waits for requests from i-PI, evaluates them and sends the replies."""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import Final

from mlobs_client.wire.protocol import Connection, Evaluate, Exit, Need, Reply
from mlobs_client.wire.stop import Stop, StopRequested
from mlobs_client.wire.transport import Address, Transport, connect

logger = logging.getLogger(__name__)

Responder = Callable[[Evaluate], Sequence[Reply]]
"""A function that makes one reply for each structure of a request."""

SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


def serve(connection: Connection, transport: Transport, respond: Responder) -> None:
    """Answer an i-PI server until it sends EXIT.

    Args:
        connection: the state of the conversation.
        transport: the connected socket.
        respond: makes one reply for each structure of a request.

    Raises:
        ServerGone: the server disappeared without EXIT.
        ProtocolError: a message or a reply violates the protocol.
        StopRequested: the client was asked to finish; it has sent all requested results, provided
            that the server reads them.
    """
    while True:
        event = connection.next_event()
        transport.send(connection.data_to_send())
        match event:
            case Need.DATA:
                interruptible = not connection.owes_results
                connection.receive_data(transport.receive(interruptible=interruptible))
            case Evaluate():
                connection.send_results(respond(event))
            case Exit():
                return


def run_client(address: Address, patience: float, respond: Responder) -> signal.Signals | None:
    """Connect to an i-PI server and answer it until it sends EXIT.

    Load the models before calling this: a server that accepts a client waits for its first message,
    and all other clients wait with it.

    SIGTERM and SIGINT end the client cleanly: results that are being computed are finished and
    sent, then the connection is closed, and i-PI goes on with its other clients. If the server
    reads nothing for a second, the results are lost. A second signal acts as if there were no
    handler. Signals are handled in the main thread only.

    Args:
        address: where the server listens.
        patience: time to wait for a server that has not started yet, s.
        respond: makes one reply for each structure of a request.

    Returns:
        None after EXIT, otherwise the signal that ended the client; an executable should then
        exit with status ``128 + signal``.

    Raises:
        TransportError: no server started in time.
        ServerGone: the server disappeared without EXIT.
        ProtocolError: a message or a reply violates the protocol.
    """
    with _stop_on_signals() as stop:
        try:
            with connect(address, patience, stop) as transport:
                logger.info("connected to the i-PI server at %s", address)
                serve(Connection(), transport, respond)
        except StopRequested:
            logger.info("finished on %s", stop.signal.name if stop.signal else "request")
            return stop.signal
    logger.info("the i-PI server at %s sent EXIT", address)
    return None


@contextlib.contextmanager
def _stop_on_signals() -> Iterator[Stop]:
    stop = Stop()
    previous: dict[signal.Signals, signal._HANDLER] = {}

    def restore() -> None:
        for signum, handler in previous.items():
            signal.signal(signum, handler)

    def handle(signum: int, frame: FrameType | None) -> None:
        restore()
        stop.request(signum)

    try:
        if threading.current_thread() is threading.main_thread():
            previous.update((signum, signal.signal(signum, handle)) for signum in SIGNALS)
        yield stop
    finally:
        restore()
        stop.close()
