"""``mlobs run`` with the real i-PI and clients that take their time: started, hurt, compared.

What is simulated are atoms on springs. Clients note every evaluation, so what a fault has lost can
be counted, and read orders to fail from files, so that it comes when a step has been reached.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
from report import ROOT

from mlobs_client.errors import RecordError
from mlobs_client.ipi import read_bead_extras, read_properties
from mlobs_client.ipi.input import PREFIX
from mlobs_client.launch.socket_folders import NAME
from mlobs_client.record import join_record, open_record
from mlobs_client.structure import Array

sys.path.append(str(ROOT / "tests"))
from ipi_runs import ROUNDING as ROUNDING
from ipi_runs import make_input

MODELS = ROOT / "mlobs_client/models/water"
DEADLINE = 60.0
"""Seconds that one run may take; one that hangs is ended."""
TAIL = 1 << 12  # bytes at the end of a file that hold its last line
OUTPUT = """<output prefix='{prefix}'>
    <properties filename='out'>[step, temperature{{kelvin}}, conserved, potential,
      kinetic_md, atom_x(atom=0;bead=0), atom_x(atom=2;bead=1)]</properties>
    {more}
  </output>"""
SOCKET = """<ffsocket name='mlobs' mode='{mode}' pbc='False'>
    <address>{address}</address>{port} <latency>1e-4</latency> <timeout>{timeout}</timeout>
  </ffsocket>"""
CLIENT = """structure = "init.xyz"
virial = "none"
[socket]
mode = "{mode}"
address = "{address}"
{port}
"""
ROWS = """<trajectory filename='record_row' extra_type='record_row'>extras</trajectory>
    <trajectory filename='record' extra_type='record'>extras</trajectory>"""
MACE = """[potential]
kind = "mace"
models = ["potential.model"]
"""
SPRINGS = """[potential]
kind = "ase"
calculator = "noted_springs.Springs"
parameters = { seconds = SECONDS }
"""
RECORD = """[dipole]
kind = "toy"
name = "qtip4pf"
[observables]
record = ["dipole"]
record_file = "{file}"
"""
CALCULATOR = '''
import os, resource, time
import ase.io
import numpy as np
from ase.calculators.calculator import Calculator, all_changes

def is_ordered(name):
    """Whether somebody wants this failure; only one client gets the order."""
    try:
        os.rename(name, name + "-taken")
    except FileNotFoundError:
        return False
    return True

def use_up_memory():
    """More than the process may have."""
    page = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (page + 2**26, page + 2**26))
    return np.ones(2**30)

class Springs(Calculator):
    """Anharmonic springs to the places of init.xyz, as slow as asked."""

    implemented_properties = ("energy", "forces")

    def __init__(self, seconds):
        super().__init__()
        self.seconds, self.sites = seconds, ase.io.read("init.xyz").positions

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        moved = atoms.positions - self.sites
        if np.abs(moved).max() > 1e-9:
            note = os.open(os.environ["EVALUATIONS"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.write(note, b"x")
            os.close(note)
        time.sleep(self.seconds)
        stiffness = 1.0 + 0.1 * (np.arange(len(moved))[:, None] % 7)
        energy = float(np.sum(stiffness * (0.5 * moved**2 + 0.2 * moved**4)))
        forces = -stiffness * (moved + 0.8 * moved**3)
        if is_ordered("nan"):
            forces[1, 2] = np.nan
        if is_ordered("size"):
            forces = forces[:-1]
        if is_ordered("memory"):
            use_up_memory()
        if is_ordered("pages"):
            np.ones(2**23)
        self.results = {"energy": energy, "forces": forces}
'''


class Failure(Exception):
    """A run did not do what it should; one line."""


@dataclass(frozen=True)
class Inputs:
    """What is simulated, and by whom.

    Attributes:
        n_steps: of the run.
        seconds: that one evaluation sleeps.
        n_clients: of ``mlobs run``.
        n_beads: of the ring polymer.
        n_molecules: of three atoms.
        timeout: of ``<ffsocket>``, s; 0 waits forever.
        address: of the socket; a whole path begins with that of all sockets of i-PI.
        port: of a TCP socket; None for a unix socket.
        checkpoint: steps between two; 0 for none.
        prefix: of i-PI's outputs.
        record: file for observables; none if empty.
        model: a bundled one, which is copied to ``potential.model``; springs if empty.
    """

    n_steps: int = 100
    seconds: float = 0.03
    n_clients: int = 2
    n_beads: int = 2
    n_molecules: int = 1
    timeout: float = 0.0
    address: str = "faults"
    port: int | None = None
    checkpoint: int = 0
    prefix: str = "simulation"
    record: str = ""
    model: str = ""

    def write(self, folder: Path) -> None:
        """Write all that i-PI and the clients read."""
        mode = "unix" if self.port is None else "inet"
        port = "" if self.port is None else f"<port>{self.port}</port>"
        checkpoint = f"<checkpoint filename='kept' stride='{self.checkpoint}' overwrite='false'/>"
        more = [checkpoint] * bool(self.checkpoint) + [ROWS] * bool(self.record)
        output = OUTPUT.format(prefix=self.prefix, more="\n    ".join(more))
        name = self.address.removeprefix(PREFIX)
        socket = SOCKET.format(mode=mode, address=name, port=port, timeout=self.timeout)
        xml = make_input(output, socket, self.n_steps, self.n_beads)
        client = CLIENT.format(
            mode=mode,
            address=self.address,
            port="" if self.port is None else f"port = {self.port}",
        )
        tables = MACE if self.model else SPRINGS.replace("SECONDS", str(self.seconds))
        record = RECORD.format(file=self.record) if self.record else ""
        if self.model:
            shutil.copy(MODELS / f"{self.model}.model", folder / "potential.model")
        (folder / "noted_springs.py").write_text(CALCULATOR)
        (folder / "init.xyz").write_text(_water(self.n_molecules))
        (folder / "input.xml").write_text(xml)
        (folder / "client.toml").write_text(client + tables + record)


def _water(n_molecules: int) -> str:
    """Molecules in a row, as extended XYZ."""
    monomer = np.array([[0.0, 0.0, 0.0], [0.757, 0.586, 0.0], [-0.757, 0.586, 0.1]])
    length = 10.0 + 3.0 * n_molecules
    lines = [
        f"{symbol} {x + 3.0 * k} {y} {z}"
        for k in range(n_molecules)
        for symbol, (x, y, z) in zip("OHH", monomer, strict=True)
    ]
    head = f'Lattice="{length} 0 0 3 21 0 -2 4 22" Properties=species:S:1:pos:R:3 pbc="F F F"'
    return "\n".join([str(len(lines)), head, *lines, ""])


@dataclass(frozen=True)
class Mark:
    """When a fault came.

    Attributes:
        time: of the monotonic clock, s.
        step: the last that i-PI had written.
    """

    time: float
    step: int


class Launched:
    """One ``mlobs run`` in a folder; as a context, it ends all processes that work there.

    Args:
        folder: where it works; its log is beside it, for the disk of the folder may be full.
        inputs: what it does.
        patience: seconds that it may take.
    """

    def __init__(self, folder: Path, inputs: Inputs, patience: float = DEADLINE) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.inputs = folder, inputs
        # beside the folder: its disk may be full
        self.log = folder.with_name(f"{folder.name}.log")
        self.notes = folder.with_name(f"{folder.name}.evaluations")
        self.patience, self.deadline = patience, time.monotonic() + patience
        self.process: subprocess.Popen[bytes] | None = None
        self.clients: list[subprocess.Popen[bytes]] = []  # that were started by hand
        self.ended = 0.0  # when it was waited for
        self._sockets: set[Path] = set()  # folders that a killed ``mlobs run`` leaves
        inputs.write(folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        for pid in processes_in(self.folder):
            self._note_sockets(command_of(pid))
        end_all_in(self.folder)
        for folder in self._sockets:
            shutil.rmtree(folder, ignore_errors=True)
        for process in (self.process, *self.clients):
            if process is not None:
                process.wait()

    def start(self, *options: str, within: tuple[str, ...] = (), checks: bool = False) -> None:
        """Start it.

        Args:
            options: of ``mlobs run``.
            within: a command that runs another one, such as ``unshare``.
            checks: whether it looks for mistakes in its files first.
        """
        command = [sys.executable, "-m", "mlobs_client", "run", "input.xml", "client.toml"]
        more = ["-n", str(self.inputs.n_clients), *([] if checks else ["--no-check"])]
        self.process = self._start([*within, *command, *more, *options])

    def start_by_hand(self, client: Sequence[str], *, is_patient: bool) -> None:
        """Start i-PI and its clients without ``mlobs run``; they meet in the folder.

        Args:
            client: the command of each client.
            is_patient: whether it waits for its server.
        """
        ipi = str(Path(sys.executable).with_name("i-pi"))
        self.process = self._start([ipi, "-S", f"{self.folder}/", "input.xml"])
        if not is_patient:
            self.wait_until((self.folder / self.inputs.address).exists)
        self.clients = [self._start(client) for _ in range(self.inputs.n_clients)]

    def join(self, n_clients: int, file: str) -> None:
        """Start clients that come in through a relay."""
        command = [sys.executable, "-m", "mlobs_client", "client", "client.toml", "--join", file]
        self.clients += [self._start(command) for _ in range(n_clients)]

    def _start(self, command: Sequence[str]) -> subprocess.Popen[bytes]:
        paths = [str(self.folder), *filter(None, [os.environ.get("PYTHONPATH")])]
        with self.log.open("ab") as log:
            return subprocess.Popen(
                command,
                cwd=self.folder,
                env={
                    **os.environ,
                    "PYTHONPATH": os.pathsep.join(paths),
                    "EVALUATIONS": str(self.notes),
                    "COLUMNS": "2000",  # one message, one line
                    "XDG_CACHE_HOME": str(self.folder / "cache"),  # no compiled networks
                },
                stdout=log,
                stderr=log,
            )

    def wait(self) -> int:
        """Wait for its end; return its exit status."""
        assert self.process is not None
        try:
            status = self.process.wait(max(0.0, self.deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise Failure(f"still running after {self.patience:g} s: {self.happened}") from None
        self.ended = time.monotonic()
        return status

    @property
    def pid(self) -> int:
        """The process number of the command."""
        assert self.process is not None
        return self.process.pid

    def ends_within(self, seconds: float) -> bool:
        """Wait for so long; return whether it has ended."""
        assert self.process is not None
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)
        return self.process.returncode is not None

    def wait_until(self, holds: Callable[[], bool]) -> None:
        """Wait for something, as long as it runs."""
        assert self.process is not None
        while not holds():
            if self.process.poll() is not None:
                raise Failure(f"ended with status {self.process.poll()}: {self.happened}")
            if time.monotonic() > self.deadline:
                raise Failure(
                    f"stands at step {self.step} after {self.patience:g} s: {self.happened}"
                )
            time.sleep(0.005)

    def wait_for_step(self, step: int) -> None:
        """Wait until i-PI has written a step."""
        self.wait_until(lambda: self.step >= step)

    def mark(self) -> Mark:
        """Note the time and the step, just before a fault."""
        self.children()  # whose sockets a fault may leave
        return Mark(time.monotonic(), self.step)

    def recover(self, fault: Mark) -> float:
        """Wait for the second step after a fault (the first may have been under way); seconds."""
        self.wait_for_step(fault.step + 2)
        return time.monotonic() - fault.time

    @property
    def step(self) -> int:
        """The last step that i-PI has written, -1 before the first."""
        path = self.folder / f"{self.inputs.prefix}.out"
        if not path.exists():
            return -1
        with path.open("rb") as stream:
            stream.seek(max(0, stream.seek(0, os.SEEK_END) - TAIL))
            lines = stream.read().decode().split("\n")[:-1]
        if not lines or lines[-1].startswith("#"):
            return -1
        return int(float(lines[-1].split()[0]))

    @property
    def said(self) -> str:
        """All that the command has said."""
        return self.log.read_text()

    @property
    def happened(self) -> str:
        """Its warnings, its error and how it stopped, each once, without paths."""
        found = re.findall(
            r"^(?:WARNING +(.*?)|mlobs: error: (.*?)|((?:stopped|going on).*?)) *$", self.said, re.M
        )
        messages = ["".join(words).replace(f"{self.folder}/", "") for words in found]
        messages = [message.replace(str(self.folder), "the folder") for message in messages]
        bare = [re.sub(r"; log: \S+| \(log: \S+?\)", "", message) for message in messages]
        return "; ".join(dict.fromkeys(bare)) or "no message"

    def children(self) -> dict[str, int]:
        """The running children: ``i-pi`` or the name of the client, and its pid."""
        assert self.process is not None
        listed = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        found = {}
        for pid in map(int, listed.read_text().split()):
            words = command_of(pid)
            self._note_sockets(words)
            if words:
                found[words[-1] if "client" in words else "i-pi"] = pid
        return found

    def _note_sockets(self, words: list[str]) -> None:
        found = [Path(word) for word in words if Path(word).name.startswith(NAME)]
        self._sockets.update(found)

    def left_sockets(self) -> list[Path]:
        """Folders of sockets, as far as they were seen, that are still there."""
        return [folder for folder in self._sockets if folder.exists()]

    def signal(self, name: str, signum: int) -> None:
        """Send a signal to a child."""
        os.kill(self.children()[name], signum)

    def pause(self, name: str, seconds: float) -> None:
        """Stop a child and continue it, if it is still there."""
        pid = self.children()[name]
        os.kill(pid, signal.SIGSTOP)
        time.sleep(seconds)
        os.kill(pid, signal.SIGCONT)

    def kill_all(self) -> None:
        """Kill the command and its children."""
        assert self.process is not None
        for pid in (self.process.pid, *self.children().values()):
            os.kill(pid, signal.SIGKILL)
        self.wait()

    @property
    def socket(self) -> str:
        """Where i-PI listens."""
        words = command_of(self.children()["i-pi"])
        return words[words.index("-S") + 1] + self.inputs.address

    def rows(self) -> Array:
        """Properties and what was recorded, joined over restarts, ``(n_steps + 1, n_columns)``."""
        base = self.folder / self.inputs.prefix
        try:
            columns = [*read_properties(base.with_name(f"{base.name}.out")).values.values()]
            if self.inputs.record:
                columns.append(self._recorded(base))
        except RecordError as error:
            raise Failure(str(error)) from error
        return np.column_stack(columns)

    def _recorded(self, base: Path) -> Array:
        """Dipoles of all beads from the records, ``(n_steps + 1, 3 n_beads)``."""
        names = ("record_row", "record")
        extras = [read_bead_extras(base.with_name(f"{base.name}.{name}")) for name in names]
        first = self.folder / self.inputs.record
        paths = first.parent.glob(f"{first.stem}*.h5")
        dipoles = join_record(extras, [open_record(path) for path in paths]).values["dipole"]
        return np.asarray(dipoles.reshape(len(dipoles), -1))

    def evaluations(self) -> int:
        """How many were begun, but for those of the start, with which clients test themselves."""
        return self.notes.stat().st_size


def command_of(pid: int) -> list[str]:
    """The words with which a process was started; none if it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")[:-1]
    except OSError:
        return []


def processes_in(folder: Path) -> list[int]:
    """Those that work in a folder or below it."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").resolve().is_relative_to(folder.resolve()):
                found.append(int(process.name))
        except OSError:
            continue
    return found


def end_all_in(folder: Path) -> None:
    """Kill what works in a folder, and wait until it is gone."""
    deadline = time.monotonic() + 10.0
    while (left := processes_in(folder)) and time.monotonic() < deadline:
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(0.05)


class Undisturbed:
    """Runs without a fault, each made once, to compare with."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._rows: dict[Inputs, Array] = {}

    def rows(self, inputs: Inputs) -> Array:
        """Properties of the same run, where nothing happens to it."""
        plain = replace(inputs, port=None, address="faults", prefix="simulation")
        plain = replace(plain, record="observables.h5" if inputs.record else "")
        plain = replace(plain, n_clients=max(inputs.n_clients, 1))
        if plain not in self._rows:
            with Launched(self._folder / str(len(self._rows)), plain) as run:
                run.start()
                if run.wait() != 0:
                    raise Failure(f"without any fault: {run.happened}")
                self._rows[plain] = run.rows()
        return self._rows[plain]
