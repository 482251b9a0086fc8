"""Start the real i-PI and real clients, and leave nothing behind."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from running import Run

from mlobs_client.structure import Array


@dataclass
class Running:
    """A process that a test started.

    Attributes:
        process: to send signals to.
        folder: where it runs.
        log: its output and errors together.
    """

    process: subprocess.Popen[bytes]
    folder: Path
    log: Path

    def wait(self, timeout: float = 150.0) -> int:
        """Wait for its end and return the exit status (negative: killed by that signal)."""
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {timeout} s:\n{self.text}") from None

    @property
    def text(self) -> str:
        return self.log.read_text()

    def read(self, name: str) -> Array:
        """Read an output file of i-PI: shape ``(n_rows, n_columns)``."""
        return np.loadtxt(self.folder / name, ndmin=2)

    def wait_for_rows(self, name: str, n_rows: int, timeout: float = 60.0) -> None:
        """Wait until an output file has so many rows, for what must happen during a run."""
        deadline = time.monotonic() + timeout
        path = self.folder / name
        while not path.exists() or len(self._rows(path)) < n_rows:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"{name} has not got {n_rows} rows:\n{self.text}")
            time.sleep(0.01)

    @staticmethod
    def _rows(path: Path) -> list[str]:
        return [line for line in path.read_text().splitlines() if not line.startswith("#")]


@pytest.fixture
def start() -> Iterator[Callable[[Sequence[str], Path, str], Running]]:
    """``start(command, folder, name)`` runs a command; killed when the test ends."""
    started: list[Running] = []

    def run(command: Sequence[str], folder: Path, name: str) -> Running:
        log = folder / f"{name}.log"
        with log.open("wb") as stream:
            process = subprocess.Popen(command, cwd=folder, stdout=stream, stderr=stream)
        started.append(Running(process, folder, log))
        return started[-1]

    yield run
    for running in started:
        running.process.kill()
        running.process.wait()


@pytest.fixture
def start_ipi(start: Callable[..., Running]) -> Callable[[Path, str], Running]:
    """``start_ipi(folder, xml)`` writes ``input.xml`` into the folder and runs ``i-pi`` there."""

    def run(folder: Path, xml: str) -> Running:
        (folder / "input.xml").write_text(xml)
        return start([str(Path(sys.executable).with_name("i-pi")), "input.xml"], folder, "ipi")

    return run


@pytest.fixture
def unix_address() -> Iterator[str]:
    """A name for ``<address>`` that nobody else uses; its socket is removed afterwards."""
    name = f"mlobs_{os.getpid()}_{uuid.uuid4().hex[:8]}"
    yield name
    with contextlib.suppress(FileNotFoundError):
        Path(f"/tmp/ipi_{name}").unlink()


@pytest.fixture
def tcp_port() -> int:
    """A port of this machine that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def run(tmp_path: Path, unix_address: str) -> Iterator[Run]:
    run = Run(tmp_path, unix_address)
    yield run
    if run.process is not None and run.process.poll() is None:
        children = run.children()
        run.process.kill()
        run.process.wait()
        for pid in children.values():
            os.kill(pid, signal.SIGKILL)
