"""Small campaigns of one q-TIP4P/F molecule, and what happens to those that are killed."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from ipi_runs import WATER, ffsocket, make_input

from mlobs_client.campaign.campaign import load
from mlobs_client.ipi import open_trajectory, read_properties

OUTPUT = """<output prefix='simulation'>
    <properties filename='out'>
      [step, time{femtosecond}, conserved, temperature{kelvin}, potential{electronvolt}]
    </properties>
    <trajectory filename='pos' stride='10' format='xyz'>positions{angstrom}</trajectory>
    <checkpoint filename='kept' stride='20' overwrite='false'/>
  </output>"""
CLIENT = """structure = "init.xyz"
virial = "none"
[socket]
address = "campaign"
[potential]
kind = "toy"
name = "qtip4pf"
"""
START = "<file mode='ase'> init.xyz </file>"
VELOCITIES = "<velocities mode='thermal' units='kelvin'> {} </velocities>"


def write_campaign(
    folder: Path,
    temperatures: Sequence[int] = (280, 300),
    seeds: Sequence[int] = (1, 2),
    steps: int = 100,
    after: str = 'after = "temperature"',
    at_once: int = 1,
    retries: int = 0,
) -> Path:
    """Write a template and a campaign file; return its path."""
    template = folder / "template"
    template.mkdir(parents=True)
    (template / "init.xyz").write_text(WATER)
    (template / "client.toml").write_text(CLIENT)
    text = make_input(OUTPUT, ffsocket("campaign", 2), steps, mode="nvt")
    velocities = VELOCITIES.format(300)
    for old, new in (
        ("<seed> 4 <", "<seed> $seed <"),
        ("300 </temperature>", "$temperature </temperature>"),
        (START, "$start"),
        (velocities, ""),
    ):
        assert old in text
        text = text.replace(old, new)
    (template / "input.xml").write_text(text)
    path = folder / "campaign.toml"
    path.write_text(f"""{after}
start = "{START} {VELOCITIES.format("$temperature")}"
[parameters]
temperature = {list(temperatures)}
seed = {list(seeds)}
[execution]
kind = "local"
at_once = {at_once}
retries = {retries}
""")
    return path


def start_campaign(
    folder: Path, environment: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """``mlobs campaign run`` in a folder; what it says is in ``said.log`` there."""
    with (folder / "said.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "mlobs_client", "campaign", "run"],
            cwd=folder,
            env=environment,
            stdout=log,
            stderr=log,
        )


def said(folder: Path) -> str:
    """Everything that was said in a campaign's folder, for a test that fails."""
    logs = [folder / "said.log", *folder.glob("runs/*/*.log"), folder / ".campaign" / "parsl.log"]
    return "\n".join(f"{log}:\n{log.read_text()[-2000:]}" for log in logs if log.exists())


def wait_for_end(process: subprocess.Popen[bytes], folder: Path, seconds: float = 120.0) -> int:
    """The exit status."""
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        kill_all_in(folder)
        raise AssertionError(said(folder)) from None


def find_processes(folder: Path) -> list[int]:
    """All processes that work in a folder or below it."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            works_in = (process / "cwd").resolve(strict=True)
        except OSError:
            continue
        if works_in.is_relative_to(folder.resolve()):
            found.append(int(process.name))
    return found


def kill_all_in(folder: Path) -> None:
    """As when the power fails: nobody lives to see who has died."""
    while found := [pid for pid in find_processes(folder) if pid != os.getpid()]:
        for signum in (signal.SIGSTOP, signal.SIGKILL):
            for pid in found:
                send(pid, signum)
        time.sleep(0.05)


def send(pid: int, signum: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signum)


def largest_difference(one: Path, other: Path) -> float:
    """Between the results of two campaigns, relative; all steps must be there, once."""
    differences = [0.0]
    for run, twin in zip(
        load(one / "campaign.toml").runs.values(),
        load(other / "campaign.toml").runs.values(),
        strict=True,
    ):
        found, expected = (
            read_properties(each.folder / "simulation.out").values for each in (run, twin)
        )
        assert found["step"].tolist() == list(range(len(found["step"]))), run.name
        assert found["step"].tolist() == expected["step"].tolist(), run.name
        positions = [
            open_trajectory(each.folder / "simulation.pos_0.xyz").read_all() for each in (run, twin)
        ]
        assert positions[0].steps.tolist() == positions[1].steps.tolist(), run.name
        pairs = [(found[name], expected[name]) for name in expected]
        pairs.append((positions[0].values, positions[1].values))
        differences += [float(np.max(np.abs(a - b)) / np.max(np.abs(b))) for a, b in pairs]
    return max(differences)
