"""Files of a committee: each is written whole, or the one before it stays."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from mlobs_client.errors import ModelError


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a file, or replace it, at once.

    Raises:
        ModelError: it cannot be written.
    """
    _write(path, (json.dumps(content, indent=1) + "\n").encode())


def write_pickle(path: Path, content: Mapping[str, Any] | torch.nn.Module) -> None:
    """The same for what torch writes: a checkpoint, or a network.

    Raises:
        ModelError: it cannot be written.
    """
    memory = io.BytesIO()  # to a file, torch says of a full disk that its position is wrong
    torch.save(content, memory)
    _write(path, memory.getvalue())


def _write(path: Path, content: bytes) -> None:
    unfinished = path.with_name(f"{path.name}.partial")
    try:
        unfinished.write_bytes(content)
        unfinished.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):  # room for others
            unfinished.unlink()
        raise ModelError(
            f"{path}: cannot be written: {error.strerror}; mend that and give the same line again, "
            "which goes on from what is there"
        ) from error


def read_json(path: Path) -> dict[str, Any]:
    """Read what :func:`write_json` has written.

    Raises:
        ModelError: it is damaged, or cannot be read.
    """
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{path}: cannot be read ({error}); put it back, or train into another folder"
        ) from error
    return content
