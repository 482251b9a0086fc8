"""Run one compilation at a time, in a separate process, while the client works."""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

import torch

from mlobs_client.errors import ModelError
from mlobs_client.evaluate.compile import store
from mlobs_client.evaluate.model_files import quiet_third_parties
from mlobs_client.locks import hold

PATIENCE: Final = 60.0
"""Seconds of use before compilation starts, about the duration of a compilation."""


_REMEDY: Final = "free space in the folder of compiled programs, or set XDG_CACHE_HOME to another"


def lock(key: str) -> contextlib.AbstractContextManager[int | None]:
    """Lock a program while a client compiles it; other clients get None."""
    return hold(_file(key, "lock"))


def remove_files(key: str) -> None:
    """Remove all files of a compilation."""
    for kind in ("request", "log"):
        _file(key, kind).unlink(missing_ok=True)
    shutil.rmtree(_file(key, "scratch"), ignore_errors=True)


def _file(key: str, kind: str) -> Path:
    return store.home() / f"{key}.{kind}"


class Background:
    """Starts the worker, and records its failures.

    If several clients need the same program, the first one compiles it; the others find it in
    the store. A client that ends stops its worker; a worker notices if its client is killed.

    Attributes:
        patience: time of use before a compilation starts, s: short runs would end before it pays
            off.
        failures: last line of the worker's log, by key.
    """

    def __init__(self, patience: float = PATIENCE) -> None:
        self.patience = patience
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = contextlib.ExitStack()
        self._key = ""
        self.failures: dict[str, str] = {}
        atexit.register(self.stop)

    def start(self, request: store.Request, key: str) -> bool:
        """Start a compilation, unless one runs here, or the same runs elsewhere or has failed here.

        Returns:
            True if a compilation was started.
        """
        if self.running or key in self.failures:
            return False
        with contextlib.ExitStack() as stack:
            if stack.enter_context(lock(key)) is None:
                return False
            self._lock, self._key = stack.pop_all(), key
        try:
            self._process = self._start_worker(request)
        except BaseException:  # a full disk, for example: leave the work to others
            self._clean()
            raise
        return True

    def _start_worker(self, request: store.Request) -> subprocess.Popen[bytes]:
        file = self._file("request")
        try:
            with quiet_third_parties():
                torch.save(request, file)
        except RuntimeError as error:  # as torch says that a file cannot be written
            raise ModelError(f"{file} cannot be written; {_REMEDY}") from error
        worker = [sys.executable, "-m", f"{__package__}.worker"]
        arguments = [str(self._file("request")), self._key, str(os.getpid())]
        scratch = self._file("scratch")
        scratch.mkdir(exist_ok=True)
        with self._file("log").open("w") as log:
            return subprocess.Popen(
                [*worker, *arguments],
                stdout=log,
                stderr=log,
                env=os.environ | {"TMPDIR": str(scratch)},
                start_new_session=True,  # to end it together with its C++ compiler
            )

    @property
    def running(self) -> bool:
        """True while a worker is running; if it has failed, the failure is recorded."""
        if self._process is None:
            return False
        if self._process.poll() is None:
            return True
        if self._process.returncode != 0:
            self.failures[self._key] = self._last_words(self._process.returncode)
        self._clean()
        return False

    def _last_words(self, status: int) -> str:
        lines = self._file("log").read_text().strip().splitlines()
        if full := [line for line in lines if "No space left" in line]:
            return f"{full[-1]}; {_REMEDY}"
        return f"{lines[-1] if lines else 'it said nothing'} (status {status})"

    def stop(self) -> None:
        """End the worker, if there is one."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGTERM)
            self._process.wait()
            self._clean()

    def _file(self, kind: str) -> Path:
        return _file(self._key, kind)

    def _clean(self) -> None:
        remove_files(self._key)
        self._lock.close()
        self._process = None
