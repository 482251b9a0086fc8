"""Read JSON files, write JSON and CSV files, and make data frames.

Files are written atomically: an interrupted write leaves the previous file in place.

:func:`config_file` says where the user's own files are.
"""

from __future__ import annotations

import contextlib
import csv
import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlobs_client.errors import ConfigError, MlobsError, ModelError, RecordError

if TYPE_CHECKING:
    from pandas import DataFrame


def config_file(name: str, *, error: type[MlobsError] = ConfigError) -> Path:
    """Return the path of ``mlobs/NAME`` in ``$XDG_CONFIG_HOME`` or ``~/.config``.

    Args:
        name: name of the file.
        error: error to raise if the user has no home folder.
    """
    try:
        home = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    except RuntimeError as reason:
        raise error(
            f"there is no home folder for mlobs/{name}; set XDG_CONFIG_HOME to a folder of your own"
        ) from reason
    return home / "mlobs" / name


@contextlib.contextmanager
def replacing(
    path: Path, mode: int = 0o666, *, writer: str = "", error: type[MlobsError] = RecordError
) -> Iterator[Path]:
    """Write or replace a file atomically: a reader finds the new file or the previous one.

    Args:
        path: path of the file.
        mode: permissions, minus those that the umask forbids.
        writer: part of the name of the temporary file, to distinguish processes that may write the
            same file at the same time.
        error: error to raise if the file cannot be written; its text names the file and the reason.

    Yields:
        A path to write to. That file replaces ``path`` at the end of the block, and is removed if
        the block fails.
    """
    draft = path.with_name(f"{path.name}{writer}.partial")
    try:
        if mode != 0o666:  # a remaining draft may have other permissions
            draft.unlink(missing_ok=True)
            draft.touch(mode, exist_ok=False)
        yield draft
        draft.replace(path)
    except OSError as reason:
        raise error(
            f"{path}: cannot be written: {reason.strerror or reason}; correct this, then "
            "repeat the command, which continues from the existing files"
        ) from reason
    finally:
        with contextlib.suppress(OSError):  # on a full disk, this makes room for other files
            draft.unlink()


def write_json(path: Path, content: Mapping[str, Any], mode: int = 0o666) -> None:
    """Write a mapping as JSON, atomically.

    Args:
        path: path of the file.
        content: the mapping.
        mode: permissions, minus those that the umask forbids.

    Raises:
        ModelError: the file cannot be written.
    """
    write_whole(path, (json.dumps(content, indent=1) + "\n").encode(), mode)


def write_whole(path: Path, content: bytes, mode: int = 0o666) -> None:
    """Write bytes atomically.

    Args:
        path: path of the file.
        content: the bytes.
        mode: permissions, minus those that the umask forbids.

    Raises:
        ModelError: the file cannot be written.
    """
    with replacing(path, mode, error=ModelError) as draft:
        draft.write_bytes(content)


def read_json(
    path: Path, remedy: str = "put it back, or train into another folder"
) -> dict[str, Any]:
    """Read a file written by :func:`write_json`.

    Args:
        path: path of the file.
        remedy: advice for the error about a damaged file.

    Raises:
        ModelError: the file is damaged, or cannot be read.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise ValueError("it is not a mapping")
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{path}: cannot be read ({error}); {remedy}") from error
    return content


def write_csv(path: Path, columns: Mapping[str, Sequence[str | float | None]]) -> None:
    """Write a table with a header line, atomically.

    Args:
        path: path of the file.
        columns: columns of equal length, by their headers; None and NaN become empty cells.

    Raises:
        RecordError: the file cannot be written.
    """
    with replacing(path) as draft, draft.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(map(_cell, row) for row in zip(*columns.values(), strict=True))


def data_frame(columns: Mapping[str, Any]) -> DataFrame:
    """Make a pandas data frame.

    Args:
        columns: columns of equal length, by their headers.

    Raises:
        RecordError: pandas is not installed.
    """
    try:
        import pandas
    except ImportError as error:
        raise RecordError("to_pandas needs pandas; install it: pip install pandas") from error
    return pandas.DataFrame(columns)


def _cell(value: str | float | None) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, int):
        return str(value)
    return "" if math.isnan(value) else f"{value:.10g}"
