"""Describe model files without loading them, because loading could run any code."""

from __future__ import annotations

import re
import zipfile
from collections import Counter
from pathlib import Path
from typing import Final

from mlobs_client.errors import ModelError

MOST: Final = 20
"""Largest number of names to print; a file can hold thousands."""

USUAL: Final = ("torch", "e3nn", "mace")
"""Packages whose classes networks usually consist of."""

_TENSOR: Final = re.compile(r"[^/]*/data/\d+")


def describe_file(path: Path, sha256: str) -> str:
    """Describe a file of torch in one line.

    The line gives its size, its sha256, the names in it, and the functions and classes that loading
    it would use.

    Args:
        path: path of any file; the line says if it is not an archive.
        sha256: hash of its content.

    Raises:
        ModelError: it cannot be read.
    """
    try:
        size = path.stat().st_size
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror}") from error
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        content = f"not an archive of torch ({error})"
    else:
        others = [name for name in names if not _TENSOR.fullmatch(name)]
        content = (
            f"an archive with {_listed(others)}, and {len(names) - len(others)} tensors; loading "
            f"it would use {_uses(path)}"
        )
    return f"{path}: not trusted, {size} bytes, sha256 {sha256}, {content}"


def _uses(path: Path) -> str:
    """Return the functions and classes that the pickle names, without running it."""
    from torch.serialization import get_unsafe_globals_in_checkpoint

    try:
        names = get_unsafe_globals_in_checkpoint(str(path))
    except Exception as error:  # a manipulated file raises anything
        return f"functions that cannot be listed ({type(error).__name__})"
    packages = Counter(name.partition(".")[0] for name in names)
    usual = [f"{packages[name]} names of {name}" for name in USUAL if name in packages]
    others = [name for name in sorted(names) if name.partition(".")[0] not in USUAL]
    return ", ".join([*usual, *([_listed(others)] if others else [])]) or "plain tensors only"


def _listed(names: list[str]) -> str:
    shown = [name if name.isprintable() else repr(name) for name in names[:MOST]]
    more = f" and {len(names) - MOST} more" if len(names) > MOST else ""
    return ", ".join(shown) + more
