"""Faults of clients: they die, stop, get slow, or answer what is no answer."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
from launched import Failure, Inputs, Launched, Mark, Undisturbed
from seen import Seen, end, finish

MIDDLE = 20
"""The step at which faults come."""
STALL = 5
CGROUPS = Path("/sys/fs/cgroup/memory")
DIES = r"client-\d died \({}\S*\) and is started again"


@cache
def knows_stall() -> bool:
    """Whether ``mlobs run`` watches for silence."""
    command = [sys.executable, "-m", "mlobs_client", "run", "--help"]
    return "--stall" in subprocess.run(command, capture_output=True, text=True).stdout


def begun(run: Launched, *options: str) -> Mark:
    """Start a run and wait until its middle, in the middle of an evaluation."""
    run.start(*options)
    run.wait_for_step(MIDDLE)
    time.sleep(run.inputs.seconds / 2.0)
    return run.mark()


def client_killed(folder: Path, undisturbed: Undisturbed) -> Seen:
    """a client is killed (SIGKILL)"""
    with Launched(folder, Inputs()) as run:
        fault = begun(run)
        run.signal("client-0", signal.SIGKILL)
        return finish(run, undisturbed, run.recover(fault), "killed by SIGKILL")


def only_client_killed(folder: Path, undisturbed: Undisturbed) -> Seen:
    """the only client is killed (SIGKILL)"""
    with Launched(folder, Inputs(n_clients=1)) as run:
        fault = begun(run)
        run.signal("client-0", signal.SIGKILL)
        return finish(run, undisturbed, run.recover(fault), "killed by SIGKILL")


def all_clients_killed(folder: Path, undisturbed: Undisturbed) -> Seen:
    """all clients are killed (SIGKILL) at once"""
    with Launched(folder, Inputs(n_clients=3)) as run:
        fault = begun(run)
        for name in ("client-0", "client-1", "client-2"):
            run.signal(name, signal.SIGKILL)
        return finish(run, undisturbed, run.recover(fault), "killed by SIGKILL")


def client_stopped(folder: Path, undisturbed: Undisturbed) -> Seen:
    """a client is stopped (SIGSTOP)"""
    with Launched(folder, Inputs(seconds=0.05, n_steps=60)) as run:
        fault = begun(run, *(["--stall", str(STALL)] if knows_stall() else []))
        run.signal("client-0", signal.SIGSTOP)
        return finish(run, undisturbed, run.recover(fault))


def client_stopped_with_timeout(folder: Path, undisturbed: Undisturbed) -> Seen:
    """a client is stopped (SIGSTOP) in an evaluation, <timeout> of 3 s in the <ffsocket>"""
    with Launched(folder, Inputs(seconds=0.05, n_steps=60, timeout=3.0)) as run:
        fault = begun(run)
        run.signal("client-0", signal.SIGSTOP)
        return finish(run, undisturbed, run.recover(fault))


def only_client_stopped_for_longer_than_the_timeout(folder: Path, undisturbed: Undisturbed) -> Seen:
    """the only client is stopped for 5 s, <timeout> of 3 s, and continued"""
    inputs = Inputs(seconds=0.05, n_steps=60, n_clients=1, timeout=3.0)
    with Launched(folder, inputs) as run:
        fault = begun(run)
        run.pause("client-0", 5.0)
        return finish(run, undisturbed, run.recover(fault))


def client_slow(folder: Path, undisturbed: Undisturbed) -> Seen:
    """a client gets slow (stopped for 0.3 of every 0.4 s)"""
    with Launched(folder, Inputs()) as run:
        fault = begun(run)
        client = run.children()["client-0"]
        slow_until = time.monotonic() + 6.0
        while time.monotonic() < slow_until and run.children().get("client-0") == client:
            for signum, seconds in ((signal.SIGSTOP, 0.3), (signal.SIGCONT, 0.1)):
                os.kill(client, signum)
                time.sleep(seconds)
        return finish(run, undisturbed, run.recover(fault))


def ordered(
    run: Launched, undisturbed: Undisturbed, order: str, expected: str, fault: Mark | None = None
) -> Seen:
    """Give an order to fail in the middle of a run."""
    fault = fault or begun(run)
    (run.folder / order).touch()
    run.wait_until(lambda: not (run.folder / order).exists())
    return finish(run, undisturbed, run.recover(fault), expected)


def client_returns_nan(folder: Path, undisturbed: Undisturbed) -> Seen:
    """a model returns NaN, once"""
    with Launched(folder, Inputs()) as run:
        return ordered(run, undisturbed, "nan", "nan")


def client_returns_wrong_size(folder: Path, undisturbed: Undisturbed) -> Seen:
    """a model returns forces of a wrong size, once"""
    with Launched(folder, Inputs()) as run:
        return ordered(run, undisturbed, "size", "forces")


def client_out_of_memory(folder: Path, undisturbed: Undisturbed) -> Seen:
    """a client gets no more memory (RLIMIT_AS)"""
    with Launched(folder, Inputs()) as run:
        return ordered(run, undisturbed, "memory", "MemoryError")


def client_out_of_memory_in_a_cgroup(folder: Path, undisturbed: Undisturbed) -> Seen:
    """the only client is killed by the kernel, out of memory (in a cgroup)"""
    with Launched(folder, Inputs(n_clients=1, n_steps=150)) as run, _cgroup() as group:
        fault = begun(run)
        # what it has is not counted, and it may need no more
        (group / "cgroup.procs").write_text(str(run.children()["client-0"]))
        (group / "memory.limit_in_bytes").write_text("4096")
        return ordered(run, undisturbed, "pages", "killed by SIGKILL", fault)


@contextlib.contextmanager
def _cgroup() -> Iterator[Path]:
    group = CGROUPS / f"mlobs-faults-{os.getpid()}"
    group.mkdir()
    try:
        yield group
    finally:
        for pid in (group / "cgroup.procs").read_text().split():
            os.kill(int(pid), signal.SIGKILL)
        time.sleep(0.5)
        group.rmdir()


def why_no_cgroup() -> str:
    """Why a cgroup cannot be used; empty if it can."""
    usable = CGROUPS.is_dir() and os.access(CGROUPS, os.W_OK)
    return "" if usable else f"no {CGROUPS} that we may write to"


def client_unread_request(folder: Path, undisturbed: Undisturbed) -> Seen:
    """a client is killed between a request and reading it"""
    with Launched(folder, Inputs(n_clients=1, n_steps=150)) as run:
        fault = begun(run)
        with foreign_client(run) as stream:
            _wait_for_request(stream)
        return finish(run, undisturbed, run.recover(fault), "continuing from RESTART")


def foreign_wrong_size(folder: Path, undisturbed: Undisturbed) -> Seen:
    """a client that is not ours returns forces of a wrong size"""
    with Launched(folder, Inputs(n_clients=1, n_steps=150)) as run:
        fault = begun(run)
        with foreign_client(run) as stream:
            n_atoms = _take_request(stream)
            stream.sendall(_answer(np.zeros((n_atoms + 1, 3))))
            time.sleep(1.0)
        return finish(run, undisturbed, run.recover(fault))


def foreign_nan(folder: Path, undisturbed: Undisturbed) -> Seen:
    """a client that is not ours returns NaN"""
    with Launched(folder, Inputs(n_clients=1, n_steps=150, checkpoint=5)) as run:
        run.start()
        run.wait_for_step(MIDDLE)
        with foreign_client(run) as stream:
            n_atoms = _take_request(stream)
            fault = run.mark()
            stream.sendall(_answer(np.full((n_atoms, 3), np.nan)))
        seconds = end(run, fault.time, 1, "mlobs: error")
        run.start("--resume")
        return finish(run, undisturbed, seconds, "continuing from")


def foreign_garbage(folder: Path, undisturbed: Undisturbed) -> Seen:
    """a client that is not ours answers with noise"""
    with Launched(folder, Inputs(n_clients=1, n_steps=150)) as run:
        fault = begun(run)
        with foreign_client(run) as stream:
            n_atoms = _take_request(stream)
            noise = np.random.default_rng(0).bytes(len(_answer(np.zeros((n_atoms, 3)))))
            stream.sendall(noise)
            time.sleep(1.0)
        return finish(run, undisturbed, run.recover(fault))


def foreign_half_message(folder: Path, undisturbed: Undisturbed) -> Seen:
    """a client that is not ours vanishes in the middle of its answer"""
    with Launched(folder, Inputs(n_clients=1, n_steps=150)) as run:
        fault = begun(run)
        with foreign_client(run) as stream:
            n_atoms = _take_request(stream)
            stream.sendall(_answer(np.zeros((n_atoms, 3)))[:50])
        return finish(run, undisturbed, run.recover(fault))


@contextlib.contextmanager
def foreign_client(run: Launched) -> Iterator[socket.socket]:
    """Connect to the i-PI of a run."""
    with socket.socket(socket.AF_UNIX) as stream:
        stream.settimeout(30.0)
        stream.connect(run.socket)
        yield stream


def _wait_for_request(stream: socket.socket) -> None:
    """Say NEEDINIT and READY until i-PI sends a structure; it stays unread."""
    reply = b"NEEDINIT"
    while (header := stream.recv(12, socket.MSG_PEEK | socket.MSG_WAITALL)) != b"POSDATA     ":
        if not _read(stream, len(header)):
            raise Failure("i-PI has ended the connection with a client that is not ours")
        if header.startswith(b"STATUS"):
            stream.sendall(reply.ljust(12))
        elif header.startswith(b"INIT"):
            _read(stream, struct.unpack("=ii", _read(stream, 8))[1])
            reply = b"READY"
    time.sleep(0.1)  # until i-PI waits for an answer: while it sends, it notices that we go


def _take_request(stream: socket.socket) -> int:
    """Read the structure that i-PI sends; return its number of atoms."""
    _wait_for_request(stream)
    (n_atoms,) = struct.unpack_from("=i", _read(stream, 12 + 144 + 4), 12 + 144)
    _read(stream, 24 * n_atoms + 12)  # positions, GETFORCE
    return int(n_atoms)


def _read(stream: socket.socket, n_bytes: int) -> bytes:
    return stream.recv(n_bytes, socket.MSG_WAITALL) if n_bytes else b""


def _answer(forces: np.ndarray) -> bytes:
    """FORCEREADY with these forces."""
    return b"".join(
        [
            b"FORCEREADY".ljust(12),
            struct.pack("=di", 0.0, len(forces)),
            forces.tobytes(),
            bytes(72),
            struct.pack("=i", 0),
        ]
    )
