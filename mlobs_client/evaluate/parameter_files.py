"""Find files that the parameters of a calculator name, and that could run code when loaded.

Only the calculator knows how it reads a name: as a path or a pattern, with ``~`` for the home
folder or for a folder of that name. So all possible meanings of a name are checked, including
compressed files and all files in a folder. The working folder and its parents are left out:
calculators name them as the place to work in.
"""

from __future__ import annotations

import bz2
import contextlib
import glob
import gzip
import io
import lzma
import os
import pickle
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NoReturn

import numpy as np

from mlobs_client.errors import ModelError

MOST: Final = 10_000
"""Largest number of files in a folder that are checked."""

_NUMPY: Final = b"\x93NUMPY"


def that_can_run_code(parameters: object, folder: Path = Path()) -> Iterator[Path]:
    """Yield files that parameters name, at any depth, and that can run code when loaded.

    Args:
        parameters: strings, and mappings and sequences of these; nothing else names a file.
        folder: folder to which names are relative.

    Raises:
        ModelError: a named folder has too many files to check.
    """
    if isinstance(parameters, str):
        yield from [path for path in _named(parameters, folder) if can_run_code(path)]
    elif isinstance(parameters, Mapping | list | tuple):
        several = parameters.values() if isinstance(parameters, Mapping) else parameters
        for one in several:
            yield from that_can_run_code(one, folder)


def can_run_code(path: Path) -> bool:
    """Return True if a file may be a file of torch, a pickle, or a numpy array of objects.

    Loading such a file can run any code. It may be compressed; a file that cannot be read counts as
    dangerous.
    """
    try:
        if zipfile.is_zipfile(path) or tarfile.is_tarfile(path):  # torch reads both
            return True
        with path.open("rb") as file:
            start = file.read(len(_NUMPY))
        opened = (how(path) for magic, how in _PACKED.items() if start.startswith(magic))
        with next(opened, None) or path.open("rb") as file:
            start = file.read(len(_NUMPY))
            file.seek(0)
            return _has_objects(file) if start == _NUMPY else _is_pickle(file)
    except (OSError, EOFError, zlib.error, lzma.LZMAError):
        return True


def _unpack_zlib(path: Path) -> io.BufferedIOBase:
    """Unpack a whole file; a file that only starts like zlib is left as it is."""
    content = path.read_bytes()
    with contextlib.suppress(zlib.error):
        content = zlib.decompressobj().decompress(content)
    return io.BytesIO(content)


_PACKED: Final[Mapping[bytes, Callable[[Path], io.BufferedIOBase]]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\x00": lzma.open,
    b"\x5d\x00\x00": lzma.open,
    **{bytes((0x78, level)): _unpack_zlib for level in (0x01, 0x5E, 0x9C, 0xDA)},
}  # fmt: skip
"""Functions that open compressed files, by their first bytes; joblib writes those of zlib."""


class _Reader(pickle._Unpickler):
    """Read a pickle as far as possible without running code: a call needs the name of a function.

    This is the reader in pure Python: the one in C takes gigabytes of memory for some texts.
    """

    def find_class(self, module: str, name: str, /) -> Any:
        words = [*module.split("."), *name.split(".")]
        if all(word.isidentifier() for word in words):
            raise _RunsCodeError
        raise pickle.UnpicklingError  # a plain text, such as "clear" and "units metal" of LAMMPS

    def persistent_load(self, pid: Any, /) -> NoReturn:
        raise _RunsCodeError


class _RunsCodeError(Exception):
    """A pickle that names a function or a class."""


def _is_pickle(file: io.BufferedIOBase) -> bool:
    """Return True for a pickle of any protocol; the first ones are plain text without a mark."""
    protocol = file.read(1)
    if protocol == pickle.PROTO:
        return True
    file.seek(0)
    try:
        _Reader(file).load()
    except _RunsCodeError:
        return True
    except Exception:  # a file that is not a pickle raises anything
        return False
    return True


def _has_objects(file: io.BufferedIOBase) -> bool:
    """Return True if an array of numpy holds objects, which are pickled, or is damaged."""
    try:
        np.load(file, allow_pickle=False)
    except Exception:  # objects, or damaged
        return True
    return False


def _named(text: str, folder: Path) -> list[Path]:
    """Return all files that a text can mean: as it is, as a pattern, and with ``~`` expanded.

    A folder means all files in it. String functions are used, because pathlib refuses names
    ("~nobody/x", "***") that others open.
    """
    names = {text, os.path.expanduser(text)}  # noqa: PTH111 (see above)
    matches = {
        match
        for name in names
        for recursive in (False, True)
        for match in glob.glob(name, root_dir=folder, recursive=recursive)  # noqa: PTH207
    }
    paths = [folder / name for name in sorted(names | matches)]
    files = [path for path in paths if os.path.isfile(path)]  # noqa: PTH113
    folders = [path for path in paths if os.path.isdir(path)]  # noqa: PTH112
    inside = [file for path in folders if not _is_around(path, folder) for file in _files_in(path)]
    return [*files, *inside]


def _is_around(path: Path, folder: Path) -> bool:
    return folder.resolve().is_relative_to(path.resolve())


def _files_in(folder: Path) -> list[Path]:
    """Return all files of a folder, at any depth, including those behind links to folders."""
    files: list[Path] = []
    seen = set()
    for root, inner, names in os.walk(folder, followlinks=True):
        place = os.path.realpath(root)
        if place in seen:  # a link to a parent
            inner.clear()
            continue
        seen.add(place)
        files += [path for name in sorted(names) if (path := Path(root, name)).is_file()]
        if len(files) > MOST:
            raise ModelError(
                f"{folder}: parameters name this folder, and with more than {MOST} files it is too "
                "large to search for those that can run code; name a folder in it"
            )
    return files
