"""Store compiled programs on disk, and find them again.

The key of a program is a hash of everything that it depends on: the networks, its size, the
versions of torch and MACE, the instruction set and the number of threads of the machine. So a
folder is never changed: it exists as a whole or not at all. Compiled code is as dangerous as a
pickle; the store belongs to its user, and nobody else may write there.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path

import torch

from mlobs_client.errors import ModelError
from mlobs_client.evaluate.networks.atomic import AtomicNetwork, architecture_of
from mlobs_client.tables import Table
from mlobs_client.units import ANGSTROM

FORMAT = 7
"""Version of traces and files; increase it when they change."""


@dataclass(frozen=True)
class ProgramSize:
    """The size of the input of a program.

    Attributes:
        n_structures, n_atoms: numbers in a batch, including one for padding.
        n_pairs: number of pairs of the neighbour list, including at least one for padding.
        n_edges: number of edges within the cutoff of the networks.
    """

    n_structures: int
    n_atoms: int
    n_pairs: int
    n_edges: int


@dataclass(frozen=True)
class Request:
    """A request for compilation.

    Attributes:
        networks: members of one committee, in the form to be compiled.
        size: size of the input.
        threads: number of threads of the program.
    """

    networks: Sequence[AtomicNetwork]
    size: ProgramSize
    threads: int


@dataclass(frozen=True)
class StoredProgram:
    """A program on disk.

    Attributes:
        folder: folder with ``forward.pt2`` and ``backward.pt2``.
        stacked: whether it evaluates all members together.
        seconds: time of both passes when it was compiled, s, by the way in which the members were
            evaluated, ``stacked`` or ``one after another``.
    """

    folder: Path
    stacked: bool
    seconds: dict[str, float]


class _Made(Table):
    """Content of ``made.json``, which describes a program beside its files."""

    key: str
    stacked: bool
    seconds: dict[str, float]


def identity(networks: Sequence[AtomicNetwork]) -> str:
    """Return a hash of the networks."""
    digest = hashlib.sha256()
    for network in networks:
        digest.update(architecture_of(network).encode())
        for tensor in network.state_dict().values():
            digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def key(identity: str, size: ProgramSize, device: str) -> str:
    """Return the name under which a program is stored."""
    parts = {
        "format": FORMAT,
        "networks": identity,
        "size": asdict(size),
        "device": _device(device),
        "threads": torch.get_num_threads(),
        "angstrom": ANGSTROM,  # which new physical constants change
        "versions": _versions(),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


@cache
def _versions() -> list[str]:
    return [version(name) for name in ("torch", "mace-torch", "e3nn", "scipy", "numpy")]


@cache
def _device(device: str) -> str:
    """Return the model of the GPU, or the instruction set of the CPU."""
    if not device.startswith("cpu"):
        return torch.cuda.get_device_name(device)
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    flags = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()} {flags}"


def home() -> Path:
    """Return the folder of the store, made if needed; each program is a folder in it.

    It is ``mlobs/compiled`` in ``$XDG_CACHE_HOME`` or ``~/.cache``.

    Raises:
        ModelError: it belongs to another user, or others may write there.
    """
    cache_home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache_home / "mlobs" / "compiled"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    status = folder.stat()
    if status.st_uid != os.geteuid() or status.st_mode & 0o022:
        raise ModelError(
            f"{folder} can be written by others, who could put code there; remove it, or run: "
            f"chmod 700 {folder}"
        )
    return folder


def find(key: str) -> StoredProgram | None:
    """Return the program of this name, or None; a damaged one is removed."""
    folder = home() / key
    try:
        made = _Made.model_validate_json((folder / "made.json").read_bytes())
        if made.key != key:
            raise ValueError("a program of another size or of other networks")
        return StoredProgram(folder, made.stacked, made.seconds)
    except FileNotFoundError:
        return None
    except (ValueError, IsADirectoryError, NotADirectoryError):
        remove(key)  # the power failed, or files and folders were mixed up
        return None


def remove(key: str) -> None:
    """Remove a program, so that it is compiled again."""
    place = home() / key
    if place.is_dir():
        shutil.rmtree(place, ignore_errors=True)
    else:
        place.unlink(missing_ok=True)


def keep(key: str, programs: Sequence[Path], stacked: bool, seconds: dict[str, float]) -> None:
    """Move files into the store as a whole; an existing program is kept."""
    with tempfile.TemporaryDirectory(dir=home()) as scratch:
        folder = Path(scratch) / key
        folder.mkdir()
        for program in programs:
            shutil.move(program, folder / program.name)
        made = _Made(key=key, stacked=stacked, seconds=seconds)
        (folder / "made.json").write_text(made.model_dump_json(indent=1) + "\n")
        with contextlib.suppress(OSError):  # not empty: it is there already
            folder.rename(home() / key)
