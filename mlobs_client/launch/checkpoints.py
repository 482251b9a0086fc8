"""Find the files that a run can continue from: i-PI's RESTART, and those of ``<checkpoint>``.

Files of an earlier run with the same names are renamed when a new run starts.
"""

from __future__ import annotations

import glob
import itertools
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from mlobs_client.errors import ConfigError
from mlobs_client.ipi import input as ipi_input
from mlobs_client.ipi.input import IpiInput
from mlobs_client.launch.stamps import Stamp, is_new, stamps

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Checkpoint:
    """A complete file that i-PI can start from, and its step."""

    path: Path
    step: int


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
    found, unusable, is_early = [], [], False
    for path in _files(ipi):
        try:
            if not is_new(path, before or {}):
                continue
            written = path.stat().st_mtime
            read = ipi_input.read(path)
        except (ConfigError, OSError) as error:
            logger.warning("%s is not used: %s", path, error)
            unusable.append(path)
            is_early |= path.name.endswith("_0")  # the first that is kept, of the first step
            continue
        if not _belongs(read, ipi):
            logger.warning("%s is not used: it does not belong to %s", path, ipi.path)
        elif read.step > ipi.step:
            found.append((read.step, written, path))
        else:
            is_early = True
    if found:
        step, _, path = max(found)
        return Checkpoint(path, step)
    if unusable and not is_early:
        raise ConfigError(
            f"nothing to continue from: {', '.join(path.name for path in unusable)} in "
            f"{ipi.path.parent.resolve()} cannot be read, and must be removed to start anew"
        )
    return None


def stamps_of(ipi: IpiInput) -> dict[Path, Stamp]:
    """Return the stamps of all files that a run could continue from.

    Raises:
        OSError: a file cannot be inspected.
    """
    return stamps(_files(ipi))


def set_aside(ipi: IpiInput, why: str, beyond: int | None = None) -> None:
    """Rename files to ``#NAME#0#``, ``#NAME#1#``, ..., as i-PI does with outputs.

    Args:
        ipi: the input of the run.
        why: reason not to continue from them, for the log.
        beyond: a step; files of this step or an earlier one stay, and so do truncated files.
    """
    for path in [path for path in _files(ipi) if beyond is None or _is_beyond(path, beyond)]:
        names = (path.with_name(f"#{path.name}#{k}#") for k in itertools.count())
        kept = next(name for name in names if not name.exists())
        path.rename(kept)
        logger.warning("%s is %s, and is kept as %s", path, why, kept.name)


def _files(ipi: IpiInput) -> Iterator[Path]:
    """Yield existing files; i-PI appends ``_STEP`` to the name of a checkpoint that it keeps."""
    yield from ipi.path.parent.glob("RESTART")
    for name in ipi.checkpoints:
        path = ipi.file(name)
        yield from path.parent.glob(glob.escape(path.name))
        yield from path.parent.glob(f"{glob.escape(path.name)}_[0-9]*")


def _is_beyond(path: Path, step: int) -> bool:
    try:
        return ipi_input.read(path).step > step
    except ConfigError:
        return False


def _belongs(checkpoint: IpiInput, ipi: IpiInput) -> bool:
    """Return whether it writes the same files, with forces from the same forcefields."""
    forcefields = [{ff.name for ff in one.forcefields} for one in (checkpoint, ipi)]
    return checkpoint.prefix == ipi.prefix and forcefields[0] == forcefields[1]
