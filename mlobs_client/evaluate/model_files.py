"""Find model files by their names, check that they are trusted, and read them.

A MACE ``*.model`` file is a pickle, and a pickle can run any code when it is loaded. So files are
identified by their sha256, and a file is loaded only if it comes with this package, our training
wrote it here, or the user has trusted it.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.resources
import io
import shlex
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mlobs_client.errors import ModelError
from mlobs_client.evaluate import trusted_list

if TYPE_CHECKING:
    import torch

BUNDLED: Final = "bundled:"


def resolve(patterns: Sequence[str], folder: Path) -> list[Path]:
    """Find the files that a client file names.

    Args:
        patterns: paths or globs relative to ``folder``, or ``bundled:water/potential-*`` for
            files of this package.
        folder: folder of the client file.

    Returns:
        Paths in the order of the patterns, sorted within each, without repetition.

    Raises:
        ModelError: a pattern matches no file, or is not valid.
    """
    files: dict[Path, None] = {}
    for pattern in patterns:
        try:
            matches = _match(pattern, folder)
        except (ValueError, RuntimeError, OSError) as error:  # "a/***/b", "~nobody/x", too long
            raise ModelError(
                f"models: {pattern!r} is neither a path nor a pattern ({error}); name *.model files"
            ) from error
        if not matches:
            raise ModelError(f"models: {pattern!r} matches no file{_remedy(pattern, folder)}")
        files.update(dict.fromkeys(matches))
    return list(files)


def is_bundled(path: Path) -> bool:
    """Return True if a file comes with this package."""
    return path.resolve().is_relative_to(_bundled_folder().resolve())


def digest(path: Path) -> str:
    """Return the sha256 of a file, hexadecimal.

    Raises:
        ModelError: it cannot be read.
    """
    return _digest(_read(path))


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def trust(path: Path | str) -> str:
    """Add a file, by its content, to the list of files that may be loaded.

    Returns:
        The sha256 of the file.

    Raises:
        ModelError: the file cannot be read, or the list cannot be written.
    """
    path = Path(path)
    known = digest(path)
    if not _is_trusted(known):
        trusted_list.add(known, path)
    return known


def untrusted(paths: Iterable[Path]) -> dict[Path, str]:
    """Return the files that are not trusted, with their sha256.

    Raises:
        ModelError: a file or the list of trusted models cannot be read.
    """
    return {path: known for path in paths if not _is_trusted(known := digest(path))}


def require_trust(paths: Iterable[Path]) -> None:
    """Refuse files that are not trusted, and name all of them in one line.

    Raises:
        ModelError: a file is not trusted, or a file or the list of trusted models cannot be read.
    """
    if unknown := untrusted(paths):
        raise _refusal(unknown)


def load(path: Path | str) -> torch.nn.Module:
    """Read one model, if its file is trusted.

    Args:
        path: path of a pickled network, as MACE writes it.

    Raises:
        ModelError: the file is missing, is not trusted, or does not contain a network.
    """
    path = Path(path)
    content = _read(path)  # once, so that what is loaded is what was checked
    if not _is_trusted(known := _digest(content)):
        raise _refusal({path: known})
    with quiet_third_parties():
        import mace.modules  # noqa: F401 (the network needs it, and it must come before e3nn)
        import torch

        try:
            model = torch.load(io.BytesIO(content), map_location="cpu", weights_only=False)
        except Exception as error:  # a pickle can raise anything
            raise ModelError(
                f"{path}: is not a model, or is damaged: {_in_short(error)}; "
                "copy it again, or give a *.model file that MACE wrote"
            ) from error
    if not isinstance(model, torch.nn.Module):
        raise ModelError(
            f"{path}: contains a {type(model).__name__}, not a network; give a *.model file that "
            "MACE wrote, not a checkpoint"
        )
    return model


def _refusal(unknown: Mapping[Path, str]) -> ModelError:
    named = ", ".join(f"{path} (sha256 {known})" for path, known in unknown.items())
    line = shlex.join(["mlobs", "model", "trust", *(str(path.absolute()) for path in unknown)])
    one = len(unknown) == 1
    return ModelError(
        f"{named}: {'is' if one else 'are'} not trusted, so not loaded: loading a model file "
        f"can run any code; if you know where {'it comes' if one else 'they come'} from, "
        f"run: {line}"
    )


@contextlib.contextmanager
def quiet_third_parties() -> Iterator[None]:
    """Silence MACE, e3nn and torch while they are imported, or networks are read or written.

    MACE prints that cuequivariance is absent; e3nn reads its constants in an outdated way; torch
    deprecates TorchScript, on which e3nn is based.
    """
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.filterwarnings("ignore", "Environment variable TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD")
        warnings.filterwarnings("ignore", r"`torch\.jit", DeprecationWarning)
        yield


def _in_short(error: Exception) -> str:
    """Return type and first sentence of an error: torch writes a paragraph for a truncated file."""
    first = str(error).strip().split("\n")[0].split(". ")[0]
    return f"{type(error).__name__}: {first}"


def _match(pattern: str, folder: Path) -> list[Path]:
    if pattern.startswith(BUNDLED):
        folder, pattern = _bundled_folder(), pattern.removeprefix(BUNDLED)
        pattern = pattern if pattern.endswith(".model") else f"{pattern}.model"
    path = Path(pattern).expanduser()
    if (folder / path).is_file():
        return [folder / path]
    if not path.name:  # the folder itself, or the root of the file system
        return []
    if path.is_absolute():
        folder, path = Path(path.anchor), path.relative_to(path.anchor)
    return sorted(match for match in folder.glob(str(path)) if match.is_file())


def _remedy(pattern: str, folder: Path) -> str:
    if not pattern.startswith(BUNDLED):
        return f" in {folder.resolve()}; paths are relative to the client file"
    root = _bundled_folder()
    names = sorted(str(p.relative_to(root).with_suffix("")) for p in root.rglob("*.model"))
    return f"; the bundled models are {', '.join(names)}"


def _bundled_folder() -> Path:
    return Path(str(importlib.resources.files("mlobs_client") / "models"))


def _read(path: Path) -> bytes:
    try:
        if path.exists() and not path.is_file():  # reading a pipe or a device would never end
            raise ModelError(f"{path}: is not a file; name a *.model file")
        return path.read_bytes()
    except OSError as error:
        raise ModelError(
            f"{path}: cannot be read: {error.strerror}; check models in the client file"
        ) from error


def _is_trusted(known: str) -> bool:
    return known in _bundled() or known in trusted_list.trusted()


def _bundled() -> frozenset[str]:
    lines = [
        line
        for file in _bundled_folder().rglob("SHA256SUMS")
        for line in file.read_text(encoding="utf-8").splitlines()
    ]
    return frozenset(line.split()[0] for line in lines if line.strip())
