"""Capture the output of models and calculators, from Python, C and programs that they start."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field

from mlobs_client.check.finding import Finding, ok, split_remedy, warning


@dataclass
class Caught:
    """Captured output.

    Attributes:
        n_lines: number of lines written to stdout and stderr.
        logged: warnings of this package.
    """

    n_lines: int = 0
    logged: list[str] = field(default_factory=list)

    def findings(self, subject: str) -> Iterator[Finding]:
        """Yield a finding for each warning, and one for the number of lines of output.

        Args:
            subject: name of the models in the findings.
        """
        if self.n_lines:
            yield ok(f"{subject}: {self.n_lines} lines of output of its models are not shown")
        for text in dict.fromkeys(self.logged):
            what, remedy = split_remedy(text)
            yield warning(
                f"{subject}: {what}", remedy or "correct it, or ignore it if it is intended"
            )


class _Collector(logging.Handler):
    def __init__(self, texts: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._texts = texts

    def emit(self, record: logging.LogRecord) -> None:
        self._texts.append(record.getMessage())


@contextlib.contextmanager
def caught(said: Caught) -> Iterator[None]:
    """Capture all output in this context, including that of C code.

    Args:
        said: object to which the output is added.
    """
    ours = logging.getLogger("mlobs_client")
    collector = _Collector(said.logged)
    ours.addHandler(collector)
    propagated, ours.propagate = ours.propagate, False
    try:
        with tempfile.TemporaryFile("w+", errors="replace") as file:
            with _redirected(file.fileno()), contextlib.redirect_stdout(file):
                with contextlib.redirect_stderr(file):
                    yield
                file.flush()
            file.seek(0)
            said.n_lines += sum(1 for line in file if line.strip())
    finally:
        ours.removeHandler(collector)
        ours.propagate = propagated


@contextlib.contextmanager
def _redirected(target: int) -> Iterator[None]:
    """Redirect the descriptors 1 and 2 to a file."""
    _flush()
    saved = [(number, os.dup(number)) for number in (1, 2)]
    try:
        for number, _ in saved:
            os.dup2(target, number)
        yield
    finally:
        _flush()
        for number, copy in saved:
            os.dup2(copy, number)
            os.close(copy)


def _flush() -> None:
    """Flush the buffers of Python and C before their descriptors change."""
    for stream in (sys.__stdout__, sys.__stderr__):
        if stream is not None:
            stream.flush()
    ctypes.CDLL(None).fflush(None)
