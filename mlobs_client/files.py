"""Files that are written whole, or the one before stays: JSON, and tables as CSV or for pandas."""

from __future__ import annotations

import contextlib
import csv
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlobs_client.errors import MlobsError, ModelError, RecordError

if TYPE_CHECKING:
    from pandas import DataFrame


@contextlib.contextmanager
def replacing(
    path: Path, mode: int = 0o666, *, writer: str = "", error: type[MlobsError] = RecordError
) -> Iterator[Path]:
    """Write a file, or replace it, at once: a reader finds all of it, or the one before.

    Args:
        path: of the file.
        mode: who may read and write it, less what the umask forbids.
        writer: tells apart processes that may write the same file at the same time.
        error: raised where it cannot be written; its text names the file and the reason.

    Yields:
        Where to write. That file takes the place of ``path`` when the block has ended, and is
        removed if the block fails.
    """
    draft = path.with_name(f"{path.name}{writer}.partial")
    try:
        if mode != 0o666:  # one that was left behind may be anybody's
            draft.unlink(missing_ok=True)
            draft.touch(mode, exist_ok=False)
        yield draft
        draft.replace(path)
    except OSError as reason:
        raise error(
            f"{path}: cannot be written: {reason.strerror or reason}; mend that and give the same "
            "line again, which goes on from what is there"
        ) from reason
    finally:
        with contextlib.suppress(OSError):  # of a full disk: room for others
            draft.unlink()


def write_json(path: Path, content: Mapping[str, Any], mode: int = 0o666) -> None:
    """Write a table as JSON; arguments as for :func:`replacing`.

    Raises:
        ModelError: it cannot be written.
    """
    write_whole(path, (json.dumps(content, indent=1) + "\n").encode(), mode)


def write_whole(path: Path, content: bytes, mode: int = 0o666) -> None:
    """Write bytes; arguments as for :func:`replacing`.

    Raises:
        ModelError: it cannot be written.
    """
    with replacing(path, mode, error=ModelError) as draft:
        draft.write_bytes(content)


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


def write_csv(path: Path, columns: Mapping[str, Sequence[str | float | None]]) -> None:
    """Write a table, or replace it, at once: a header line, and nothing for what is not known.

    Args:
        path: of the file.
        columns: by their headers, all of one length; None and NaN are not known.

    Raises:
        RecordError: it cannot be written.
    """
    with replacing(path) as draft, draft.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(map(_cell, row) for row in zip(*columns.values(), strict=True))


def data_frame(columns: Mapping[str, Any]) -> DataFrame:
    """Make a table of pandas.

    Args:
        columns: sequences of one length, by their headers.

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
