"""Move what earlier runs left into the folder ``backups``, before i-PI would rename it.

Each call fills a new subfolder, ``backups/1``, ``backups/2``, ..., in which the files keep their
names, so that all commands read them there. Files are renamed one by one, checkpoints first: as
long as a kill has left a checkpoint to continue from, all outputs are there, too.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from mlobs_client.errors import ConfigError, LaunchError
from mlobs_client.ipi import input as ipi_input
from mlobs_client.ipi.input import IpiInput
from mlobs_client.launch.checkpoints import find_files

logger = logging.getLogger(__name__)

FOLDER: Final = "backups"
BLOWN_UP: Final = "RESTART-blown-up"
"""The RESTART of a run that has exploded, from which none continues."""
_RENAMED: Final = re.compile(r"#(.+)#(\d+)#")  # by i-PI 3.3.1, ipi/utils/io/__init__.py
_ENDINGS: Final = r"(_\d+)?(\.(xyz|extxyz|pdb|bin|json|npy))?"  # that i-PI adds to a trajectory


def back_up(ipi: IpiInput, needed: Iterable[Path]) -> None:
    """Move what earlier runs left; a run that is continued keeps its checkpoints and outputs.

    Args:
        ipi: the input with which i-PI will start.
        needed: files that the clients read, which stay.

    Raises:
        LaunchError: a file cannot be moved, or the run would replace the file that it starts from.
    """
    left = list(ipi.path.parent.glob(BLOWN_UP))
    if ipi.step == 0:
        named = _find_named(ipi)
        stay = {ipi.path.resolve(), *named, *(path.resolve() for path in needed)}
        checkpoints = list(find_files(ipi))
        for path in checkpoints:
            if path.resolve() in named:
                raise LaunchError(
                    f"{ipi.path.name} reads {path.name}, which the run itself would replace; "
                    f"rename that file, and write its new name into {ipi.path.name}"
                )
        found = dict.fromkeys([*checkpoints, *left, *find_outputs(ipi)])
        left = [path for path in found if path.resolve() not in stay]
    if target := _move(ipi.path.parent, ((path, path.name) for path in left)):
        names = ", ".join(path.name for path in left)
        logger.warning("files of an earlier run are kept in %s: %s", target, names)


def set_aside(ipi: IpiInput, beyond: int) -> None:
    """Move checkpoints from after an explosion.

    Args:
        ipi: the input of the run.
        beyond: a step; files of this step or an earlier one stay, and so do truncated files.

    Raises:
        LaunchError: a file cannot be moved.
    """
    hot = [path for path in find_files(ipi) if _is_beyond(path, beyond)]
    target = _move(ipi.path.parent, ((path, path.name) for path in hot))
    for path in hot:
        logger.warning("%s is from after the explosion, and is kept in %s", path, target)


def move_renamed(folder: Path) -> list[Path]:
    """Move files that i-PI renamed to ``#NAME#0#``, ``#NAME#1#``, ..., with their first names.

    Returns:
        The subfolders that were made, one for each number.

    Raises:
        LaunchError: a file cannot be moved.
    """
    of: dict[int, list[tuple[Path, str]]] = {}
    for path in sorted(folder.iterdir()):
        if (match := _RENAMED.fullmatch(path.name)) and path.is_file():
            of.setdefault(int(match[2]), []).append((path, match[1]))
    moved = (_move(folder, of[number]) for number in sorted(of))
    return [target for target in moved if target is not None]


def find_outputs(ipi: IpiInput) -> Iterator[Path]:
    """Find properties and trajectories that were written with an input.

    Raises:
        OSError: a folder cannot be read.
    """
    bases = [(file, "") for output in ipi.properties for file in ipi.files(output.filename)]
    bases += [(file, _ENDINGS) for one in ipi.trajectories for file in ipi.files(one.filename)]
    for base, endings in bases:
        pattern = re.compile(re.escape(base.name) + endings)
        for path in sorted(base.parent.iterdir()) if base.parent.is_dir() else ():
            if pattern.fullmatch(path.name) and path.is_file():
                yield path


def _find_named(ipi: IpiInput) -> set[Path]:
    """Return the files that an input names; i-PI reads them before it renames them."""
    names = {(tag.text or "").strip() for tag in ipi_input.parse(ipi.path).iter()}
    return {(ipi.path.parent / name).resolve() for name in names}


def _move(folder: Path, files: Iterable[tuple[Path, str]]) -> Path | None:
    """Move files into the next subfolder.

    Args:
        folder: folder of the run.
        files: path of each file, and its name in the subfolder.

    Returns:
        The subfolder; None if there are no files.

    Raises:
        LaunchError: a file cannot be moved.
    """
    target = None
    try:
        for path, name in files:
            if target is None or (target / name).exists():  # the same name in another folder
                target = _next(folder / FOLDER)
                target.mkdir(parents=True)
            path.rename(target / name)
    except OSError as error:
        raise LaunchError(
            f"{path} of an earlier run cannot be moved into {folder / FOLDER}: {error.strerror}; "
            "mend that, or move it away yourself"
        ) from error
    return target


def _is_beyond(path: Path, step: int) -> bool:
    try:
        return ipi_input.read(path).step > step
    except ConfigError:
        return False


def _next(folder: Path) -> Path:
    """Return the first free number, after all that were used."""
    numbers = [int(path.name) for path in folder.glob("*") if path.name.isdecimal()]
    return folder / str(max(numbers, default=0) + 1)
