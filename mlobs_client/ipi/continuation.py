"""Join the files of a run that was killed and continued."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from functools import reduce
from pathlib import Path

import numpy as np

from mlobs_client.errors import RecordError
from mlobs_client.structure import Array, Integers

logger = logging.getLogger(__name__)


def find_history(steps: Integers | Array, path: Path, entries: str) -> Integers:
    """Return the entries of the last history, in order, and log how many were replaced.

    A run that is continued from a checkpoint repeats some steps: where the step decreases, all
    earlier entries from that step on are replaced.

    Args:
        steps: steps of the entries in the order of the files, shape ``(n_entries,)``.
        path: path of the (first) file, for the log.
        entries: noun for the entries, such as "frames", for the log.

    Returns:
        Indices of the entries to keep; their steps rise strictly.
    """
    if len(steps) == 0:
        return np.empty(0, np.int64)
    smallest_after = np.minimum.accumulate(steps[::-1])[::-1]
    keep = np.append(steps[:-1] < smallest_after[1:], True)
    if replaced := np.count_nonzero(~keep):
        logger.warning("%s: %d %s replaced, because the run repeated them", path, replaced, entries)
    return np.flatnonzero(keep)


def find_bead_files(base: Path) -> dict[int, Path]:
    """Return i-PI's files ``base_00``, ``base_01``, ... by bead, with or without ``.xyz``.

    Raises:
        RecordError: there are none, or a bead has two.
    """
    pattern = re.compile(re.escape(base.name) + r"_(\d+)(?:\.xyz|\.extxyz)?")
    found: dict[int, Path] = {}
    for name in _names_in(base.parent):
        if match := pattern.fullmatch(name):
            path = base.parent / name
            if (other := found.setdefault(int(match[1]), path)) != path:
                raise RecordError(
                    f"{path}: {other.name} is also bead {int(match[1])}; move the file of the "
                    "other run to another folder"
                )
    if not found:
        raise RecordError(
            f"{base}: there are no files {base.name}_0, {base.name}_1, ... of beads; give the "
            "name as in filename= of i-PI's input, with its prefix"
        )
    return dict(sorted(found.items()))


def collect_beads(bases: Sequence[Path]) -> dict[int, list[Path]]:
    """Return the files of each bead, from several folders of one run.

    The number of beads is compared with that of other trajectories of the run. i-PI may have been
    asked for one bead alone (``bead='2'``) or every second one (``bead='-2'``); this is logged.

    Raises:
        RecordError: beads are missing, or the folders have different beads.
    """
    found = [find_bead_files(base) for base in bases]
    for base, files in zip(bases, found, strict=True):
        if files.keys() != found[0].keys():
            raise RecordError(
                f"{base}: has the beads {list(files)}, but {bases[0]} has {list(found[0])}"
            )
        _check_complete(base, list(files))
    return {bead: [files[bead] for files in found] for bead in (found[0] if found else ())}


def common_steps(steps: Sequence[Integers], base: Path) -> Integers:
    """Return the steps that all beads have, and log how many others are left out.

    Args:
        steps: steps of each bead.
        base: path of the files without bead, for messages.

    Raises:
        RecordError: the beads have no step in common.
    """
    common = reduce(np.intersect1d, steps)
    if longest := max(map(len, steps)) - len(common):
        logger.warning("%s: %d steps that not all beads have are left out", base, longest)
    if len(common) == 0:
        raise RecordError(f"{base}: the files of the beads have no step in common")
    return common


def say_other_beads(path: Path) -> None:
    """Log a warning if a file belongs to one of several beads."""
    match = re.fullmatch(r"(.+)_\d+(?:\.xyz|\.extxyz)?", path.name)
    if match and (others := find_bead_files(path.with_name(match[1]))) and len(others) > 1:
        logger.warning(
            "%s: is one of %d beads; for their mean, give %s",
            path,
            len(others),
            path.with_name(match[1]),
        )


def _check_complete(base: Path, beads: list[int]) -> None:
    n_beads = max(beads[-1], _last_bead_of_others(base)) + 1
    listed = ", ".join(map(str, beads))
    if len(beads) > 1 and beads != list(range(0, n_beads, beads[1])):
        missing = ", ".join(str(bead) for bead in range(n_beads) if bead not in beads)
        raise RecordError(
            f"{base}: has the beads {listed}, but {missing} of {n_beads} are missing, and a mean "
            "needs all: put their files back, or move the files of other runs away"
        )
    if len(beads) < n_beads:
        logger.warning("%s: has only the beads %s of at least %d", base, listed, n_beads)


def _last_bead_of_others(base: Path) -> int:
    """Return the last bead of any trajectory with the same prefix."""
    prefix = base.name.rpartition(".")[0]
    pattern = re.compile(re.escape(prefix) + r"\.[^.]*_(\d+)\.(?:xyz|extxyz)")
    matches = (pattern.fullmatch(name) for name in _names_in(base.parent))
    return max((int(match[1]) for match in matches if match), default=0)


def _names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
