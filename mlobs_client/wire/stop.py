"""A request to finish, which interrupts waiting for the server."""

from __future__ import annotations

import selectors
import signal
import socket


class StopRequested(Exception):
    """The client was asked to finish while it waited for the server; this is not an error."""


class Stop:
    """A request to finish, which interrupts waiting for the server.

    A flag alone is not enough: a signal that arrives just before the wait would be noticed only
    after it. A byte in a socket of our own ends the wait itself.

    Attributes:
        signal: the signal of the request; None as long as there has been no request.
    """

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None
        self._reader, self._writer = socket.socketpair()

    def request(self, signum: int = signal.SIGTERM) -> None:
        """Ask the client to finish, possibly from a signal handler or from another thread."""
        self.signal = signal.Signals(signum)
        self._writer.send(b"!")

    def fileno(self) -> int:
        return self._reader.fileno()

    def wait(self, seconds: float) -> None:
        """Sleep, unless the client is asked to finish.

        Args:
            seconds: time to sleep, s.

        Raises:
            StopRequested: the client was asked to finish.
        """
        with selectors.DefaultSelector() as selector:
            selector.register(self, selectors.EVENT_READ)
            if selector.select(seconds):
                raise StopRequested

    def close(self) -> None:
        self._reader.close()
        self._writer.close()
