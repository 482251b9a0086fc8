"""Files that parameters of a calculator name, and whether loading them can run code.

What a calculator makes of a name, only the calculator knows: a path, a pattern, with ``~`` for the
home folder or for a folder of that name. So all that a name can mean is looked at.
"""

from __future__ import annotations

import glob
import os
import pickle
import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final, NoReturn

import numpy as np

_NUMPY: Final = b"\x93NUMPY"


def that_can_run_code(parameters: object, folder: Path = Path()) -> Iterator[Path]:
    """Files that parameters name, at any depth, and that can run code when they are loaded.

    Args:
        parameters: texts, and mappings and sequences of such; all else names no file.
        folder: to which names are relative.
    """
    if isinstance(parameters, str):
        yield from [path for path in _named(parameters, folder) if can_run_code(path)]
    elif isinstance(parameters, Mapping | list | tuple):
        several = parameters.values() if isinstance(parameters, Mapping) else parameters
        for one in several:
            yield from that_can_run_code(one, folder)


def can_run_code(path: Path) -> bool:
    """Whether this looks like what torch, numpy or pickle writes: loading it can run any code.

    One that cannot be read may be all that.
    """
    try:
        if zipfile.is_zipfile(path) or tarfile.is_tarfile(path):  # torch reads both
            return True
        with path.open("rb") as file:
            start = file.read(len(_NUMPY))
            file.seek(0)
            return _has_objects(file) if start == _NUMPY else _is_pickle(file)
    except OSError:
        return True


class _Reader(pickle._Unpickler):
    """Reads a pickle as far as it can be read without code: a call needs a name of a function.

    The one in Python: that in C takes gigabytes for what a plain text would mean to it.
    """

    def find_class(self, module: str, name: str, /) -> Any:
        words = [*module.split("."), *name.split(".")]
        if all(word.isidentifier() for word in words):
            raise _RunsCodeError
        raise pickle.UnpicklingError  # a text, such as "clear" and "units metal" of LAMMPS

    def persistent_load(self, pid: Any, /) -> NoReturn:
        raise _RunsCodeError


class _RunsCodeError(Exception):
    """A pickle that names a function or a class."""


def _is_pickle(file: BinaryIO) -> bool:
    """Of any protocol: the first ones are plain text, and need neither a mark nor an end."""
    protocol = file.read(1)
    if protocol == pickle.PROTO:
        return True
    file.seek(0)
    try:
        _Reader(file).load()
    except _RunsCodeError:
        return True
    except Exception:  # what is no pickle raises anything
        return False
    return True


def _has_objects(file: BinaryIO) -> bool:
    """Whether an array of numpy holds objects, which are pickled."""
    try:
        np.load(file, allow_pickle=False)
    except Exception:  # objects, or damaged
        return True
    return False


def _named(text: str, folder: Path) -> list[Path]:
    """All files that a text can mean: as it stands, as a pattern, and with its ``~`` expanded.

    With the functions of strings, for pathlib refuses names ("~nobody/x", "***") that others open.
    """
    names = {text, os.path.expanduser(text)}  # noqa: PTH111 (see above)
    found = {
        match
        for name in names
        for recursive in (False, True)
        for match in glob.glob(name, root_dir=folder, recursive=recursive)  # noqa: PTH207
    }
    paths = [folder / name for name in sorted(names | found)]
    return [path for path in paths if os.path.isfile(path)]  # noqa: PTH113
