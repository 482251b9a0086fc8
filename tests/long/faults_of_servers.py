"""Faults of i-PI, of ``mlobs run``, and of what others have left."""

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
from dataclasses import replace
from pathlib import Path

from faults_of_clients import MIDDLE, begun
from launched import Failure, Inputs, Launched, Mark, Undisturbed
from seen import Seen, end, finish

from mlobs_client.ipi.input import PREFIX
from mlobs_client.launch.relay import FILE
from mlobs_client.wire.rendezvous import Rendezvous

CHECKPOINTS = Inputs(checkpoint=5)
FAKE_SERVER = 20.0
"""Seconds that a client has to say its error."""


def server_killed(folder: Path, undisturbed: Undisturbed) -> Seen:
    """i-PI is killed (SIGKILL), then mlobs run --resume"""
    with Launched(folder, CHECKPOINTS) as run:
        fault = begun(run)
        run.signal("i-pi", signal.SIGKILL)
        seconds = end(run, fault.time, 1, "i-PI ended", "add --resume")
        run.start("--resume")
        return finish(run, undisturbed, seconds, r"continuing from simulation\.kept")


def server_terminated(folder: Path, undisturbed: Undisturbed) -> Seen:
    """i-PI is ended (SIGTERM), then mlobs run --resume"""
    with Launched(folder, Inputs()) as run:
        fault = begun(run)
        run.signal("i-pi", signal.SIGTERM)
        seconds = end(run, fault.time, 0, "stopped")
        run.start("--resume")
        return finish(run, undisturbed, seconds, "continuing from RESTART")


def server_stopped(folder: Path, undisturbed: Undisturbed) -> Seen:
    """i-PI is stopped (SIGSTOP) for 3 s and continued"""
    with Launched(folder, Inputs()) as run:
        fault = begun(run)
        run.pause("i-pi", 3.0)
        return finish(run, undisturbed, run.recover(fault))


def run_killed(folder: Path, undisturbed: Undisturbed) -> Seen:
    """mlobs run is killed (SIGKILL) and started again at once (--resume), while its i-PI lives"""
    with Launched(folder, Inputs()) as run:
        fault = begun(run)
        os.kill(run.pid, signal.SIGKILL)
        run.wait()
        run.start("--resume")
        return finish(run, undisturbed, _go_on(run, fault), "continuing from RESTART")


def only_ipi_left(folder: Path, undisturbed: Undisturbed) -> Seen:
    """mlobs run and all clients are killed (SIGKILL), i-PI lives, then mlobs run --resume"""
    with Launched(folder, Inputs()) as run:
        fault = begun(run)
        for pid in (run.pid, *(pid for name, pid in run.children().items() if name != "i-pi")):
            os.kill(pid, signal.SIGKILL)
        run.wait()
        run.start("--resume")
        return finish(run, undisturbed, _go_on(run, fault), "continuing from RESTART")


def killed_while_it_stops(folder: Path, undisturbed: Undisturbed) -> Seen:
    """mlobs run gets SIGTERM, and all is killed (SIGKILL) while it stops, then --resume"""
    with Launched(folder, CHECKPOINTS) as run:
        fault = begun(run)
        run.process.terminate()
        run.wait_until((folder / "EXIT").exists)
        run.kill_all()
        run.start("--resume")
        return finish(run, undisturbed, _go_on(run, fault), "removed .*EXIT", "continuing from")


def everything_killed(folder: Path, undisturbed: Undisturbed) -> Seen:
    """mlobs run, i-PI and clients are killed (SIGKILL), then mlobs run --resume"""
    with Launched(folder, CHECKPOINTS) as run:
        fault = begun(run)
        run.kill_all()
        run.start("--resume")
        return finish(run, undisturbed, run.recover(fault), r"continuing from simulation\.kept")


def _go_on(run: Launched, fault: Mark) -> float:
    """Wait for steps of the next run, not for the last ones of what was left of the killed one."""
    run.wait_until(lambda: "continuing from" in run.said)
    return run.recover(Mark(fault.time, run.step))


def run_interrupted(folder: Path, undisturbed: Undisturbed) -> Seen:
    """mlobs run gets SIGTERM, then mlobs run --resume"""
    with Launched(folder, Inputs()) as run:
        fault = begun(run)
        run.process.terminate()
        seconds = end(run, fault.time, 143, "stopped: SIGTERM")
        run.start("--resume")
        return finish(run, undisturbed, seconds, "continuing from RESTART")


def exit_file(folder: Path, undisturbed: Undisturbed) -> Seen:
    """a file EXIT appears, is left there, and removed"""
    with Launched(folder, Inputs()) as run:
        fault = begun(run)
        (folder / "EXIT").touch()
        seconds = end(run, fault.time, 0, "stopped")
        run.start("--resume")
        end(run, time.monotonic(), 1, "EXIT would stop i-PI at once")
        (folder / "EXIT").unlink()
        run.start("--resume")
        return finish(run, undisturbed, seconds, "continuing from RESTART")


def restart_cut(folder: Path, undisturbed: Undisturbed) -> Seen:
    """the newest checkpoint is cut in the middle"""
    with Launched(folder, CHECKPOINTS) as run:
        fault = begun(run)
        run.kill_all()
        kept = folder.glob("simulation.kept_*")
        newest = max(kept, key=lambda path: int(path.name.rpartition("_")[2]))
        newest.write_bytes(newest.read_bytes()[:1000])
        run.start("--resume")
        return finish(run, undisturbed, run.recover(fault), "is not used", "continuing from")


