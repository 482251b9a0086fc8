"""Model files: which ones a name means, whether they are trusted, and how they are read.

A MACE ``*.model`` file is a pickle, and a pickle can run any code when it is read. So every file
is known by its sha256: those that we ship and those that the user has trusted are read silently,
all others with a warning.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.resources
import io
import logging
import os
import warnings
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mlobs_client.errors import ModelError

if TYPE_CHECKING:
    import torch

logger = logging.getLogger(__name__)

BUNDLED: Final = "bundled:"


def resolve(patterns: Sequence[str], folder: Path) -> list[Path]:
    """Find the files that a client file names.

    Args:
        patterns: paths or globs relative to ``folder``, or ``bundled:water/potential-*`` for
            what comes with this package.
        folder: where the client file lies.

    Returns:
        Files in the order of the patterns, sorted within each, none twice.

    Raises:
        ModelError: a pattern matches no file.
    """
    found: dict[Path, None] = {}
    for pattern in patterns:
        matches = _match(pattern, folder)
        if not matches:
            raise ModelError(f"models: {pattern!r} matches no file{_remedy(pattern, folder)}")
        found.update(dict.fromkeys(matches))
    return list(found)


def is_bundled(path: Path) -> bool:
    """Whether a file comes with this package."""
    return path.resolve().is_relative_to(_bundled_folder().resolve())


def digest(path: Path) -> str:
    """The sha256 of a file, hexadecimal.

    Raises:
        ModelError: it cannot be read.
    """
    return _digest(_read(path))


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def trust(path: Path) -> str:
    """Remember a file, by its content, as one that may be read without a warning.

    Returns:
        The sha256 under which it is now known.

    Raises:
        ModelError: the file cannot be read, or nothing can be remembered.
    """
    known = digest(path)
    if known not in _trusted():
        user_list = trust_file()
        try:
            user_list.parent.mkdir(parents=True, exist_ok=True)
            with user_list.open("a", encoding="utf-8") as file:
                file.write(f"{known}  {path.resolve()}\n")
        except OSError as error:
            raise ModelError(
                f"{user_list}: cannot be written: {error.strerror}; XDG_CONFIG_HOME may name "
                "another folder"
            ) from error
    return known


def trust_file() -> Path:
    """Where the user's trusted models are listed, in the format of ``sha256sum``."""
    home = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(home) / "mlobs" / "trusted_models"


def load(path: Path) -> torch.nn.Module:
    """Read one model; warn if its file is not trusted.

    Args:
        path: of a pickled network, such as MACE writes.

    Raises:
        ModelError: the file is missing or does not contain a network.
    """
    content = _read(path)
    known = _digest(content)
    if known not in _trusted():
        _warn(path, known)
    with quiet_third_parties():
        import mace.modules  # noqa: F401 (the network needs it, and it must come before e3nn)
        import torch

        try:
            model = torch.load(io.BytesIO(content), map_location="cpu", weights_only=False)
        except Exception as error:  # a pickle can raise anything
            raise ModelError(
                f"{path}: not a model, or a damaged file: {_in_short(error)}; "
                "copy it again, or give a *.model file that MACE wrote"
            ) from error
    if not isinstance(model, torch.nn.Module):
        raise ModelError(
            f"{path}: contains a {type(model).__name__}, not a network; give a *.model file that "
            "MACE wrote, not a checkpoint"
        )
    return model


@cache
def _warn(path: Path, known: str) -> None:
    """Once: some files are read in several precisions."""
    logger.warning(
        "%s (sha256 %s) is not a trusted model, and reading it can run any code; "
        "if you know where it comes from, say so with: mlobs model trust %s",
        path,
        known,
        path,
    )


@contextlib.contextmanager
def quiet_third_parties() -> Iterator[None]:
    """Silence what MACE, e3nn and torch say when they are imported, read from or written to files.

    MACE prints that cuequivariance is absent; e3nn reads its constants in an old way; torch
    deprecates TorchScript, which e3nn is made of.
    """
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.filterwarnings("ignore", "Environment variable TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD")
        warnings.filterwarnings("ignore", r"`torch\.jit", DeprecationWarning)
        yield


def _in_short(error: Exception) -> str:
    """Its kind and first sentence: torch says a paragraph of a file that is cut."""
    first = str(error).strip().split("\n")[0].split(". ")[0]
    return f"{type(error).__name__}: {first}"


def _match(pattern: str, folder: Path) -> list[Path]:
    if pattern.startswith(BUNDLED):
        folder, pattern = _bundled_folder(), pattern.removeprefix(BUNDLED)
        pattern = pattern if pattern.endswith(".model") else f"{pattern}.model"
    path = Path(pattern).expanduser()
    if (folder / path).is_file():
        return [folder / path]
    if path.is_absolute():
        folder, path = Path(path.anchor), path.relative_to(path.anchor)
    return sorted(match for match in folder.glob(str(path)) if match.is_file())


def _remedy(pattern: str, folder: Path) -> str:
    if not pattern.startswith(BUNDLED):
        return f" in {folder.resolve()}; paths are relative to the client file"
    root = _bundled_folder()
    names = sorted(str(p.relative_to(root).with_suffix("")) for p in root.rglob("*.model"))
    return f"; bundled are {', '.join(names)}"


def _bundled_folder() -> Path:
    return Path(str(importlib.resources.files("mlobs_client") / "models"))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelError(
            f"{path}: cannot be read: {error.strerror}; check models in the client file"
        ) from error


def _trusted() -> frozenset[str]:
    lists = [*_bundled_folder().rglob("SHA256SUMS"), trust_file()]
    lines = [line for file in lists if file.is_file() for line in file.read_text().splitlines()]
    return frozenset(line.split()[0] for line in lines if line.strip())
