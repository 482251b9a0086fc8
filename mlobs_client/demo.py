"""Quantum water in an electric field: what ``mlobs demo`` runs, and what it makes of it.

Every leg is a folder with an input.xml and a client.toml made from the shipped inputs, and runs
with the command that a user would type there: ``mlobs run input.xml client.toml``.
"""

from __future__ import annotations

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

TEMPLATES: Final = Path(str(files("mlobs_client") / "templates"))
OUTPUT_STRIDE: Final = 4  # steps of 0.5 fs: lines up to 8000 cm^-1 stay below the Nyquist limit
LOG: Final = "run.log"


@dataclass(frozen=True)
class Leg:
    """One simulation of the demo.

    Attributes:
        name: of its folder.
        template: folder of ``ipi_inputs`` that it is made from.
        n_steps: of 0.5 fs.
        n_beads: 1 is classical.
        field: V/angstrom, along z.
    """

    name: str
    template: str
    n_steps: int
    n_beads: int = 1
    field: float = 0.0


BEADS: Final = 6
FIELDS: Final = (0.05, 0.1, 0.15)
LEGS: Final = (
    Leg("trpmd", "water-trpmd", n_steps=2000, n_beads=BEADS),
    *(Leg(f"trpmd-{f:.2f}", "water-trpmd-field", 400, BEADS, f) for f in FIELDS),
    Leg("nve", "water-nve", n_steps=3000),
    Leg("nve-0.10", "water-nve-field", n_steps=1500, field=0.1),
    *(Leg(f"classical-{f:.2f}", "water-trpmd-field", 800, 1, f) for f in FIELDS),
)


def write(leg: Leg, folder: Path, scale: float = 1.0) -> None:
    """Write the inputs of one leg.

    Args:
        leg: what to write.
        folder: is made; what is in it is replaced.
        scale: of the number of steps, for a quick look.
    """
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(TEMPLATES / leg.template, folder)
    n_steps = max(OUTPUT_STRIDE, round(leg.n_steps * scale))
    address = f"mlobs-demo-{leg.name}"
    xml = folder / "input.xml"
    text = xml.read_text()
    text = _set(text, r"<total_steps>\s*(\d+)", str(n_steps))
    text = _set(text, r"nbeads='(\d+)'", str(leg.n_beads))
    text = _set(text, r"<address>\s*(\S+)", address)
    if leg.template != "water-nve" and "<batch_size>" in text:
        text = _set(text, r"<batch_size>\s*(\d+)", str(leg.n_beads))
    xml.write_text(text)
    client = folder / "client.toml"
    text = _set(client.read_text(), r'address = "([^"]*)"', address)
    if leg.field:
        text = _set(text, r"vector = \[([^\]]*)\]", f"0.0, 0.0, {leg.field}")
    client.write_text(text)


def _set(text: str, pattern: str, value: str) -> str:
    """Replace the one group of the first match."""
    match = re.search(pattern, text)
    if match is None:
        raise LaunchError(f"the shipped input has no {pattern!r}; reinstall mlobs")
    return text[: match.start(1)] + value + text[match.end(1) :]


Progress = Callable[[Leg, int], None]


def run(
    legs: Sequence[Leg], folder: Path, report: Progress, scale: float = 1.0, at_once: int = 2
) -> None:
    """Run all legs, the longest first, ``at_once`` at a time.

    Raises:
        LaunchError: a leg failed; names its log.
    """
    for leg in legs:
        write(leg, folder / leg.name, scale)
    failed = threading.Event()
    with ThreadPoolExecutor(at_once) as pool:
        futures = [pool.submit(_run_leg, leg, folder / leg.name, report, failed) for leg in legs]
    for future in futures:
        future.result()


def _run_leg(leg: Leg, folder: Path, report: Progress, failed: threading.Event) -> None:
    if failed.is_set():
        return
    command = [sys.executable, "-m", "mlobs_client", "run", "input.xml", "client.toml"]
    with (folder / LOG).open("w") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=subprocess.STDOUT)
        try:
            while process.poll() is None and not failed.is_set():
                report(leg, _last_step(folder / "simulation.out"))
                time.sleep(0.5)
        finally:
            process.terminate()
            status = process.wait()
    if status != 0:
        failed.set()
        lines = (folder / LOG).read_text().strip().splitlines() or ["(nothing was said)"]
        raise LaunchError(f"the leg {leg.name} failed: {lines[-1]} (all of it: {folder / LOG})")
    report(leg, _last_step(folder / "simulation.out"))


def _last_step(properties: Path) -> int:
    """The step of the last whole line; 0 while there is none."""
    try:
        lines = properties.read_text().splitlines()
    except FileNotFoundError:
        return 0
    rows = [line.split() for line in lines if line.strip() and not line.startswith("#")]
    return int(float(rows[-1][0])) if rows else 0
