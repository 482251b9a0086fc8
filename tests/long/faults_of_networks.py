"""Faults of networks, each in a network namespace of its own, on its loopback interface."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

from launched import Failure, Inputs, Launched, Mark, Undisturbed
from seen import Seen, finish

PORT = 31415  # nobody else is in the namespace
NAMESPACE = ("unshare", "--net", "sh", "-c", 'ip link set lo mtu 1500 up && exec "$@"', "sh")
RATE = "4mbit"
"""A message of 402 atoms takes 20 ms."""
INPUTS = Inputs(n_steps=60, n_molecules=134, address="127.0.0.1", port=PORT, checkpoint=5)
IN_FLIGHT = 3000
"""Bytes of a message that are not received yet, out of 10000."""


def network_cut_shortly(folder: Path, undisturbed: Undisturbed) -> Seen:
    """the network is cut in the middle of a message, for 1 s"""
    return _cut(folder, undisturbed, 1.0)


def network_cut(folder: Path, undisturbed: Undisturbed) -> Seen:
    """the network is cut in the middle of a message, for 6 s"""
    return _cut(folder, undisturbed, 6.0)


def connection_reset(folder: Path, undisturbed: Undisturbed) -> Seen:
    """a connection is reset in the middle of a message"""
    with Launched(folder, INPUTS) as run:
        fault = _wait_for_half_a_message(run)
        _within(run, "ss", "-K", "dport", "=", str(PORT))
        return finish(run, undisturbed, run.recover(fault))


def _cut(folder: Path, undisturbed: Undisturbed, seconds: float) -> Seen:
    with Launched(folder, INPUTS) as run:
        fault = _wait_for_half_a_message(run)
        _within(run, "ip", "link", "set", "lo", "down")
        time.sleep(seconds)
        _within(run, "ip", "link", "set", "lo", "up")
        return finish(run, undisturbed, run.recover(fault))


def _wait_for_half_a_message(run: Launched) -> Mark:
    """Start a run with a slow network; return when a client is sending forces."""
    run.start(within=NAMESPACE)
    run.wait_for_step(10)
    words = ("tc", "qdisc", "add", "dev", "lo", "root", "tbf", "rate", RATE)
    _within(run, *words, "burst", "4kb", "latency", "10s")
    run.wait_for_step(run.step + 3)
    run.wait_until(lambda: _bytes_in_flight(run) > IN_FLIGHT)
    return run.mark()


def _bytes_in_flight(run: Launched) -> int:
    """What clients have sent and i-PI has not received, the most of all connections."""
    table = Path(f"/proc/{run.process.pid}/net/tcp").read_text().splitlines()[1:]
    rows = [line.split() for line in table]
    sent = [int(row[4].split(":")[0], 16) for row in rows if row[2].endswith(f":{PORT:04X}")]
    return max(sent, default=0)


def _within(run: Launched, *words: str) -> None:
    """Call a command in the namespace of a run."""
    command = ["nsenter", "--target", str(run.process.pid), "--net", *words]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise Failure(f"{' '.join(words)}: {done.stderr.strip()}")


def why_no_namespaces() -> str:
    """Why there can be no network namespace with a slow network; empty if there can."""
    missing = [name for name in ("unshare", "nsenter", "ip", "tc", "ss") if not shutil.which(name)]
    if missing:
        return f"no {' '.join(missing)}"
    tried = f"{NAMESPACE[4].replace('exec', ':')}; tc qdisc add dev lo root tbf rate {RATE}"
    done = subprocess.run(
        ["unshare", "--net", "sh", "-ec", f"{tried} burst 4kb latency 10s"], capture_output=True
    )
    return "" if done.returncode == 0 else done.stderr.decode().strip()
