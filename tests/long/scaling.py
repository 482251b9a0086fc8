"""``make scaling``: steps per second against the number of clients, and what ``mlobs run`` costs.

The model sleeps, so that processors are no limit. i-PI is served in turn by ``mlobs run`` with N
clients, and by as many of i-PI's own Python drivers, started by hand, with a model that sleeps for
as long: what they reach is i-PI's own limit. The overhead of a run is the time of the whole command
with i-PI and clients that do a few steps, beyond that of the same processes started by hand.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from launched import Failure, Inputs, Launched
from report import Figure, run

CLIENTS = (1, 2, 4, 8)
BEADS = 8
SLEEP = 0.05
TIMED = 6.0
"""Seconds that are timed of a run, at least."""
WARM_UP = 3
"""Steps that are not timed, after all clients have come."""
ROUNDS = 3
RATIO = 0.9
OVERHEAD = 2.0
PATIENCE = 120.0
FEW_STEPS = Inputs(n_steps=5, seconds=0.0, n_clients=2)
CLIENT = [sys.executable, "-m", "mlobs_client", "client", "client.toml", "-S", "./"]
OWN_DRIVER = [
    str(Path(sys.executable).with_name("i-pi-driver-py")),
    *("-u", "-S", "./", "-a", FEW_STEPS.address, "-m", "custom", "-P", "sleeping.py"),
]
DRIVER = f"""
import time
from ipi.pes.dummy import Dummy_driver
__DRIVER_NAME__ = "sleeping"
__DRIVER_CLASS__ = "Sleeping"

class Sleeping(Dummy_driver):
    def compute_structure(self, cell, pos):
        time.sleep({SLEEP})
        return 0.0, -0.01 * pos, cell * 0.0, ""
"""


def start_ours(running: Launched) -> None:
    """Start ``mlobs run``."""
    running.start()


def start_own(running: Launched) -> None:
    """Start i-PI and its own drivers."""
    (running.folder / "sleeping.py").write_text(DRIVER)
    running.start_by_hand(OWN_DRIVER, is_patient=False)


def scaling(n_clients: int) -> list[Figure]:
    """Steps per second with so many clients, ours and i-PI's own."""
    rates = np.array(
        [[_rate(n_clients, start) for start in (start_ours, start_own)] for _ in range(ROUNDS)]
    )
    (ours, own), ratios = rates.mean(axis=0), rates[:, 0] / rates[:, 1]
    ratio, error = float(ratios.mean()), float(ratios.std(ddof=1) / ROUNDS**0.5)
    best = n_clients / (BEADS * SLEEP)
    name = f"{n_clients} client{'s' * (n_clients > 1)}"
    words = f"i-PI's own drivers {own:.4g}; sleep alone {best:.4g}"
    least = f"at least {RATIO:g}"
    return [
        Figure(f"{name}, steps", float(ours), None, "1/s", words, None),
        Figure(f"{name}, mlobs / i-PI's own drivers", ratio, error, "1", least, ratio >= RATIO),
    ]


def _rate(n_clients: int, start: Callable[[Launched], None]) -> float:
    """Steps per second of one run, when all clients have come."""
    inputs = Inputs(n_steps=10**6, seconds=SLEEP, n_clients=n_clients, n_beads=BEADS)
    with (
        tempfile.TemporaryDirectory() as scratch,
        Launched(Path(scratch, "run"), inputs, PATIENCE) as running,
    ):
        start(running)
        running.wait_until(lambda: _count_connected(running) == n_clients)
        running.wait_for_step(running.step + WARM_UP)
        begun, step = time.monotonic(), running.step
        running.wait_until(lambda: time.monotonic() - begun >= TIMED)
        last = running.step
        running.wait_for_step(last + 1)
        return (last + 1 - step) / (time.monotonic() - begun)


def _count_connected(running: Launched) -> int:
    """Clients that i-PI has accepted, from its log."""
    log = running.folder / "i-pi.log"
    text = (log if log.exists() else running.log).read_text()
    return text.count("Handshaking was successful")


def overhead(*, checks: bool) -> list[Figure]:
    """What ``mlobs run`` takes beyond the processes that it starts."""
    seconds = np.array([[_time_run(checks=checks), _time_by_hand()] for _ in range(ROUNDS)])
    beyond = seconds[:, 0] - seconds[:, 1]
    value, error = float(beyond.mean()), float(beyond.std(ddof=1) / ROUNDS**0.5)
    words = f"at most {OVERHEAD:g}; i-PI and clients by hand take {seconds[:, 1].mean():.2f}"
    name = f"mlobs run {'' if checks else '--no-check '}beyond i-PI and clients by hand"
    return [Figure(name, value, error, "s", words, value <= OVERHEAD)]


def _time_run(*, checks: bool) -> float:
    with (
        tempfile.TemporaryDirectory() as scratch,
        Launched(Path(scratch, "run"), FEW_STEPS, PATIENCE) as running,
    ):
        begun = time.monotonic()
        running.start(checks=checks)
        _end_well(running)
        return time.monotonic() - begun


def _time_by_hand() -> float:
    with (
        tempfile.TemporaryDirectory() as scratch,
        Launched(Path(scratch, "run"), FEW_STEPS, PATIENCE) as running,
    ):
        begun = time.monotonic()
        running.start_by_hand(CLIENT, is_patient=True)
        _end_well(running)
        for client in running.clients:
            client.wait(PATIENCE)
        return time.monotonic() - begun


def _end_well(running: Launched) -> None:
    if status := running.wait():
        raise Failure(f"exit status {status}: {running.said}")


def main() -> int:
    """Measure all; 1 if something does not hold."""
    studies = {f"{n} clients": partial(scaling, n) for n in CLIENTS}
    studies["overhead"] = partial(overhead, checks=False)
    studies["overhead with checks"] = partial(overhead, checks=True)
    return run("scaling", studies)


if __name__ == "__main__":
    sys.exit(main())
