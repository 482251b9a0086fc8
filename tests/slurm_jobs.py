"""Runs as jobs of Slurm, which must end like runs that nobody has disturbed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from ipi_runs import SLOW_SPRING, WATER, ffsocket, make_input
from slurm import Cluster

from mlobs_client.ipi import read_properties

OUTPUT = """<output prefix='simulation'>
    <properties filename='out'>[step, conserved, potential, kinetic_md]</properties>
    <trajectory filename='pos' stride='100' format='xyz'>positions</trajectory>
    <checkpoint filename='kept' stride='50' overwrite='false'/>
  </output>"""
CLIENT = """structure = "init.xyz"
virial = "none"
[socket]
address = "{address}"
[potential]
"""
QUICK = """kind = "toy"
name = "qtip4pf"
"""
SLOW = """kind = "ase"
calculator = "slow_spring.Spring"
parameters = {{ seconds = {seconds}, fails_after = -1 }}
"""


class Submitted:
    """A folder with a run, and its job; the number of the job is set when it is submitted."""

    def __init__(self, folder: Path, cluster: Cluster, number: str = "") -> None:
        self.folder, self.cluster, self.number = folder, cluster, number

    def wait_for_step(self, step: int) -> None:
        self.wait_until(lambda: len(self.steps()) > 0 and self.steps()[-1] >= step)

    def wait_until(self, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 120.0
        while not holds():
            assert time.monotonic() < deadline, self.said
            time.sleep(0.1)

    def steps(self) -> list[int]:
        path = self.folder / "simulation.out"
        if not path.exists():
            return []
        lines = path.read_text().split("\n")[:-1]
        return [int(float(line.split()[0])) for line in lines if not line.startswith("#")]

    @property
    def said(self) -> str:
        logs = [*self.folder.glob("*.out"), *self.folder.glob("*.log")]
        return "\n".join(f"{log.name}:\n{log.read_text()[-2000:]}" for log in logs)


class Job(Submitted):
    """A folder with a small run, and its job.

    Args:
        folder: empty.
        cluster: where it runs.
        steps: of two beads.
        seconds: for each of the beads; without, as fast as can be, both in one batch.
    """

    def __init__(
        self, folder: Path, cluster: Cluster, steps: int = 1500, seconds: float | None = None
    ) -> None:
        super().__init__(folder, cluster)
        self.n_steps = steps
        address = f"slurm-{os.getpid()}"
        potential = QUICK if seconds is None else SLOW.format(seconds=seconds)
        (folder / "slow_spring.py").write_text(SLOW_SPRING)
        (folder / "init.xyz").write_text(WATER)
        (folder / "client.toml").write_text(CLIENT.format(address=address) + potential)
        text = make_input(OUTPUT, ffsocket(address, 2 if seconds is None else 1), steps)
        (folder / "input.xml").write_text(text)

    def submit(self, *options: str) -> None:
        command = ["launch", "input.xml", "client.toml", "--time", "10", "--submit"]
        done = subprocess.run(
            [sys.executable, "-m", "mlobs_client", *command, *options],
            cwd=self.folder, env=self._environment, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        self.number = done.stdout.split()[-1]

    @property
    def _environment(self) -> dict[str, str]:
        paths = [str(self.folder), *filter(None, [os.environ.get("PYTHONPATH")])]
        return {**self.cluster.environment, "PYTHONPATH": os.pathsep.join(paths)}

    def begin_soon(self) -> None:
        """Slurm would wait for two minutes, until nobody can mistake the job for its last try."""
        self.cluster.wait_for(self.number, "PENDING")
        self.cluster("scontrol", "update", f"JobId={self.number}", "StartTime=now+3")

    def ends_well(self, *, was_resumed: bool = True) -> None:
        """All steps are there once, and their numbers are those of one undisturbed run."""
        assert self.cluster.wait_for(self.number, "COMPLETED", "FAILED") == "COMPLETED", self.said
        # RESTART has beads, i-PI propagates normal modes: rounding differs after it
        assert self.find_largest_difference() <= (1e-11 if was_resumed else 0.0)

    def find_largest_difference(self) -> float:
        """Relative, of what has all steps once, from one undisturbed run."""
        expected = read_properties(self._run_undisturbed() / "simulation.out")
        found = read_properties(self.folder / "simulation.out")
        assert found["step"].tolist() == list(range(self.n_steps + 1))
        differences = (
            np.abs(found[name] / expected[name] - 1.0).max()
            for name in ("conserved", "potential", "kinetic_md")
        )
        return float(max(differences))

    def _run_undisturbed(self) -> Path:
        """The same run, without Slurm and from start to end."""
        other = self.folder.with_name(f"{self.folder.name}-undisturbed")
        other.mkdir()
        for name in ("init.xyz", "client.toml", "input.xml", "slow_spring.py"):
            text = (self.folder / name).read_text()
            (other / name).write_text(re.sub(r"seconds = [0-9.]+", "seconds = 0.0", text))
        command = [sys.executable, "-m", "mlobs_client", "run", "input.xml", "client.toml"]
        subprocess.run(command, cwd=other, env=self._environment, check=True, capture_output=True)
        return other

    def processes(self, node: str) -> dict[int, list[str]]:
        """The words of the processes of this job on a node, and of those that Slurm has there."""
        found = {}
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if (process / "cwd").resolve() != self.folder:
                    continue
                environment = (process / "environ").read_text().split("\0")
                if f"SLURMD_NODENAME={node}" not in environment:
                    continue
                parent = int((process / "stat").read_text().rsplit(")", 1)[1].split()[1])
                found[int(process.name)] = _words(process)
                if (words := _words(Path(f"/proc/{parent}")))[0].startswith("slurmstepd"):
                    found[parent] = words
            except OSError:
                continue
        return found

    def kill_all_on(self, node: str) -> None:
        """As when the power fails: nobody lives to tell Slurm who has died."""
        pids = list(self.processes(node))
        for signum in (signal.SIGSTOP, signal.SIGKILL):
            for pid in pids:
                os.kill(pid, signum)


def _words(process: Path) -> list[str]:
    return (process / "cmdline").read_text().split("\0")[:-1]
