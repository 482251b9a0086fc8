"""Find the frames of an xyz file, even if a kill has truncated it.

i-PI's own ``read_xyz`` returns a truncated frame as complete, with zeros for the missing atoms, and
reads a unit such as ``ev/ang`` or ``m/s`` as atomic units, because its pattern allows letters only;
it also reads line by line (half a minute for 10 000 frames of 48 atoms).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Final

from mlobs_client.errors import RecordError

logger = logging.getLogger(__name__)

MOST_DIGITS: Final = 18
"""Largest number of digits in a step or a count: more do not fit into 64 bits."""

_STEP: Final = re.compile(rb"Step:\s+(\d+)")
_BEAD: Final = re.compile(rb"Bead:\s+(\d+)")


@dataclass(frozen=True, slots=True)
class FrameLocation:
    """The location of a frame in a file.

    Attributes:
        path: path of the file.
        offset: offset of the comment line, bytes.
        line: number of the comment line, from 1.
        n_atoms: number of lines after the comment.
        step: step of i-PI; -1 if the comment has none.
        bead: bead of i-PI; -1 if the comment has none.
    """

    path: Path
    offset: int
    line: int
    n_atoms: int
    step: int
    bead: int

    def read(self, file: BinaryIO) -> tuple[str, list[str]]:
        """Return the comment and the lines of the atoms.

        Raises:
            RecordError: they are not valid UTF-8.
        """
        if file.tell() != self.offset:
            file.seek(self.offset)
        try:
            comment = file.readline().decode()
            return comment, [line.decode() for line in islice(file, self.n_atoms)]
        except UnicodeDecodeError as error:
            raise RecordError(
                f"{self.path}:{self.line}: this frame is not UTF-8 text ({error.reason} "
                f"{error.object[error.start : error.end]!r}); remove it, or convert the file with: "
                "iconv -f latin1 -t utf-8"
            ) from error


def find_frames(path: Path) -> list[FrameLocation]:
    """Find the complete frames of a file; truncated ones are left out with a warning.

    Raises:
        RecordError: the file is missing, is not xyz, or has frames with different numbers of atoms.
    """
    try:
        with path.open("rb") as file:
            return list(_scan(path, file))
    except OSError as error:
        raise RecordError(f"{path}: cannot be read: {error.strerror}") from error


def _scan(path: Path, file: BinaryIO) -> Iterator[FrameLocation]:
    n_atoms = _count_atoms(path, file.readline())
    offset, line, mark = file.tell(), 2, b""
    while comment := file.readline():
        mark = mark or comment[:6]  # how comments of this file begin: "# CELL", "Lattic"
        body = list(islice(file, n_atoms))
        count = file.readline()
        if (lost := _find_comment([*body, count], mark)) is not None:
            # i-PI was killed within this frame and continued behind it: its next comment is here
            logger.warning("%s:%d: this frame is truncated and left out", path, line)
            file.seek(offset + len(comment) + sum(map(len, body[:lost])))
            offset, line = file.tell(), line + 1 + lost
            continue
        if len(body) < n_atoms or not _is_whole(comment, body):
            logger.warning("%s:%d: the last frame is truncated and left out", path, line)
            return
        where = f"{path}:{line}"
        step, bead = _number(_STEP, comment, where), _number(_BEAD, comment, where)
        yield FrameLocation(path, offset, line, n_atoms, step, bead)
        if not count.strip():
            return
        _check_count(path, line + 1 + n_atoms, count, n_atoms)
        offset, line = file.tell(), line + 2 + n_atoms


def _is_whole(comment: bytes, body: list[bytes]) -> bool:
    """Return whether the last line is complete; files that people write may lack a final newline.

    In files of i-PI, which show the step, all lines have the same length: a shorter one was
    truncated by a kill.
    """
    last = body[-1]
    if last.endswith(b"\n"):
        return True
    before = body[-2].rstrip(b"\n") if len(body) > 1 else b""
    if _STEP.search(comment) is not None:
        return len(last) == len(before)
    return len(last.split()) >= max(4, len(before.split()))


def _number(pattern: re.Pattern[bytes], comment: bytes, where: str) -> int:
    match = pattern.search(comment)
    name = pattern.pattern.decode()[:4]
    return whole_number(match[1].decode(), f"{where}: {name}") if match else -1


def _find_comment(lines: list[bytes], mark: bytes) -> int | None:
    if not mark.strip():
        return None
    return next((i for i, text in enumerate(lines) if text.startswith(mark)), None)


def whole_number(text: str, where: str) -> int:
    """Read a whole number without a sign, such as a step or a count.

    Args:
        text: ASCII digits.
        where: file, line and name of the number, for the error message.

    Raises:
        RecordError: it has other characters, or does not fit into 64 bits.
    """
    if not (text.isascii() and text.isdigit()) or len(text) > MOST_DIGITS:
        shown = f"{text[:40]!r}{' ...' if len(text) > 40 else ''}"
        raise RecordError(f"{where}: {shown} is not a whole number of at most {MOST_DIGITS} digits")
    return int(text)


def _count_atoms(path: Path, text: bytes) -> int:
    word = text.strip().decode(errors="replace")
    try:
        if n_atoms := whole_number(word, f"{path}:1"):
            return n_atoms
    except RecordError:
        pass
    raise RecordError(
        f"{path}:1: {word[:40]!r} is not a number of atoms, so this is not an xyz file; "
        "write trajectories with format='xyz' or format='ase'"
    )


def _check_count(path: Path, line: int, text: bytes, n_atoms: int) -> None:
    word = text.strip().decode(errors="replace")
    if not word.endswith(str(n_atoms)):  # the digits of a cut line may stand in front
        raise RecordError(
            f"{path}:{line}: {word[:40]!r} where {n_atoms} atoms are expected; a trajectory has "
            "the same atoms in all frames"
        )
