"""One history from the files of a run that was killed and continued."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import numpy as np

from mlobs_client.errors import RecordError
from mlobs_client.structure import Array, Integers

logger = logging.getLogger(__name__)


def find_history(steps: Integers | Array, path: Path, entries: str) -> Integers:
    """Return which entries belong to the last history, in order, and log how many do not.

    A run that is continued from a checkpoint does some steps again: where the step goes back,
    all that was written from that step on belongs to a history that did not happen.

    Args:
        steps: shape ``(n_entries,)``, of each entry as it stands in the files.
        path: of the (first) file, for the log.
        entries: what they are, for the log: "frames".

    Returns:
        Indices of the entries to keep; their steps rise strictly.
    """
    if len(steps) == 0:
        return np.empty(0, np.int64)
    smallest_after = np.minimum.accumulate(steps[::-1])[::-1]
    keep = np.append(steps[:-1] < smallest_after[1:], True)
    if replaced := np.count_nonzero(~keep):
        logger.warning("%s: %d %s replaced: the run did these steps again", path, replaced, entries)
    return np.flatnonzero(keep)


def find_bead_files(base: Path, suffix: str = "") -> dict[int, Path]:
    """Return i-PI's files ``base_00SUFFIX``, ``base_01SUFFIX``, ... by bead.

    Raises:
        RecordError: there are none.
    """
    pattern = re.compile(re.escape(base.name) + r"_(\d+)" + (suffix or r"(?:\.xyz|\.extxyz)?"))
    folder = base.parent
    names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    found = {int(m[1]): folder / m[0] for name in names if (m := pattern.fullmatch(name))}
    if not found:
        raise RecordError(
            f"{base}: there are no files {base.name}_0, {base.name}_1, ... of beads; give the "
            "name as in filename= of i-PI's input, with its prefix"
        )
    return dict(sorted(found.items()))


def collect_beads(bases: tuple[Path, ...], suffix: str = "") -> dict[int, list[Path]]:
    """Return the files of each bead, over several folders of one run.

    Raises:
        RecordError: a folder has other beads than the first, or none.
    """
    found = [find_bead_files(base, suffix) for base in bases]
    for base, files in zip(bases, found, strict=True):
        if files.keys() != found[0].keys():
            raise RecordError(
                f"{base}: has the beads {list(files)}, but {bases[0]} has {list(found[0])}"
            )
    return {bead: [files[bead] for files in found] for bead in (found[0] if found else ())}
