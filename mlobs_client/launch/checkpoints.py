"""Find the files that a run can continue from: i-PI's RESTART, and those of ``<checkpoint>``.

When a run starts anew, :mod:`mlobs_client.launch.backups` moves those of an earlier run away first.
"""

from __future__ import annotations

import contextlib
import glob
import logging
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mlobs_client.errors import ConfigError
from mlobs_client.files import replacing
from mlobs_client.ipi import input as ipi_input
from mlobs_client.ipi.input import IpiInput
from mlobs_client.launch.stamps import Stamp, is_new, stamps

logger = logging.getLogger(__name__)

HEAD: Final = 1 << 16  # bytes at the start of a checkpoint in which i-PI writes the step


@dataclass(frozen=True)
class Checkpoint:
    """A complete file that i-PI can start from, its step, and the number of the last step."""

    path: Path
    step: int
    total_steps: int


def find_newest(ipi: IpiInput, before: Mapping[Path, Stamp] | None = None) -> Checkpoint | None:
    """Find the checkpoint with the largest step, beyond the start of the input.

    i-PI writes RESTART when it ends cleanly; a run that was killed has its checkpoints. Files that
    are truncated, or have other outputs or forcefields, are skipped with a warning. A run that was
    killed while it wrote its first checkpoint starts anew.

    Args:
        ipi: the input of the run.
        before: :func:`stamps_of` at the start of this run; unchanged files are from an earlier run.

    Raises:
        ConfigError: there are checkpoints, but all are truncated, and none is of the first step.
    """
    found: Checkpoint | None = None
    unusable, is_early = [], False
    for expected, path in _newest_first(ipi, before or {}):
        if found is not None and expected < found.step:
            break  # the others are older: those of a long run take long to read
        try:
            read = ipi_input.read(path)
        except ConfigError as error:
            logger.warning("%s is not used: %s", path, error)
            unusable.append(path)
            is_early |= path.name.endswith("_0")  # the first that is kept, of the first step
            continue
        if not _belongs(read, ipi):
            logger.warning("%s is not used: it does not belong to %s", path, ipi.path)
        elif read.step <= ipi.step:
            is_early = True
        elif found is None or read.step > found.step:
            found = Checkpoint(path, read.step, read.total_steps)
    if found is None and unusable and not is_early:
        raise ConfigError(
            f"nothing to continue from: {', '.join(path.name for path in unusable)} in "
            f"{ipi.path.parent.resolve()} cannot be read, and must be removed to start anew"
        )
    return found


def set_total_steps(checkpoint: Path, total_steps: int) -> None:
    """Change the number of the last step in a checkpoint, all at once.

    Args:
        checkpoint: path of a file that i-PI wrote.
        total_steps: as ``<total_steps>``, counted from the start of the run.

    Raises:
        ConfigError: it cannot be read, written or changed.
    """
    text = checkpoint.read_text(encoding="utf-8")
    tag = f"<total_steps>{total_steps}</total_steps>"
    changed, n_tags = re.subn(r"<total_steps\b[^>]*>[^<]*</total_steps>", tag, text)
    if n_tags == 0:  # i-PI leaves out what is as by default
        changed = re.sub(r"<simulation\b[^>]*>", lambda start: f"{start[0]}\n   {tag}", text)
    if ipi_input.read_content(changed.encode(), checkpoint).total_steps != total_steps:
        raise ConfigError(
            f"{checkpoint}: <total_steps> is not where i-PI writes it; change it there"
        )
    with replacing(checkpoint, error=ConfigError) as draft:
        draft.write_text(changed, encoding="utf-8")


def _newest_first(ipi: IpiInput, before: Mapping[Path, Stamp]) -> list[tuple[float, Path]]:
    """Return the step in the head of each new file, infinite if there is none, and its path."""
    listed = []
    for path in find_files(ipi):
        with contextlib.suppress(FileNotFoundError):
            if is_new(path, before):
                listed.append((_step_in_head(path), path.stat().st_mtime, path))
    return [(step, path) for step, _, path in sorted(listed, reverse=True)]


def _step_in_head(path: Path) -> float:
    with contextlib.suppress(OSError), path.open("rb") as stream:
        if match := re.search(rb"<step>\s*(\d{1,18})\s*</step>", stream.read(HEAD)):
            return int(match[1])
    return math.inf  # the parser says what is wrong


def stamps_of(ipi: IpiInput) -> dict[Path, Stamp]:
    """Return the stamps of all files that a run could continue from.

    Raises:
        OSError: a file cannot be inspected.
    """
    return stamps(find_files(ipi))


def find_files(ipi: IpiInput) -> Iterator[Path]:
    """Yield files that a run could continue from, RESTART first.

    i-PI appends ``_STEP`` to the name of a checkpoint that it keeps.
    """
    yield from ipi.path.parent.glob("RESTART")
    for name in ipi.checkpoints:
        path = ipi.file(name)
        yield from path.parent.glob(glob.escape(path.name))
        yield from path.parent.glob(f"{glob.escape(path.name)}_[0-9]*")


def _belongs(checkpoint: IpiInput, ipi: IpiInput) -> bool:
    """Return whether it writes the same files, with forces from the same forcefields."""
    forcefields = [{ff.name for ff in one.forcefields} for one in (checkpoint, ipi)]
    return checkpoint.prefix == ipi.prefix and forcefields[0] == forcefields[1]
