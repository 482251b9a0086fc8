"""The origin of a result: the command, versions of packages, and hashes of input files."""

from __future__ import annotations

import hashlib
import platform
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Final

from mlobs_client.errors import RecordError

VERSIONS: Final = ("mlobs", "ipi", "numpy", "scipy")
"""Packages whose versions a result names."""
OF_NETWORKS: Final = {"torch": "torch", "mace": "mace-torch"}
"""Packages whose versions a result names only if they were loaded, by the name of the module."""


@dataclass(frozen=True)
class Provenance:
    """The origin of a result.

    Attributes:
        command: words of the command line; empty for a result from a script.
        versions: versions of Python and of the packages, by name.
        inputs: sha256 of the input files, by path.
    """

    command: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, inputs: Iterable[Path | str] = (), command: Sequence[str] = ()) -> Provenance:
        """Make the provenance of a result: look up versions, and hash the input files.

        Args:
            inputs: paths of the input files.
            command: words of the command line.

        Raises:
            RecordError: a file cannot be read.
        """
        versions = {"python": platform.python_version()}
        loaded = [name for module, name in OF_NETWORKS.items() if module in sys.modules]
        versions |= {name: metadata.version(name) for name in (*VERSIONS, *loaded)}
        hashes = {}
        for path in sorted({Path(one) for one in inputs}):
            try:
                with path.open("rb") as file:
                    hashes[str(path)] = hashlib.file_digest(file, "sha256").hexdigest()
            except OSError as error:
                raise RecordError(
                    f"{path}: cannot be read any more ({error.strerror}), but is an input of the "
                    "result; put it back, and repeat the command"
                ) from error
        return cls(tuple(command), versions, hashes)
