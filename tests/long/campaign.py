"""A campaign that is killed again and again ends as if it were not; and what campaigns cost.

``python campaign.py`` takes five minutes and writes ``results/campaign.json``; ``python campaign.py
NAME`` runs one study and writes nothing.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from report import Figure, run

sys.path.insert(0, str(Path(__file__).parents[1]))
from campaigns import (  # beside the other tests
    kill_all_in,
    largest_difference,
    said,
    start_campaign,
    wait_for_end,
    write_campaign,
)
from ipi_runs import ROUNDING

N_KILLS = 10
WRITE = {"temperatures": (280, 300, 320), "seeds": (1, 2, 3, 4), "steps": 1000, "at_once": 2}
DEADLINE = 1800.0  # s


def _finish(folder: Path) -> float:
    """Run a campaign to its end; return the seconds that it took."""
    started = time.monotonic()
    if wait_for_end(start_campaign(folder), folder, DEADLINE):
        raise RuntimeError(said(folder))
    return time.monotonic() - started


def killed(scratch: Path) -> list[Figure]:
    """Twelve runs in rows of three, killed at ten moments."""
    undisturbed, folder = scratch / "undisturbed", scratch / "killed"
    for one in (undisturbed, folder):
        write_campaign(one, **WRITE)
    seconds = _finish(undisturbed)
    results = [json.loads(path.read_text()) for path in undisturbed.glob("runs/*/done.json")]
    moments = random.Random(4)
    n_found = 0
    for kill in range(N_KILLS):
        process = start_campaign(folder)
        time.sleep(moments.uniform(1.0, 9.0))
        n_found += process.poll() is None
        if kill % 3 < 2:
            kill_all_in(folder)
        process.kill()  # alone, every third time: what it has started goes on
        process.wait()
    _finish(folder)
    difference = largest_difference(folder, undisturbed)
    own = seconds - sum(result["seconds"] for result in results) / WRITE["at_once"]
    name = "12 runs, killed 10 times"
    reference = f"at most {ROUNDING:g}, rounding; beside the same runs undisturbed"
    return [
        Figure(f"{name}: kills that found it at work", n_found, None, "1", "10", n_found == 10),
        Figure(f"{name}: largest difference", difference, None, "1", reference,
               difference < ROUNDING),
        Figure("own time of a campaign, for each run", own / len(results), None, "s",
               "at most 2; without 'mlobs run' itself", own / len(results) < 2.0),
    ]  # fmt: skip


def planned(scratch: Path) -> list[Figure]:
    """A thousand runs, from the command line."""
    write_campaign(scratch, temperatures=range(100), seeds=range(10))
    started = time.monotonic()
    command = [sys.executable, "-m", "mlobs_client", "campaign", "plan"]
    done = subprocess.run(command, cwd=scratch, check=True, capture_output=True, text=True)
    seconds = time.monotonic() - started
    if "1000 runs" not in done.stdout:
        raise RuntimeError(done.stdout)
    return [Figure("1000 runs planned", seconds, None, "s", "at most 5", seconds < 5.0)]


def main() -> int:
    """Run the studies; 1 if a figure does not hold."""
    with tempfile.TemporaryDirectory() as scratch:
        studies = {
            study.__name__: partial(study, Path(scratch, study.__name__))
            for study in (planned, killed)
        }
        return run("campaign", studies)


if __name__ == "__main__":
    sys.exit(main())
