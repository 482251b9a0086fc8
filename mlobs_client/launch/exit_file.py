"""Write the EXIT file that ends i-PI with a RESTART; a file that a user made is never removed."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Final

from mlobs_client.errors import LaunchError
from mlobs_client.files import replacing

logger = logging.getLogger(__name__)

NAME: Final = "EXIT"  # i-PI ends when a file of this name is in its folder, whatever is in it
OURS: Final = "mlobs has made this file so that i-PI ends with a RESTART\n"


def make(folder: Path) -> None:
    """Tell i-PI to end; an existing file is kept.

    Raises:
        LaunchError: it cannot be written.
    """
    path = folder / NAME
    if not path.exists():
        with replacing(path, error=LaunchError) as draft:  # a kill leaves none without the mark
            draft.write_text(OURS)


def remove(folder: Path) -> bool:
    """Remove our file; return whether there was one.

    Raises:
        OSError: it cannot be removed.
    """
    path = folder / NAME
    try:
        is_ours = path.read_bytes() == OURS.encode()
    except OSError:
        return False
    if is_ours:
        path.unlink(missing_ok=True)
    return is_ours


def clear(folder: Path) -> None:
    """Make sure that there is no EXIT file in a folder where no run works.

    Raises:
        LaunchError: a user made one, or ours cannot be removed.
    """
    path = folder / NAME
    try:
        if remove(folder):
            logger.warning("removed %s, with which a run that was killed had ended its i-PI", path)
    except OSError as error:
        raise LaunchError(f"{path} cannot be removed: {error.strerror}") from error
    if path.exists():
        raise LaunchError(f"{path} would stop i-PI at once, and mlobs did not make it; remove it")
