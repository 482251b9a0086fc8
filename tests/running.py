"""One ``mlobs run`` with the real i-PI, for tests that disturb it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from ipi_runs import SLOW_SPRING, WATER, make_input

OUTPUT = """<output prefix='simulation'>
    <properties filename='out'> [ step, temperature{kelvin}, conserved ] </properties>
    <trajectory filename='dipole' extra_type='dipole'> extras </trajectory>
  </output>"""
SOCKET = (
    "<ffsocket name='mlobs' mode='unix' pbc='False'> <address> {address} </address> </ffsocket>"
)
CLIENT = """structure = "init.xyz"
virial = "none"
[socket]
address = "{address}"
[potential]
kind = "ase"
calculator = "slow_spring.Spring"
parameters = {{ seconds = {seconds}, fails_after = {fails_after} }}
[dipole]
kind = "toy"
name = "qtip4pf"
[observables]
extras = ["dipole"]
"""


class Run:
    """One ``mlobs run`` in a folder of its own."""

    def __init__(self, folder: Path, address: str) -> None:
        self.folder, self.address = folder, address
        self.process: subprocess.Popen[bytes] | None = None
        (folder / "slow_spring.py").write_text(SLOW_SPRING)
        (folder / "init.xyz").write_text(WATER)

    def prepare(self, steps: int, seconds: float = 0.0, fails_after: int = -1) -> None:
        client = CLIENT.format(address=self.address, seconds=seconds, fails_after=fails_after)
        (self.folder / "client.toml").write_text(client)
        socket = SOCKET.format(address=self.address)
        (self.folder / "input.xml").write_text(make_input(OUTPUT, socket, steps))

    def evaluate_every_fifth_step(self) -> None:
        """The dipole only; i-PI stops where it shall write one that it has not got."""
        client, xml = self.folder / "client.toml", self.folder / "input.xml"
        client.write_text(client.read_text() + "stride = 5\n")
        batch = "</address> <batch_size> 2 </batch_size>"  # both beads
        text = xml.read_text().replace("extra_type='dipole'", "stride='5' extra_type='dipole'")
        xml.write_text(text.replace("</address>", batch))

    def join(self) -> subprocess.Popen[str]:
        """Start a client as on another machine."""
        return subprocess.Popen(
            [sys.executable, "-m", "mlobs_client", "client", "client.toml", "--join",
             "mlobs-run.json", "-v"],
            cwd=self.folder, env=self._environment, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    @property
    def _environment(self) -> dict[str, str]:
        paths = [str(self.folder), *filter(None, [os.environ.get("PYTHONPATH")])]
        return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}

    def start(self, file: str = "input.xml", n_clients: int = 1, *options: str) -> None:
        command = [sys.executable, "-m", "mlobs_client", "run", file, "client.toml", "--no-check"]
        with (self.folder / "run.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "-n", str(n_clients), *options],
                cwd=self.folder,
                env=self._environment,
                stdout=log,
                stderr=log,
            )

    def wait(self, seconds: float = 120.0) -> int:
        assert self.process is not None
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(self.said) from None

    @property
    def said(self) -> str:
        """What the command said, without its line breaks."""
        return " ".join((self.folder / "run.log").read_text().split())

    @property
    def socket(self) -> str:
        """Where i-PI listens."""
        pid = self.children()["i-pi"]
        words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
        return words[words.index("-S") + 1] + self.address

    def children(self) -> dict[str, int]:
        """The running children: ``i-pi`` or the name of the client, and its pid."""
        assert self.process is not None
        listed = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        found = {}
        for pid in map(int, listed.split()):
            words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")[:-1]
            found[words[-1] if "client" in words else "i-pi"] = pid
        return found

    def command_of(self, name: str) -> list[str]:
        """The words with which a child was started; none while it is not running."""
        pid = self.children().get(name)
        return [] if pid is None else Path(f"/proc/{pid}/cmdline").read_text().split("\0")

    def steps(self) -> list[int]:
        """The steps in i-PI's properties."""
        path = self.folder / "simulation.out"
        return np.loadtxt(path, ndmin=2)[:, 0].astype(int).tolist() if path.exists() else []

    def wait_until(self, claim: Callable[[], bool], seconds: float = 120.0) -> None:
        assert self.process is not None
        deadline = time.monotonic() + seconds
        while not claim():
            assert self.process.poll() is None, self.said
            assert time.monotonic() < deadline, self.said
            time.sleep(0.05)

    def wait_for_step(self, step: int) -> None:
        self.wait_until(lambda: max(_complete_steps(self.folder), default=-1) >= step)


def _complete_steps(folder: Path) -> list[int]:
    path = folder / "simulation.out"
    lines = path.read_text().split("\n")[:-1] if path.exists() else []
    return [int(float(line.split()[0])) for line in lines if not line.startswith("#")]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
