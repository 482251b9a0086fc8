"""Child processes with a log file."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from mlobs_client.errors import LaunchError
from mlobs_client.launch.sections import TAIL, heading, read_tail, split_date

SRUN: Final = "srun: "  # how the lines of srun begin


class Child:
    """A process that we started; its output is a new section of a log file.

    It has a session of its own, so that Ctrl-C in the terminal reaches only our own process:
    the order in which i-PI and its clients end matters.

    Args:
        name: name of the process in messages.
        command: program and arguments.
        folder: its working directory.
        environment: variables that are added to the environment.
        inherited: descriptors of files that it keeps open.
        with_group: whether signals also go to all processes that it started, as a shell needs.

    Attributes:
        name: name of the process in messages.
        log: its log file, ``NAME.log`` in the folder.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        folder: Path,
        environment: Mapping[str, str] | None = None,
        inherited: Sequence[int] = (),
        *,
        with_group: bool = False,
    ) -> None:
        self.name = name
        self._with_group = with_group
        self.log = folder / f"{name}.log"
        self._heard: set[str] = set()
        try:
            with self.log.open("ab", buffering=0) as stream:
                title = heading(f"{name}: {shlex.join(command)}")
                with contextlib.suppress(OSError):  # a full disk alone must not end a run
                    stream.write(title.encode(errors="surrogateescape"))
                self._begin = stream.tell()
                self._process = subprocess.Popen(
                    command,
                    cwd=folder,
                    # unbuffered: a log must not lose what was said before a kill
                    env={**os.environ, "PYTHONUNBUFFERED": "1", **(environment or {})},
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
        """Exit status, or minus the signal that killed it; None while it runs."""
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
        self._send(signal.SIGTERM)

    def end(self, patience: float) -> None:
        """Ask it to end cleanly, wait, and kill it if that does not help."""
        self.terminate()
        if not self.wait(patience):
            self._send(signal.SIGKILL)
            self._process.wait()

    def _send(self, number: signal.Signals) -> None:
        if not self._with_group:
            self._process.send_signal(number)
        elif self.status is None:  # else its number may be somebody else's by now
            os.killpg(self.pid, number)

    def said(self) -> str:
        """Return its output since it was started, or the end of a long output."""
        return read_tail(self.log, TAIL, self._begin)

    def has_said(self, words: str) -> bool:
        """Return whether these words have appeared in its output at any call so far."""
        if words not in self._heard and words in self.said():
            self._heard.add(words)
        return words in self._heard

    @property
    def last_line(self) -> str:
        """The last line of its output without its date, or how it ended.

        Lines that srun adds at the end of a task are skipped.
        """
        lines = self.said().strip().splitlines()
        lines = [line for line in lines if not line.startswith(SRUN)] or lines
        status = self.status
        if status is not None and status < 0:
            with contextlib.suppress(ValueError):
                return f"killed by {signal.Signals(-status).name}"
        return split_date(lines[-1].strip())[1] if lines else f"ended with status {status}"


def search_path() -> str:
    """Return the search path of programs: the folder of the running Python, then PATH."""
    return f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"


def find_program(name: str, package: str) -> str:
    """Return the path of a program in :func:`search_path`.

    Args:
        name: name of the program.
        package: package that contains it, as pip calls it.

    Raises:
        LaunchError: it is not installed.
    """
    found = shutil.which(name, path=search_path())
    if found is None:
        raise LaunchError(
            f"the command {name} is neither beside {sys.executable} nor on the PATH; install it "
            f"with: pip install '{package}'"
        )
    return found
