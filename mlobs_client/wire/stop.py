"""A request to finish, which wakes whoever waits for a server."""

from __future__ import annotations

import selectors
import signal
import socket


class StopRequested(Exception):
    """No error: the client was asked to finish while it waited for the server."""


class Stop:
    """A request to finish, which wakes whoever waits for the server.

    A flag alone is not enough: a signal that arrives just before the wait would be noticed only
    after it. A byte in a socket of our own is seen by the wait itself.

    Attributes:
        signal: the signal that asked, None as long as nobody did.
    """

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None
        self._reader, self._writer = socket.socketpair()

    def request(self, signum: int = signal.SIGTERM) -> None:
        """Ask the client to finish; may be called from a signal handler or another thread."""
        self.signal = signal.Signals(signum)
        self._writer.send(b"!")

    def fileno(self) -> int:
        return self._reader.fileno()

    def wait(self, seconds: float) -> None:
        """Sleep.

        Raises:
            StopRequested: somebody asked to finish meanwhile.
        """
        with selectors.DefaultSelector() as selector:
            selector.register(self, selectors.EVENT_READ)
            if selector.select(seconds):
                raise StopRequested

    def close(self) -> None:
        self._reader.close()
        self._writer.close()
