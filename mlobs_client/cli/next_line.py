"""Find the line to type next in a folder of a run."""

from __future__ import annotations

import os
import shlex
import tomllib
from pathlib import Path
from typing import Final

from mlobs_client.campaign.state import BEGUN
from mlobs_client.cli.options import continued
from mlobs_client.ipi.input import IpiInput
from mlobs_client.launch.jobs import find_scheduler
from mlobs_client.launch.overview import Overview, State, read_overview
from mlobs_client.units import KELVIN

CAMPAIGN: Final = "campaign.toml"


def next_line(found: Overview) -> str:
    """Return the line to type next; empty if there is nothing to do.

    Args:
        found: what the folder holds.
    """
    folder = found.folder
    if found.ipi is None:
        return _look_below(folder)
    if found.state is State.RUNNING:
        return ""
    if (folder / BEGUN).is_file() and (folder / "../.." / CAMPAIGN).is_file():
        return _in(folder / "../..", ["mlobs", "campaign", "status"])
    if found.state is State.FINISHED:
        can_extend = found.ipi.dynamics and found.checkpoint is not None
        extended = _mlobs_run(found, 2 * found.total_steps) if can_extend else ""
        return _in(folder, _analysis(found.ipi)) or extended
    if found.state is State.EXPLODED:
        files = _client_files(folder)
        return _in(folder, ["mlobs", "check", found.ipi.path.name, *files]) if files else ""
    job = found.ipi.path.with_suffix(".sh")
    if (scheduler := find_scheduler(job)) is not None:
        return _in(folder, [scheduler.submit[0], job.name])
    start = found.ipi.path if found.checkpoint is None else found.checkpoint.path
    return _mlobs_run(found) or _in(folder, ["i-pi", os.path.relpath(start, folder)])


def next_of_campaign(folder: Path, *, is_done: bool) -> str:
    """Return the line to type next in the folder of a campaign."""
    words = ["collect", "-o", "results"] if is_done else ["run"]
    return _in(folder, ["mlobs", "campaign", *words])


def _mlobs_run(found: Overview, steps: int | None = None) -> str:
    """Return the line of ``mlobs run``; empty if i-PI was run without it."""
    assert found.ipi is not None
    folder = found.folder
    if found.started is not None:
        folder, words = folder / found.started.folder, found.started.words
    elif files := _client_files(folder):
        words = ["mlobs", "run", found.ipi.path.name, *files]
    else:
        return ""
    if found.checkpoint is None or found.state is State.PLANNED:
        return _in(folder, [word for word in words if word != "--resume"])
    return _in(folder, continued(words, steps))


def _analysis(ipi: IpiInput) -> list[str]:
    """Return the command that reads what the run wrote for one; nothing if it did not."""
    extras = {name for output in ipi.trajectories for name in output.extras}
    prefix = ipi.prefix
    if "dipole" in extras and ipi.temperature is not None:
        kelvin = ipi.temperature.in_atomic_units("temperature", str(ipi.path)) / KELVIN
        return ["mlobs", "ir", prefix, "--temperature", f"{kelvin:.6g}", "-o", "ir"]
    if any(output.what in ("velocities", "v_centroid") for output in ipi.trajectories):
        return ["mlobs", "vdos", prefix, "-o", "vdos"]
    return []


def _client_files(folder: Path) -> list[str]:
    """Return the names of client files: those of TOML that name a structure."""
    found = []
    for path in sorted(folder.glob("*.toml")):
        try:
            content = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if "structure" in content:
            found.append(path.name)
    return found


def _look_below(folder: Path) -> str:
    """Return the line for a folder of folders with runs; empty if it is none."""
    for path in sorted(folder.iterdir()):
        try:
            if path.is_dir() and read_overview(path).ipi is not None:
                return f"mlobs status {shlex.quote(str(folder))}/*/"
        except OSError:  # it may not be read
            continue
    return ""


def _in(folder: Path, words: list[str]) -> str:
    """Return a line for the present folder."""
    if not words:
        return ""
    line = shlex.join(words)
    if folder.resolve() == Path.cwd():
        return line
    return f"cd {shlex.quote(os.path.relpath(folder.resolve()))}; {line}"
