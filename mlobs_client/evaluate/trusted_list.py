"""The user's list of trusted models, with their sha256 and paths.

Whoever can write the list can run code as its user, so it belongs to the user alone: a list that
others can write is not read.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field

from mlobs_client.errors import ConfigError, LaunchError, ModelError
from mlobs_client.files import config_file, read_json, write_json
from mlobs_client.locks import in_turn
from mlobs_client.tables import Table, validate

ANEW: Final = "remove it, and trust your models again: mlobs model trust FILE"


class _List(Table):
    format: Literal["mlobs trusted models 1"] = "mlobs trusted models 1"
    models: dict[Annotated[str, Field(pattern="^[0-9a-f]{64}$")], str] = Field(default_factory=dict)


def trust_file() -> Path:
    """Return ``mlobs/trusted_models.json`` in ``$XDG_CONFIG_HOME`` or ``~/.config``.

    Raises:
        ModelError: the user has no home folder.
    """
    return config_file("trusted_models.json", error=ModelError)


def trusted() -> frozenset[str]:
    """Return the sha256 of all models that the user trusts.

    Raises:
        ModelError: the list cannot be read, is damaged, or can be written by others.
    """
    return frozenset(_read(trust_file()).models)


def add(sha256: str, path: Path) -> None:
    """Add one model to the list.

    Args:
        sha256: hash of the file, hexadecimal.
        path: present path of the file, for people who read the list.

    Raises:
        ModelError: the path cannot be printed, or the list cannot be read or written.
    """
    name = str(path.resolve())
    if not name.isprintable():
        raise ModelError(
            f"{name!r}: this name has line breaks or other characters that cannot be printed; "
            "rename the file or its folder"
        )
    file = trust_file()
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # if two trainings end together, neither loses the entry of the other
        with in_turn(file.with_name(f"{file.name}.lock")):
            models = {**_read(file).models, sha256: name}
            write_json(file, _List(models=models).model_dump(mode="json"), mode=0o600)
    except (OSError, LaunchError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ModelError(
            f"{file}: cannot be written: {reason}; correct that, or set XDG_CONFIG_HOME to another "
            "folder of your own"
        ) from error


def _read(file: Path) -> _List:
    try:
        status = file.stat()
    except (FileNotFoundError, NotADirectoryError):
        return _List()
    except OSError as error:
        raise ModelError(f"{file}: cannot be read: {error.strerror}; make it readable") from error
    if status.st_uid != os.geteuid():
        raise ModelError(f"{file}: belongs to another user, who could put models there; {ANEW}")
    if status.st_mode & 0o022:
        raise ModelError(
            f"{file}: can be written by others, who could put models there; look at its "
            f"content, and run: chmod 600 {file}"
        )
    try:
        return validate(_List, read_json(file, ANEW), str(file))
    except ConfigError as error:
        raise ModelError(f"{error}; {ANEW}") from error
