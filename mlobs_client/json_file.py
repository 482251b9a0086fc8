"""JSON files: each is written whole, or the one before it stays."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlobs_client.errors import ModelError


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a file, or replace it, at once.

    Raises:
        ModelError: it cannot be written.
    """
    write_whole(path, (json.dumps(content, indent=1) + "\n").encode())


def write_whole(path: Path, content: bytes) -> None:
    """The same for any content.

    Raises:
        ModelError: it cannot be written.
    """
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
