"""Execute the runs of ``mlobs demo``: quantum water in an electric field.

Each run has a folder with an input.xml and a client.toml, made from the shipped inputs. It is
started with the command that a user would type there: ``mlobs run input.xml client.toml``.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from mlobs_client.errors import LaunchError
from mlobs_client.ipi import input as ipi_input
from mlobs_client.studies.demo_plan import OUTPUT_STRIDE, RUNS, Cost, DemoRun, Kind

TEMPLATES: Final = Path(str(files("mlobs_client") / "templates"))
POLL_INTERVAL: Final = 0.5  # seconds between two looks at a run
MEASURED: Final = 12
"""Number of steps of the runs that are timed."""
WARM_UP: Final = 4
"""Number of steps at their start that are not timed; the others are whole strides."""
CHECKPOINT_STRIDE: Final = 200  # steps: little is lost if the demo is killed
OBSERVED: Final = '"dipole", "committee_dipoles", "energy_spread"'
MEMBERS: Final = (
    f"<trajectory filename='committee_dipole' stride='{OUTPUT_STRIDE}' "
    "extra_type='committee_dipole'> extras </trajectory>\n    "
)

ReportProgress = Callable[[DemoRun, float], None]
"""A function that is called with a run and the fraction of its steps that are done."""


def write(run: DemoRun, folder: Path, n_steps: int) -> None:
    """Write the inputs of one run, all or none.

    Args:
        run: the run.
        folder: folder to create.
        n_steps: number of steps.
    """
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)  # a kill has left it
    shutil.copytree(TEMPLATES / run.template, partial)
    _fill(run, partial, n_steps)
    partial.rename(folder)


def _fill(run: DemoRun, folder: Path, n_steps: int) -> None:
    """Change a template to the inputs of a run."""
    address = f"mlobs-demo-{os.getpid()}-{run.name}"
    changes = [
        (r"<total_steps>\s*(\d+)", n_steps),
        (r"nbeads='(\d+)'", run.n_beads),
        (r"filename='checkpoint' stride='(\d+)'", CHECKPOINT_STRIDE),
        (r"<address>\s*(\S+)", address),
    ]
    if run.template.startswith("water-trpmd"):
        changes.append((r"<batch_size>\s*(\d+)", run.n_beads))
    _change(folder / "input.xml", changes)
    changes = [(r'address = "([^"]*)"', address)]
    if run.template.endswith("-field"):
        changes.append((r"vector = \[([^\]]*)\]", f"0.0, 0.0, {run.field}"))
    _adapt(folder / "client.toml", run.dtype)
    if not run.field:  # with a field, the dipole is part of the forces and evaluated at each step
        changes.append((r"()extras = ", f"stride = {OUTPUT_STRIDE}\n"))
        changes.append((r"extras = \[([^\]]*)\]", OBSERVED))
        _change(folder / "input.xml", [(r"()<checkpoint ", MEMBERS)])
    _change(folder / "client.toml", changes)


def _change(path: Path, changes: Sequence[tuple[str, object]]) -> None:
    """Replace the one group of the first match of each pattern."""
    text = path.read_text()
    for pattern, value in changes:
        match = re.search(pattern, text)
        if match is None:
            raise LaunchError(f"the shipped {path.name} has no {pattern!r}; reinstall mlobs")
        text = text[: match.start(1)] + str(value) + text[match.end(1) :]
    path.write_text(text)


def measure(runs: Sequence[DemoRun], report: ReportProgress, at_once: int = 2) -> dict[Kind, Cost]:
    """Measure how long these runs take, from a few steps of each in a temporary folder.

    Args:
        runs: the runs, one of each kind.
        report: called with the progress of each of them.
        at_once: number of runs that are executed at the same time, as in the demo.

    Returns:
        The costs of runs of each kind.

    Raises:
        LaunchError: a run failed.
    """
    with TemporaryDirectory() as name:
        folder = Path(name)
        for run in runs:
            write(run, folder / run.name, MEASURED)
            _change(folder / run.name / "input.xml", [(r"verbosity='(low)'", "high")])
        seconds = run_all(runs, folder, report, at_once=at_once)
        return {run.kind: _cost(folder / run.name / "i-pi.log", seconds[run]) for run in runs}


def _cost(log: Path, seconds: float) -> Cost:
    """Read the times of steps from the log of i-PI; everything else is the start."""
    times = [float(time) for time in re.findall(r"t/step:\s*(\S+)", log.read_text())][WARM_UP:]
    step = sum(times) / len(times)
    return Cost(seconds - MEASURED * step, step)


def read_lengths(folder: Path) -> dict[DemoRun, int]:
    """Return the number of steps of each run whose inputs are there, which the user may change."""
    inputs = {run: folder / run.name / "input.xml" for run in RUNS}
    return {run: ipi_input.read(path).total_steps for run, path in inputs.items() if path.exists()}


def run_all(
    runs: Iterable[DemoRun],
    folder: Path,
    report: ReportProgress,
    finished: Callable[[DemoRun], None] = lambda run: None,
    at_once: int = 2,
) -> dict[DemoRun, float]:
    """Execute all runs, from their inputs, or from where they ended.

    Args:
        runs: the runs, in the order in which they are started.
        folder: folder in which each run has a folder of its own.
        report: called with the progress of each run.
        finished: called with each run that is over, while others continue.
        at_once: number of runs that are executed at the same time.

    Returns:
        The time that each run has taken, s.

    Raises:
        LaunchError: a run failed; the message names its log.
    """
    failed = threading.Event()
    with ThreadPoolExecutor(at_once) as pool:
        futures = {
            pool.submit(_run_one, run, folder / run.name, report, failed): run for run in runs
        }
        try:
            for future in as_completed(futures):
                future.result()
                finished(futures[future])
        except BaseException:
            failed.set()
            raise
    return {run: future.result() for future, run in futures.items()}


def _run_one(run: DemoRun, folder: Path, report: ReportProgress, failed: threading.Event) -> float:
    begun = time.monotonic()
    total = ipi_input.read(folder / "input.xml").total_steps
    _call(
        ["run", "input.xml", "client.toml", "--resume", "--no-check"], folder, failed,
        lambda: report(run, _last_step(folder / "simulation.out") / total),
    )  # fmt: skip
    report(run, 1.0)
    return time.monotonic() - begun


def _call(
    arguments: Sequence[str], folder: Path, failed: threading.Event, watch: Callable[[], None]
) -> None:
    """Run a command of ``mlobs`` in this folder, as a user would."""
    if failed.is_set():
        return
    log = folder / f"{arguments[0]}.log"
    command = [sys.executable, "-m", "mlobs_client", *arguments]
    with log.open("w") as file:
        process = subprocess.Popen(command, cwd=folder, stdout=file, stderr=subprocess.STDOUT)
        while process.poll() is None:
            if failed.is_set():
                process.terminate()
            watch()
            time.sleep(POLL_INTERVAL)
    if process.returncode != 0 and not failed.is_set():
        failed.set()
        lines = log.read_text().strip().splitlines() or ["(it said nothing)"]
        raise LaunchError(f"mlobs {' '.join(arguments)} failed: {lines[-1]} (see {log})")


def _adapt(path: Path, dtype: str) -> None:
    """Set precision and members of each committee; do not compile, which gains nothing so soon."""
    kind = 'kind = "mace"'
    text = path.read_text().replace(kind, f'{kind}\ndtype = "{dtype}"')
    text = text.replace('-*"]', '-[01]"]  # two of four, for speed')
    path.write_text(f"compile = false  # remove this in longer runs\n{text}")


def _last_step(properties: Path) -> int:
    """Return the step of the last complete line; 0 while there is none."""
    if not properties.exists():
        return 0
    whole = properties.read_text().rpartition("\n")[0].splitlines()
    if not whole or whole[-1].startswith("#"):
        return 0
    return int(float(whole[-1].split()[0]))