def stale_socket(folder: Path, undisturbed: Undisturbed) -> Seen:
    """the socket file of a dead server is in the way"""
    path = Path(f"{PREFIX}mlobs-faults-{os.getpid()}")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with Launched(folder, Inputs(address=str(path))) as run, _removed(path):
        begun_at = time.monotonic()
        run.start()
        run.wait_for_step(0)
        seconds = time.monotonic() - begun_at
        return finish(run, undisturbed, seconds, "left by a server that is gone")


def stale_rendezvous(folder: Path, undisturbed: Undisturbed) -> Seen:
    """the rendezvous file of a dead run is in the way of clients from elsewhere"""
    with Launched(folder, Inputs(n_clients=0)) as run:
        Rendezvous.invent("dead", "127.0.0.1", port=9).write(folder / FILE)
        run.join(2, FILE)
        time.sleep(5.0)  # so long they have tried
        begun_at = time.monotonic()
        run.start("--others-serve", "--listen", "127.0.0.1")
        run.wait_for_step(0)
        return finish(run, undisturbed, time.monotonic() - begun_at)


@contextlib.contextmanager
def _removed(path: Path) -> Iterator[None]:
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def two_runs_of_one_name(folder: Path, undisturbed: Undisturbed) -> Seen:
    """two runs with the same <address> at once"""
    with Launched(folder / "one", Inputs()) as one, Launched(folder / "two", Inputs()) as two:
        begun_at = time.monotonic()
        for run in (one, two):
            run.start()
        for run in (one, two):
            run.wait_for_step(MIDDLE)
        seconds = time.monotonic() - begun_at
        first = finish(one, undisturbed, seconds)
        second = finish(two, undisturbed, seconds)
        return replace(first, passed=first.passed and second.passed)


def two_servers_of_one_port(folder: Path, undisturbed: Undisturbed) -> Seen:
    """a second run with the same TCP port"""
    inputs = Inputs(address="127.0.0.1", port=free_port())
    with Launched(folder / "one", inputs) as one, Launched(folder / "two", inputs) as two:
        begun(one)
        since = time.monotonic()
        two.start()
        seconds = end(two, since, 1, f"port {inputs.port} .* is in use by another server")
        first = finish(one, undisturbed, seconds)
        return replace(first, happened=two.happened)


def malformed_header(folder: Path, undisturbed: Undisturbed) -> Seen:
    """a client gets twelve bytes of noise from its server"""
    return _with_fake_server(folder, b"\x00\xff\x17NOISE!\x80\x01\x02", "unknown header")


def oversized_message(folder: Path, undisturbed: Undisturbed) -> Seen:
    """a client gets a header that announces 10 GB"""
    n_atoms = 10**10 // 24
    message = b"POSDATA".ljust(12) + bytes(144) + struct.pack("=i", n_atoms)
    return _with_fake_server(folder, message + bytes(1000), f"of {n_atoms} atoms")


def oversized_init(folder: Path, undisturbed: Undisturbed) -> Seen:
    """a client gets an INIT that announces 2 GB"""
    message = b"INIT".ljust(12) + struct.pack("=ii", 0, 2**31 - 1)
    return _with_fake_server(folder, message + bytes(1000), "INIT announces a text of 2147483647")


def server_vanishes_in_a_message(folder: Path, undisturbed: Undisturbed) -> Seen:
    """a client gets half a message, and its server vanishes"""
    message = b"POSDATA".ljust(12) + bytes(100)
    return _with_fake_server(folder, message, "in the middle of 'POSDATA'", closes=True)


def _with_fake_server(folder: Path, message: bytes, expected: str, closes: bool = False) -> Seen:
    """Serve one client by hand: it must end at once with an error, and take no memory for it."""
    path = folder / "socket"
    folder.mkdir(exist_ok=True)
    Inputs(address=str(path)).write(folder)
    command = [sys.executable, "-m", "mlobs_client", "client", "client.toml"]
    paths = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])
    with (
        socket.socket(socket.AF_UNIX) as server,
        (folder / "client.log").open("wb") as log,
    ):
        server.bind(str(path))
        server.listen()
        server.settimeout(FAKE_SERVER)
        environment = {**os.environ, "PYTHONPATH": paths, "EVALUATIONS": str(folder / "notes")}
        client = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
        try:
            stream, _ = server.accept()
            with stream:
                stream.sendall(b"STATUS".ljust(12) + b"INIT".ljust(12) + bytes(8))
                before = _peak_memory(client.pid)
                since = time.monotonic()
                stream.sendall(message)
                if closes:
                    stream.close()
                after = _largest_memory(client)
                status = client.wait(FAKE_SERVER)
                seconds = time.monotonic() - since
        finally:
            client.kill()
            client.wait()
    said = (folder / "client.log").read_text().strip()
    line = said.splitlines()[-1].removeprefix("mlobs: error: ") if said else "nothing"
    grown = (after - before) / 2**20
    passed = status == 1 and expected in said and "Traceback" not in said and grown < 10.0
    if not passed:
        raise Failure(f"client: exit status {status}, {grown:.0f} MiB more: {line}")
    return Seen(f"the client ends: {line}", seconds, f"nothing; {grown:.1f} MiB taken", True)


def _peak_memory(pid: int) -> int:
    """Bytes of address space that a process has had at most; 0 when it has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    peaks = [line.split()[1] for line in status.splitlines() if line.startswith("VmPeak")]
    return 1024 * int(peaks[0]) if peaks else 0


def _largest_memory(client: subprocess.Popen[bytes]) -> int:
    """The same, of a process that is about to end."""
    largest, deadline = 0, time.monotonic() + FAKE_SERVER
    while client.poll() is None and time.monotonic() < deadline:
        largest = max(largest, _peak_memory(client.pid))
        time.sleep(0.001)
    return largest


def free_port() -> int:
    """A port of this machine that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
