"""Refuse to restart a client after its files have changed: it would give different forces."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from mlobs_client.client.build import files_of_client, model_files
from mlobs_client.client.service import ClientFile
from mlobs_client.errors import LaunchError
from mlobs_client.evaluate.card import FILE
from mlobs_client.evaluate.model_files import digest
from mlobs_client.launch.stamps import Stamp, stamp


@dataclass(frozen=True)
class _File:
    path: Path
    stamp: Stamp | None
    sha256: str


class InputFiles:
    """The client files, structures, models and model cards of a run, as they are now.

    Args:
        clients: client files of the run.

    Raises:
        ModelError: a model is missing, or a file cannot be read.
    """

    def __init__(self, clients: Iterable[ClientFile]) -> None:
        paths: dict[Path, None] = {}
        for client in clients:
            cards = [
                path.with_name(FILE) for path in model_files(client.config, client.path.parent)
            ]
            paths |= dict.fromkeys([*files_of_client(client.config, client.path), *cards])
        # a client says itself what it misses
        there = [path for path in paths if path.is_file()]
        self._files = [_File(path, stamp(path), digest(path)) for path in there]

    def check_unchanged(self) -> None:
        """Check that a client that starts now would read the same files.

        Raises:
            LaunchError: a file has changed or is gone.
        """
        for file in self._files:
            if not file.path.exists():
                raise LaunchError(f"{file.path} is gone, so no client can start; put it back")
            if stamp(file.path) != file.stamp and digest(file.path) != file.sha256:
                raise LaunchError(
                    f"{file.path} has changed since the start of this run, and a client that "
                    "starts now would give different numbers; put the original back"
                )
