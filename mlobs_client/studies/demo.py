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
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Final

from mlobs_client.errors import LaunchError
from mlobs_client.ipi import input as ipi_input

TEMPLATES: Final = Path(str(files("mlobs_client") / "templates"))
OUTPUT_STRIDE: Final = 4  # steps of 0.5 fs: lines up to 8000 cm^-1 stay below the Nyquist limit
BLOCKS: Final = 4
RESOLUTION: Final = 250.0  # cm^-1, which four blocks of 0.23 ps allow
POLL_INTERVAL: Final = 0.5  # seconds between two looks at a run


@dataclass(frozen=True)
class DemoRun:
    """One run of the demo.

    Attributes:
        name: name of the folder of the run.
        template: name of the folder of inputs from which the run is made.
        n_steps: number of steps, of 0.5 fs.
        n_beads: number of beads; 1 for classical nuclei.
        field: electric field along z, V/angstrom.
        dtype: precision of the networks; double where the energy must be conserved.
    """

    name: str
    template: str
    n_steps: int
    n_beads: int = 1
    field: float = 0.0
    dtype: str = "float64"


BEADS: Final = 4
FIELDS: Final = (0.05, 0.1, 0.15)
QUANTUM: Final = DemoRun("trpmd", "water-trpmd", 2040, BEADS, dtype="float32")
CLASSICAL: Final = DemoRun("nve", "water-nve", 2040)
CLASSICAL_IN_FIELD: Final = DemoRun("nve-field", "water-nve-field", 600, field=0.1)
QUANTUM_FIELDS: Final = tuple(
    DemoRun(f"trpmd-field-{field}", "water-trpmd-field", 160, BEADS, field, "float32")
    for field in FIELDS
)
CLASSICAL_FIELDS: Final = tuple(
    DemoRun(f"classical-field-{field}", "water-trpmd-field", 320, 1, field, "float32")
    for field in (0.0, *FIELDS)
)
# the longest first, so that both cores are busy to the end
RUNS: Final = (QUANTUM, CLASSICAL, *QUANTUM_FIELDS, CLASSICAL_IN_FIELD, *CLASSICAL_FIELDS)
OBSERVED: Final = (QUANTUM, CLASSICAL)
"""Runs whose dipoles are evaluated afterwards, at every fourth step, which costs less."""


def write(run: DemoRun, folder: Path, scale: float = 1.0) -> None:
    """Write the inputs of one run.

    Args:
        run: the run.
        folder: folder to create.
        scale: factor that multiplies the number of steps, for a quick look.
    """
    shutil.copytree(TEMPLATES / run.template, folder)
    address = f"mlobs-demo-{os.getpid()}-{run.name}"
    n_steps = max(10 * OUTPUT_STRIDE, round(run.n_steps * scale))
    changes = [
        (r"<total_steps>\s*(\d+)", n_steps),
        (r"nbeads='(\d+)'", run.n_beads),
        (r"<address>\s*(\S+)", address),
        (r"filename='pos' stride='(\d+)'", OUTPUT_STRIDE),
    ]
    if run.template.startswith("water-trpmd"):
        changes.append((r"<batch_size>\s*(\d+)", run.n_beads))
    _change(folder / "input.xml", changes)
    changes = [(r'address = "([^"]*)"', address)]
    if run.template.endswith("-field"):
        changes.append((r"vector = \[([^\]]*)\]", f"0.0, 0.0, {run.field}"))
    _adapt(folder / "client.toml", run.dtype)
    if run in OBSERVED:
        changes.append((r"extras = \[([^\]]*)\]", '"energy_spread"'))
        _change(folder / "input.xml", [(r"(<trajectory filename='dipole'.*?</trajectory>)", "")])
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


ReportProgress = Callable[[DemoRun, float], None]
"""A function that is called with a run and the fraction of its steps that are done."""


def run_all(
    runs: Sequence[DemoRun],
    folder: Path,
    report: ReportProgress,
    scale: float = 1.0,
    at_once: int = 2,
) -> None:
    """Execute all runs, and evaluate the dipoles of those in :data:`OBSERVED` afterwards.

    Runs whose folders exist keep their inputs, which the user may have changed, and continue from
    where they ended.

    Args:
        runs: the runs.
        folder: folder in which each run has a folder of its own.
        report: called with the progress of each run.
        scale: factor that multiplies the number of steps, for a quick look.
        at_once: number of runs that are executed at the same time.

    Raises:
        LaunchError: a run failed; the message names its log.
    """
    for run in runs:
        if not (folder / run.name).exists():
            write(run, folder / run.name, scale)
    failed = threading.Event()
    with ThreadPoolExecutor(at_once) as pool:
        futures = [pool.submit(_run_one, run, folder / run.name, report, failed) for run in runs]
        try:
            for future in futures:
                future.result()
        except BaseException:
            failed.set()
            raise


def _run_one(run: DemoRun, folder: Path, report: ReportProgress, failed: threading.Event) -> None:
    total = int(_find(folder / "input.xml", r"<total_steps>\s*(\d+)"))

    def report_step() -> None:
        report(run, _last_step(folder / "simulation.out") / total)

    restart = folder / "RESTART"
    if not restart.exists():
        _call(["run", "input.xml", "client.toml", "--no-check"], folder, failed, report_step)
    elif ipi_input.read(restart).step < total:
        _call(["run", "RESTART", "client.toml", "--no-check"], folder, failed, report_step)
    if run in OBSERVED:
        wanted = ["-w", "dipole", "-w", "committee_dipoles", "-o", "dipoles.h5"]
        arguments = ["observe", "client.toml", "simulation.pos", *wanted]
        _call(arguments, folder, failed, report_step)
    report(run, 1.0)


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
    """Set the precision of each committee; do not compile, as a run this short gains nothing."""
    kind = 'kind = "mace"'
    text = path.read_text().replace(kind, f'{kind}\ndtype = "{dtype}"')
    path.write_text(f"compile = false  # remove this in longer runs\n{text}")


def _find(path: Path, pattern: str) -> str:
    match = re.search(pattern, path.read_text())
    assert match is not None  # _change has found it before
    return match[1]


def _last_step(properties: Path) -> int:
    """Return the step of the last complete line; 0 while there is none."""
    if not properties.exists():
        return 0
    whole = properties.read_text().rpartition("\n")[0].splitlines()
    if not whole or whole[-1].startswith("#"):
        return 0
    return int(float(whole[-1].split()[0]))
