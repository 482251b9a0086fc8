"""Faults of disks and of files: full, read-only, replaced, cut."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from faults_of_clients import begun
from launched import MODELS, Inputs, Launched, Undisturbed, end_all_in
from seen import Seen, end, finish, judge

MODEL = Inputs(n_steps=60, n_clients=1, model="potential-0")
OTHER_MODEL = MODELS / "potential-1.model"
NO_SPACE = "No space left|disk is full|ENOSPC"


def record_disk_full(folder: Path, undisturbed: Undisturbed) -> Seen:
    """the disk of the record is full; later there is space, and mlobs run --resume"""
    with memory_disk(folder / "disk", "2m") as disk:
        inputs = Inputs(record="disk/observables.h5", checkpoint=5)
        return _fill(Launched(folder, inputs), disk, undisturbed, f"cannot append row.*{NO_SPACE}")


def whole_disk_full(folder: Path, undisturbed: Undisturbed) -> Seen:
    """the disk of i-PI's outputs, and of all else, is full; later there is space, and --resume"""
    with memory_disk(folder / "disk", "4m") as disk:
        inputs = Inputs(record="observables.h5", checkpoint=5)
        return _fill(Launched(disk, inputs), disk, undisturbed, NO_SPACE)


def _fill(run: Launched, disk: Path, undisturbed: Undisturbed, expected: str) -> Seen:
    with run:
        fault = begun(run)
        ballast = disk / "ballast"
        with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as stream:
            while True:
                stream.write(bytes(512))
        seconds = end(run, fault.time, 1, expected, "resume from|add --resume")
        ballast.unlink()
        run.start("--resume")
        return finish(run, undisturbed, seconds, "continuing from")


def disk_read_only(folder: Path, undisturbed: Undisturbed) -> Seen:
    """the file system gets read-only (ext4 after an error); mounted again, mlobs run --resume"""
    image, disk = folder / "image", folder / "disk"
    folder.mkdir(exist_ok=True)
    with image.open("wb") as stream:
        stream.truncate(32 << 20)
    _call("mkfs.ext4", "-q", str(image))
    with mounted(disk, "-o", "loop,errors=remount-ro", str(image)):
        run = Launched(disk, Inputs(checkpoint=5))
        with run:
            fault = begun(run)
            _call("sync")
            _call("mount", "-o", "remount,abort", str(disk))  # what ext4 does after an error
            seconds = end(run, fault.time, 1, "mlobs: error: .*Read-only file system")
    with mounted(disk, "-o", "loop", str(image)), run:
        run.start("--resume")
        return finish(run, undisturbed, seconds, "continuing from")


def model_replaced(folder: Path, undisturbed: Undisturbed) -> Seen:
    """a model file is replaced by another one"""
    with Launched(folder, MODEL) as run:
        fault = begun(run)
        _replace_model(folder)
        return finish(run, undisturbed, run.recover(fault))


def model_replaced_and_client_killed(folder: Path, undisturbed: Undisturbed) -> Seen:
    """a model file is replaced by another one, and a client that has the first is killed"""
    with Launched(folder, MODEL) as run:
        fault = begun(run)
        _replace_model(folder)
        run.signal("client-0", signal.SIGKILL)
        run.wait()
        seconds = run.ended - fault.time
        if run.step == run.inputs.n_steps:
            return judge(run, undisturbed, seconds)
        shutil.copy(MODELS / "potential-0.model", folder / "potential.model")
        run.start("--resume")
        return finish(run, undisturbed, seconds, "potential.model")


def _replace_model(folder: Path) -> None:
    other = folder / "other"
    shutil.copy(OTHER_MODEL, other)
    other.replace(folder / "potential.model")


def model_cut(folder: Path, undisturbed: Undisturbed) -> Seen:
    """a model file is cut at the start"""
    with Launched(folder, MODEL) as run:
        model = folder / "potential.model"
        content = model.read_bytes()
        model.write_bytes(content[: len(content) // 2])
        since = time.monotonic()
        run.start()
        seconds = end(run, since, 1, "client-. cannot start: .*potential.model")
        model.write_bytes(content)
        run.start("--resume")
        return finish(run, undisturbed, seconds)


@contextlib.contextmanager
def memory_disk(folder: Path, size: str) -> Iterator[Path]:
    """A small disk."""
    with mounted(folder, "-t", "tmpfs", "-o", f"size={size}", "none"):
        yield folder


@contextlib.contextmanager
def mounted(folder: Path, *words: str) -> Iterator[None]:
    """Mount something, and take it away whatever happens."""
    folder.mkdir(parents=True, exist_ok=True)
    _call("mount", *words, str(folder))
    try:
        yield
    finally:
        end_all_in(folder)
        # a loop device is busy for a moment after its last user
        for _ in range(50):
            if subprocess.run(["umount", str(folder)], capture_output=True).returncode == 0:
                break
            time.sleep(0.1)
        else:
            _call("umount", "--lazy", str(folder))


def _call(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True)


def why_no_mounts() -> str:
    """Why nothing can be mounted; empty if it can."""
    if os.geteuid() != 0:
        return "only root can mount"
    missing = [name for name in ("mount", "mkfs.ext4") if shutil.which(name) is None]
    return f"no {' '.join(missing)}" if missing else ""
