"""A child process with its log."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from mlobs_client.errors import LaunchError

TAIL: Final = 1 << 16  # bytes of a log that are looked at


class Child:
    """A process that we started; what it says is appended to a log.

    It gets a session of its own, so that Ctrl-C in the terminal reaches us alone: the order in
    which i-PI and its clients end matters.

    Args:
        name: what messages call it.
        command: program and arguments.
        folder: where it runs.
        threads: for OpenMP.
        inherited: files that it keeps open, by their descriptors.

    Attributes:
        name: what messages call it.
        log: its log, ``NAME.log`` in the folder.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        folder: Path,
        threads: int = 1,
        inherited: Sequence[int] = (),
    ) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        environment = {
            **os.environ,
            "OMP_NUM_THREADS": str(threads),
            "PYTHONUNBUFFERED": "1",  # a log must not lose what was said before a kill
        }
        try:
            with self.log.open("ab") as stream:
                self._begin = stream.tell()
                self._process = subprocess.Popen(
                    command,
                    cwd=folder,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=stream,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    pass_fds=inherited,
                )
        except OSError as error:
            raise LaunchError(f"{name} cannot be started: {error}; check {folder}") from error

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def status(self) -> int | None:
        """Exit status, minus the signal that killed it, or None while it runs."""
        return self._process.poll()

    def wait(self, seconds: float) -> bool:
        """Wait; return whether it has ended."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def terminate(self) -> None:
        """Ask it to end cleanly."""
        self._process.terminate()

    def end(self, patience: float) -> None:
        """Ask it to end cleanly, wait, and kill it if that does not help."""
        self.terminate()
        if not self.wait(patience):
            self._process.kill()
            self._process.wait()

    def said(self) -> str:
        """Return what it has said since its start; of much, the end."""
        with self.log.open("rb") as stream:
            end = stream.seek(0, os.SEEK_END)
            stream.seek(max(self._begin, end - TAIL))
            return stream.read().decode("utf-8", "replace")

    @property
    def last_words(self) -> str:
        """The last line that it said, or how it ended."""
        lines = self.said().strip().splitlines()
        status = self.status
        if status is not None and status < 0:
            with contextlib.suppress(ValueError):
                return f"killed by {signal.Signals(-status).name}"
        return lines[-1].strip() if lines else f"ended with status {status}"
