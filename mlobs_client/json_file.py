"""JSON files: each is written whole, or the one before it stays."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlobs_client.errors import ModelError


def write_json(path: Path, content: Mapping[str, Any], mode: int = 0o666) -> None:
    """Write a file, or replace it, at once.

    Args:
        path: of the file.
        content: of the table.
        mode: who may read and write it, less what the umask forbids.

    Raises:
        ModelError: it cannot be written.
    """
    write_whole(path, (json.dumps(content, indent=1) + "\n").encode(), mode)


def write_whole(path: Path, content: bytes, mode: int = 0o666) -> None:
    """The same for any content.

    Raises:
        ModelError: it cannot be written.
    """
    unfinished = path.with_name(f"{path.name}.partial")
    try:
        if mode != 0o666:  # one that was left behind may be anybody's
            unfinished.unlink(missing_ok=True)
            unfinished.touch(mode, exist_ok=False)
        unfinished.write_bytes(content)
        unfinished.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):  # room for others
            unfinished.unlink()
        raise ModelError(
            f"{path}: cannot be written: {error.strerror}; mend that and give the same line again, "
            "which goes on from what is there"
        ) from error


def read_json(
    path: Path, remedy: str = "put it back, or train into another folder"
) -> dict[str, Any]:
    """Read what :func:`write_json` has written.

    Args:
        path: of the file.
        remedy: what to do about one that is damaged.

    Raises:
        ModelError: it is damaged, or cannot be read.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise ValueError("it is no table")
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{path}: cannot be read ({error}); {remedy}") from error
    return content
