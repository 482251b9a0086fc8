"""Files of a small run, and i-PI in this process."""

from __future__ import annotations

import contextlib
import os
import warnings
from pathlib import Path
from typing import Any

import pytest
from small_run import case, texts

from mlobs_client.check import ipi_parser

__all__ = ["case", "texts"]


@pytest.fixture
def ipi_in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let i-PI read inputs here: a process of its own for each takes a second and a half."""

    def ask(path: Path, folder: Path) -> dict[str, Any]:
        file = os.path.relpath(path.absolute(), folder.absolute())
        with contextlib.chdir(folder), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # those of i-PI
            return ipi_parser._answer(file)

    monkeypatch.setattr(ipi_parser, "_ask", ask)
