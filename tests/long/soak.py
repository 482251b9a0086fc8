"""``make soak``: a long run whose clients are killed all the time.

Eight beads, four clients, one of which is spared so that its memory is seen for long; the others
are killed (SIGKILL) at random. Memory and files of i-PI, of ``mlobs run`` and of the clients are
looked at once a second. A growth is the slope of a straight line through means over blocks of time,
the same for all processes of a kind (i-PI that has been started again is another process), after a
fifth of their time. ``python soak.py SECONDS`` does it for that long, not half an hour.
"""

from __future__ import annotations

import re
import signal
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
from launched import ROUNDING, Failure, Inputs, Launched
from report import Figure, run

from mlobs_client.structure import Array

SECONDS = 1800.0
INPUTS = Inputs(n_steps=10**7, seconds=0.1, n_clients=4, n_beads=8)
COMPARED = 200
"""Steps that are compared with a run where nobody is killed."""
PAUSES = (2.0, 6.0)
"""Seconds between two kills."""
SPARED = "client-0"
WARM_UP = 10.0
BLOCK = 5.0
FLAT = 2.0
"""MiB/hour that are no growth."""
END = 90.0
"""Seconds for the end of the run."""


@dataclass
class Watch:
    """What was seen of the processes of one run.

    Attributes:
        samples: rows (s, MiB, number of open files) of each process, by kind and pid.
        n_kills: of clients.
        longest_pause: between two steps, s.
    """

    samples: dict[str, dict[int, list[tuple[float, float, int]]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )
    n_kills: int = 0
    longest_pause: float = 0.0

    def look(self, kind: str, pid: int) -> None:
        """Take one sample, unless the process is gone."""
        try:
            n_files = len(list(Path(f"/proc/{pid}/fd").iterdir()))
            status = Path(f"/proc/{pid}/status").read_text()
        except OSError:
            return
        if resident := re.search(r"VmRSS:\s+(\d+) kB", status):
            self.samples[kind][pid].append((time.monotonic(), int(resident[1]) / 1024, n_files))

    def tables(self, kind: str) -> list[Array]:
        """Samples of all processes of a kind that were seen for long, after their warm-up."""
        tables = [np.array(rows) for rows in self.samples[kind].values()]
        warm = [table[table[:, 0] >= table[0, 0] + _warm_up(table)] for table in tables]
        return [table for table in warm if len(table) and np.ptp(table[:, 0]) >= 4.0 * BLOCK]


def _warm_up(table: Array) -> float:
    """Seconds until a process has seen all that it does: a fifth of its time."""
    return max(WARM_UP, float(np.ptp(table[:, 0])) / 5.0)


def soak(seconds: float) -> list[Figure]:
    """Kill clients for so long, stop, and look at what there is."""
    with tempfile.TemporaryDirectory() as scratch:
        running = Launched(Path(scratch, "soak"), INPUTS, seconds + END)
        with running:
            running.start()
            running.wait_for_step(10)
            watch = _kill_clients(running, seconds)
            words = _stop(running)
        quiet = Launched(Path(scratch, "quiet"), replace(INPUTS, n_steps=COMPARED), 2.0 * END)
        with quiet:
            quiet.start()
            if quiet.wait():
                raise Failure(f"without any kill: {quiet.happened}")
        return [*_numbers(running, quiet, watch, words), *_growths(watch)]


def _kill_clients(running: Launched, seconds: float) -> Watch:
    """Kill, and look at all processes; ends early if the run does."""
    watch, random = Watch(), np.random.default_rng(0)
    now = time.monotonic()
    until, next_look, next_kill = now + seconds, now, now + PAUSES[1]
    step, since = running.step, now
    while now < until and running.process.poll() is None:
        if running.step != step:
            watch.longest_pause = max(watch.longest_pause, now - since)
            step, since = running.step, now
        if now >= next_look:
            next_look += 1.0
            _look(running, watch)
        victims = [name for name in running.children() if name not in ("i-pi", SPARED)]
        if now >= next_kill and victims:
            next_kill = now + random.uniform(*PAUSES)
            running.signal(str(random.choice(victims)), signal.SIGKILL)
            watch.n_kills += 1
        time.sleep(0.02)
        now = time.monotonic()
    return watch


def _look(running: Launched, watch: Watch) -> None:
    watch.look("mlobs run", running.process.pid)
    for name, pid in running.children().items():
        watch.look("i-PI" if name == "i-pi" else "clients", pid)


def _stop(running: Launched) -> str:
    """Stop the run; say how it has ended."""
    if running.process.poll() is None:
        running.process.terminate()
    status = running.wait()
    return f"exit status {status}: {running.happened.split('; ')[-1]}"


def _numbers(running: Launched, quiet: Launched, watch: Watch, words: str) -> list[Figure]:
    """Kills, steps, and whether these are the right ones."""
    path = running.folder / "simulation.out"
    lines = [line.split() for line in path.read_text().splitlines() if not line.startswith("#")]
    steps = [int(float(line[0])) for line in lines]
    all_once = steps == list(range(len(steps)))
    expected = quiet.rows()[: len(steps)]
    found = running.rows()[: len(expected)]
    scale = np.abs(expected).max(axis=0)
    difference = float((np.abs(found - expected) / np.where(scale == 0.0, 1.0, scale)).max())
    difference_name = f"difference of the first {len(expected) - 1} from a run without kills"
    n_restarts = running.said.count("lost the thread")
    return [
        Figure("clients killed", watch.n_kills, None, "1", words, "status 143" in words),
        Figure("i-PI started again, from RESTART", n_restarts, None, "1", "", None),
        Figure("steps", steps[-1], None, "1", "each there once, in order", all_once),
        Figure(difference_name, difference, None, "1", f"at most {ROUNDING:g}",
               difference <= ROUNDING),
        Figure("longest pause between two steps", watch.longest_pause, None, "s", "", None),
    ]  # fmt: skip


def _growths(watch: Watch) -> list[Figure]:
    figures = []
    for kind in ("i-PI", "mlobs run", "clients"):
        tables = watch.tables(kind)
        if not tables:
            continue
        slope, error = _slope(tables)
        last = np.median([table[-1, 1] for table in tables])
        reference = f"at most {FLAT:g} beyond two errors; {last:.0f} MiB at the end"
        is_flat = bool(slope <= FLAT + 2.0 * error)
        name = f"growth of memory of {kind}"
        figures.append(Figure(name, slope, error, "MiB/hour", reference, is_flat))
        files = max(_grown_files(table) for table in tables)
        last_files = int(max(table[-1, 2] for table in tables))
        reference = f"none; {last_files} at the end"
        figures.append(
            Figure(f"more open files of {kind}", files, None, "1", reference, files <= 0)
        )
    return figures


def _slope(tables: list[Array]) -> tuple[float, float]:
    """Common slope of the memory of several processes against time, MiB/hour, and its error."""
    x, y, n_offsets = [], [], 0
    for table in tables:
        n_blocks = int(np.ptp(table[:, 0]) // BLOCK)
        blocks = np.array_split(table, n_blocks)
        means = np.array([block[:, :2].mean(axis=0) for block in blocks])
        means -= means.mean(axis=0)  # each process has a size of its own
        x.append(means[:, 0] / 3600.0)
        y.append(means[:, 1])
        n_offsets += 1
    hours, size = np.concatenate(x), np.concatenate(y)
    slope = float(hours @ size / (hours @ hours))
    left = size - slope * hours
    variance = left @ left / max(1, len(left) - n_offsets - 1)
    return slope, float(np.sqrt(variance / (hours @ hours)))


def _grown_files(table: Array) -> int:
    """Open files, at most, in the last quarter of the time beyond those in the first."""
    quarter = max(1, len(table) // 4)
    return int(table[-quarter:, 2].max() - table[:quarter, 2].max())


def main() -> int:
    """Soak for so many seconds; 1 if something does not hold."""
    seconds = float(sys.argv.pop()) if len(sys.argv) > 1 else SECONDS
    return run("soak", {f"soak for {seconds:g} s": partial(soak, seconds)})


if __name__ == "__main__":
    sys.exit(main())
