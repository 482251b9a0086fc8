"""Storms: everything of a run is killed at random moments, and one line has to be enough after it.

``python faults_of_storms.py SEED SEED ...`` tries these storms alone.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from launched import ROUNDING, Failure, Inputs, Launched, Undisturbed
from seen import Seen, find_difference

N_STORMS = 40
N_STARTS = 3
"""That are disturbed; the next one is not."""
AMONG_STEPS = 0.7
"""The share of starts that are hit only when they make steps."""
PAUSES = (0.1, 5.0)
"""Seconds before each blow."""
GRACE = 1.5
"""Seconds, at most, between SIGTERM and SIGKILL of an impatient batch system."""
BLOWS = ("client", "client", "clients", "i-pi", "run", "all", "stop", "stop, then all")
INPUTS = Inputs(n_steps=200, seconds=0.02, checkpoint=20, record="observables.h5")
PATIENCE = 900.0


@dataclass(frozen=True)
class Storm:
    """One that has passed.

    Attributes:
        failure: why a person was needed, or what is wrong with the numbers; empty if nothing.
        n_blows: that the run got.
        seconds: of the last start, until its end.
        difference: largest, relative, from the run without a storm.
    """

    failure: str
    n_blows: int
    seconds: float
    difference: float


def storms(folder: Path, undisturbed: Undisturbed) -> Seen:
    """40 storms: in three starts clients, i-PI, mlobs run or all are killed at random; --resume"""
    found = [storm(folder / str(seed), undisturbed, seed) for seed in range(N_STORMS)]
    failures = [one.failure for one in found if one.failure]
    words = f"{len(found) - len(failures)} of {len(found)} end by --resume alone"
    n_blows = sum(one.n_blows for one in found)
    return Seen(
        "; ".join([f"{words}, after {n_blows} blows", *failures]),
        max(one.seconds for one in found),
        f"identical to {max(one.difference for one in found):.0e}",
        not failures,
    )


def storm(folder: Path, undisturbed: Undisturbed, seed: int) -> Storm:
    """Let one pass over a run, and say how that ends with one more ``--resume``."""
    moments, n_blows, seconds, difference = random.Random(seed), 0, 0.0, float("nan")
    with Launched(folder, INPUTS, PATIENCE) as run:
        try:
            for start in range(N_STARTS):
                run.start(*(["--resume"] if start else []))
                n_blows += _disturb(run, moments)
            begun = time.monotonic()
            run.start("--resume")
            status = run.wait()
            seconds = run.ended - begun
            last = run.said.strip().splitlines()[-1]
            if status or not last.startswith("finished"):
                raise Failure(f"exit status {status}: {last}")
            difference = find_difference(run, undisturbed)
            if not difference <= ROUNDING:
                raise Failure(f"different by {difference:.0e}")
            if left := run.left_sockets():
                raise Failure(f"{len(left)} folders of sockets are left")
        except Failure as error:
            return Storm(f"storm {seed}: {error}", n_blows, seconds, difference)
    return Storm("", n_blows, seconds, difference)


def _disturb(run: Launched, moments: random.Random) -> int:
    """Hit one start until it ends; return how often.

    Raises:
        Failure: it has refused to work, before it was hit, or makes no steps.
    """
    n_blows, step = 0, run.step
    if moments.random() < AMONG_STEPS:
        while run.step == step and not run.ends_within(0.02):
            if time.monotonic() > run.deadline:
                raise Failure(f"stands at step {step}: {run.happened}")
    while not run.ends_within(moments.uniform(*PAUSES)):
        with contextlib.suppress(OSError):  # somebody has just ended
            _hit(run, moments.choice(BLOWS), moments)
            n_blows += 1
    if n_blows == 0 and (status := run.wait()):
        raise Failure(f"exit status {status}, undisturbed: {run.said.strip().splitlines()[-1]}")
    return n_blows


def _hit(run: Launched, blow: str, moments: random.Random) -> None:
    """Kill, or stop, those that a blow is for."""
    children = run.children()
    clients = [name for name in children if name != "i-pi"]
    own = {"run": run.pid}
    victims = {
        "client": [children[moments.choice(clients)]] if clients else [],
        "clients": [children[name] for name in clients],
        "i-pi": [pid for name, pid in children.items() if name == "i-pi"],
        "run": [run.pid],
        "stop": [],
    }.get(blow, moments.sample([*children.values(), *own.values()], len(children) + 1))
    if blow.startswith("stop"):
        os.kill(run.pid, signal.SIGTERM)
    if blow == "stop, then all":
        run.ends_within(moments.uniform(0.0, GRACE))
    for pid in victims:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def main() -> int:
    """Try some; 1 if a person is needed."""
    with tempfile.TemporaryDirectory() as scratch:
        undisturbed = Undisturbed(Path(scratch, "undisturbed"))
        found = []
        for seed in map(int, sys.argv[1:]):
            found.append(storm(Path(scratch, str(seed)), undisturbed, seed))
            print(seed, found[-1], flush=True)
    return int(any(one.failure for one in found))


if __name__ == "__main__":
    sys.exit(main())
