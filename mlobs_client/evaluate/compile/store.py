"""Compiled programs on disk: what they are known by, and where they lie.

A program is known by everything that it depends on: the networks, its size, the versions of torch
and MACE, the instruction set and the number of threads of the machine. So a folder is never
changed: it is there, whole, or it is not. Compiled code is as dangerous as a pickle; the store
belongs to its user, and nobody else may write there.
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
from mlobs_client.evaluate.networks.atomic import AtomicNetwork, build_of
from mlobs_client.tables import Table
from mlobs_client.units import ANGSTROM

FORMAT = 7
"""To be raised when what is traced or stored changes."""


@dataclass(frozen=True)
class Size:
    """What a program is compiled for.

    Attributes:
        n_structures, n_atoms: of a batch, each with one more for what fills it up.
        n_pairs: of its neighbour list, with at least one to fill up.
        n_edges: within the cutoff of the networks.
    """

    n_structures: int
    n_atoms: int
    n_pairs: int
    n_edges: int


@dataclass(frozen=True)
class Request:
    """What to compile.

    Attributes:
        networks: the members of one committee, as they are to be compiled.
        size: that it is made for.
        threads: to compile for.
    """

    networks: Sequence[AtomicNetwork]
    size: Size
    threads: int


@dataclass(frozen=True)
class Found:
    """A program on disk.

    Attributes:
        folder: with ``forward.pt2`` and ``backward.pt2``.
        stacked: whether it evaluates all members together.
        seconds: of one evaluation with its way back, as measured when it was made; by what was
            measured.
    """

    folder: Path
    stacked: bool
    seconds: dict[str, float]


class _Made(Table):
    """``made.json``: what a program is, beside its files."""

    key: str
    stacked: bool
    seconds: dict[str, float]


def identity(networks: Sequence[AtomicNetwork]) -> str:
    """What these networks are, as a hash."""
    digest = hashlib.sha256()
    for network in networks:
        digest.update(build_of(network).encode())
        for tensor in network.state_dict().values():
            digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def key(identity: str, size: Size, device: str) -> str:
    """The name under which a program is kept."""
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
    """What compiled code runs on, beyond its name."""
    if not device.startswith("cpu"):
        return torch.cuda.get_device_name(device)
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    flags = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()} {flags}"


def home() -> Path:
    """The folder of the store, made if it is not there; a program is a folder in it.

    It is ``mlobs/compiled`` in ``$XDG_CACHE_HOME`` or ``~/.cache``.

    Raises:
        ModelError: it belongs to somebody else, or others may write there.
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


def find(key: str) -> Found | None:
    """The program of this name, if it was ever made; one that is damaged is removed."""
    folder = home() / key
    try:
        made = _Made.model_validate_json((folder / "made.json").read_bytes())
        if made.key != key:
            raise ValueError("a program of another size or of other networks")
        return Found(folder, made.stacked, made.seconds)
    except FileNotFoundError:
        return None
    except (ValueError, IsADirectoryError, NotADirectoryError):
        remove(key)  # the power failed, or files and folders were mixed up
        return None


def remove(key: str) -> None:
    """Forget a program, so that it will be made again."""
    place = home() / key
    if place.is_dir():
        shutil.rmtree(place, ignore_errors=True)
    else:
        place.unlink(missing_ok=True)


def keep(key: str, programs: Sequence[Path], stacked: bool, seconds: dict[str, float]) -> None:
    """Move files into the store, all at once; if somebody was faster, theirs stays."""
    with tempfile.TemporaryDirectory(dir=home()) as scratch:
        folder = Path(scratch) / key
        folder.mkdir()
        for program in programs:
            shutil.move(program, folder / program.name)
        made = _Made(key=key, stacked=stacked, seconds=seconds)
        (folder / "made.json").write_text(made.model_dump_json(indent=1) + "\n")
        with contextlib.suppress(OSError):  # not empty: it is there already
            folder.rename(home() / key)
