"""``make bench``: the time of one MD step, ours against the other ways to put MACE into i-PI.

The same i-PI (in this process, NVE, unix socket) is served in turn by clients with the same model
files on one thread: ours, compiled, in double and (large systems) in single precision; i-PI's own
``-m mace`` driver (batched) and ASE's MACECalculator through ASE's socket client, both in double
precision; and i-PI's dummy driver. A step's time is the median over steps of the wall-clock
difference between i-PI's outputs. Ratios are made of figures of one run. Our overhead is what our
step takes beyond that of the dummy and beyond the compiled programs (positions in, energies, forces
and virial out), timed in the same run; and once more beyond a bare client: the dummy, running the
same programs on positions of its own before it answers. The second is what we add to the least that
any client of these models needs, for i-PI itself takes longer after a model has used the caches.
Programs are subtracted step by step, for a machine is not always as fast.

``bench.py --short CHECKOUT``, below ten minutes, compares our client with that of another checkout
of this repository. Both run at once, each with an i-PI of its own, and advance in turn: the ratio
of the times of a step stands in results/bench_short.json.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from itertools import product
from pathlib import Path
from typing import NamedTuple, Self

import ase.io
import numpy as np
from ase import Atoms
from report import ROOT, Figure, run

from mlobs_client.structure import Array

MODELS = sorted(Path(str(files("mlobs_client") / "models/water")).glob("potential-*.model"))
MOLECULES = (1, 8, 64)
BEADS = (1, 8)
MEMBERS = (1, 4)
IPI, ASE, DUMMY, BARE = "i-PI -m mace", "ASE MACECalculator", "dummy", "bare client"
UNTIMED = "mlobs as it is"
"""Without notes of how long programs took, which know the modules of this checkout only. Its
programs are compiled once for each checkout."""
MORE = ((1, 32, 1), (64, 32, 1), (512, 1, 1))
"""Cases (molecules, beads, members) beside all combinations of these."""

WARM_UP = 4
ROUNDS = 3  # of what is subtracted from each other
STARTS_OF_SHORT = 5  # a process is a few per cent faster or slower than the next, for all its life
TURNS_OF_SHORT = 12
SLOWER = 1.05
"""Ratio of the times of a step up to which a change is said to cost nothing."""

TIMESTEP = "<timestep units='femtosecond'>0.25</timestep>"
NVE = f"<motion mode='dynamics'><dynamics mode='nve'>{TIMESTEP}</dynamics></motion>"

# i-PI itself. It reads how many steps to run, a line of its input for each turn, and answers with
# the moments at which it wrote its outputs: differences between them are times of steps.
SERVER = """
import json, sys, time
from ipi.scripting import InteractiveSimulation
answers, sys.stdout = sys.stdout, sys.stderr
moments = []
def moment(_):
    moments.append(time.perf_counter())
    return moments[-1]
simulation = InteractiveSimulation(sys.argv[1], {"moment": moment})
for line in sys.stdin:
    moments.clear()
    simulation.run(int(line))
    print(json.dumps(moments), file=answers, flush=True)
simulation.stop()
"""

ASE_CLIENT = """
import sys, warnings
warnings.simplefilter("ignore")
import ase.io, torch
from ase.calculators.socketio import SocketClient
from mace.calculators import MACECalculator
address, *models = sys.argv[1:]
torch.set_num_threads(1)
atoms = ase.io.read("init.xyz")
atoms.calc = MACECalculator(model_paths=models, device="cpu", default_dtype="float64")
SocketClient(unixsocket=address).run(atoms, use_stress=True)
"""

# A driver for -m custom: the dummy, after it has run the programs that our client would run. It
# notes in programs.json how long they took, a number for each structure.
BARE_DRIVER = """
import atexit, json, time
from pathlib import Path
import numpy as np
from ipi.pes.dummy import Dummy_driver
from mlobs_client.client import config
from mlobs_client.client.build import assemble
from mlobs_client.evaluate.compile.programs import Program
from mlobs_client.client.total_energy import predict
from mlobs_client.evaluate.memory import disable_malloc_trim
from dataclasses import replace
__DRIVER_NAME__ = "bare"
__DRIVER_CLASS__ = "Bare"
seconds = []
atexit.register(lambda: Path("programs.json").write_text(json.dumps(seconds)))

def work_for(n_structures):
    assembly = assemble(config.load_config(Path("client.toml")), Path())
    work, forward, random = [], Program.forward, np.random.default_rng(0)
    def noted(program, geometry):
        work.append((program, geometry))
        return forward(program, geometry)
    Program.forward = noted
    template = assembly.structure
    moves = 0.001 * random.normal(size=(n_structures, *template.positions.shape))
    structures = [replace(template, positions=template.positions + move) for move in moves]
    for _ in range(2):  # the first comparison with the networks is no work
        work.clear()
        predict(structures, assembly.evaluators)
    Program.forward = forward
    return work

class Bare(Dummy_driver):
    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        disable_malloc_trim()
        self._work = work_for(BEADS)
    def compute(self, cell, pos):
        n = len(pos) if isinstance(pos, list) else 1
        real = n
        while real > 1 and (pos[real - 1] == pos[real - 2]).all():
            real -= 1
        begun = time.perf_counter()
        for program, geometry in self._work[:-(-len(self._work) * real // BEADS)]:
            program.measure(geometry)
        taken = time.perf_counter() - begun
        seconds.extend([taken / n] * n)
        return super().compute(cell, pos)
"""

# Our client, which notes for each structure how long the compiled programs took, in programs.json.
TIMED = """
import atexit, json, sys, time
from pathlib import Path
from mlobs_client.client.session import ClientSession
from mlobs_client.evaluate.compile.networks import CompiledNetworks
from mlobs_client.evaluate.compile.programs import Program
seconds = []
def timed(work):
    def run(*arguments):
        begun = time.perf_counter()
        result = work(*arguments)
        if seconds:
            seconds[-1] += time.perf_counter() - begun
        return result
    return run
Program.forward, Program.backward = timed(Program.forward), timed(Program.backward)
call = CompiledNetworks.__call__
def used(self, graph):
    sums = call(self, graph)
    if sums is None and len(seconds) > WARM_UP:
        raise SystemExit("a structure was evaluated without a program")
    return sums
CompiledNetworks.__call__ = used
answer = ClientSession.__call__
def counted(self, cells, positions, *rest):
    seconds.extend([0.0] * len(cells))
    return answer(self, cells, positions, *rest)
ClientSession.__call__ = counted
atexit.register(lambda: Path("programs.json").write_text(json.dumps(seconds)))
from mlobs_client.cli import main
sys.argv = ["mlobs", "client", "client.toml"]
main()
"""


@dataclass(frozen=True)
class Case:
    """One system of the table."""

    molecules: int
    beads: int
    members: int

    @property
    def name(self) -> str:
        beads = "1 bead" if self.beads == 1 else f"{self.beads} beads"
        return f"{3 * self.molecules} atoms, {beads}, committee of {self.members}"

    @property
    def models(self) -> list[str]:
        return [str(path) for path in MODELS[: self.members]]

    @property
    def n_steps(self) -> int:
        size = self.molecules * self.beads
        return WARM_UP + (300 if size < 8 else 30 if size < 64 else 10)

    @property
    def steps_of_turn(self) -> int:
        size = self.molecules * self.beads
        return 50 if size < 8 else 20 if size < 64 else 4

    @property
    def others(self) -> list[str]:
        single = ["mlobs, float32"] if self.molecules == max(MOLECULES) else []
        return [*single, IPI, ASE]

    def limit(self, ours: str, other: str) -> float:
        """Largest ratio of our time to theirs that is allowed."""
        small, large = self.molecules == min(MOLECULES), self.molecules >= max(MOLECULES)
        if self.beads > 1:
            return 0.5 if small and other == IPI else 1.0
        if ours.endswith("float32"):
            return 1 / 2.5 if self.members == 1 else 1 / 3
        if small and other == (IPI if self.members == 1 else ASE):
            return 1 / 4 if self.members == 1 else 1 / 12
        return 1 / 1.3 if large else 1.0


def water_box(molecules: int) -> Atoms:
    """Water molecules on a lattice at 1 g/cm^3, each turned at random."""
    random = np.random.default_rng(0)
    per_side = round(molecules ** (1 / 3))
    spacing = 3.105  # angstrom, (18.015 g/mol / N_A / 1 g/cm^3)^(1/3)
    length = spacing * per_side if per_side > 1 else 12.0
    box = Atoms(cell=[length] * 3, pbc=True)
    monomer = Atoms("OHH", [[0, 0, 0], [0.757, 0.586, 0], [-0.757, 0.586, 0]])
    for index in np.ndindex(per_side, per_side, per_side):
        molecule = monomer.copy()
        molecule.rotate(random.uniform(0, 360), random.normal(size=3))
        molecule.translate(spacing * np.array(index))
        box += molecule
    return box


def commands(case: Case, address: str) -> dict[str, list[str]]:
    """How each client is started."""
    # i-PI's driver splits its options at commas; several models go in as a pattern
    model = case.models[0] if case.members == 1 else f"{MODELS[0].parent}/potential-*.model"
    driver = [str(Path(sys.executable).with_name("i-pi-driver-py")), "-u", "-a", address]
    return {
        "mlobs": [sys.executable, "-c", TIMED.replace("WARM_UP", str(WARM_UP * case.beads))],
        UNTIMED: [sys.executable, "-m", "mlobs_client", "client", "client.toml"],
        IPI: [*driver, "-m", "mace", "-o", f"template=init.xyz,model={model}"],
        DUMMY: [*driver, "-m", "dummy"],
        BARE: [*driver, "-m", "custom", "-P", "bare.py"],
        ASE: [sys.executable, "-c", ASE_CLIENT, address, *case.models],
    }


def is_compiled(client: str) -> bool:
    """Whether it runs our programs, which are then compiled before it starts."""
    return client.split(",")[0] in (BARE, "mlobs")


def prepare(
    case: Case,
    client: str,
    address: str,
    batch_size: int,
    tables: str,
    motion: str,
    environment: Mapping[str, str],
) -> str:
    """Write what the clients read into the current folder; return i-PI's input."""
    box = water_box(case.molecules)
    ase.io.write("init.xyz", box, format="extxyz")
    models = ", ".join(f'"{model}"' for model in case.models)
    Path("client.toml").write_text(
        f'structure = "init.xyz"\n[socket]\naddress = "{address}"\n'
        f'[potential]\nkind = "mace"\nmodels = [{models}]\n'
        f'dtype = "{"float32" if client.endswith("float32") else "float64"}"\n{tables}'
    )
    if is_compiled(client):
        command = [sys.executable, "-m", "mlobs_client", "compile", "client.toml"]
        command += ["-b", str(batch_size)]
        subprocess.run(command, check=True, capture_output=True, env=environment)
    length = box.cell[0, 0]
    return f"""<simulation verbosity='quiet' threading='false'>
  <output prefix='bench'><properties filename='out'>[step, moment]</properties></output>
  <prng><seed>1</seed></prng>
  <ffsocket name='mace' mode='unix'><address>{address}</address><latency>1e-4</latency>
    <batch_size>{batch_size}</batch_size></ffsocket>
  <system>
    <initialize nbeads='{case.beads}'>
      <file mode='ase'>init.xyz</file>
      <cell mode='abc' units='angstrom'>[{length}, {length}, {length}]</cell>
      <velocities mode='thermal' units='kelvin'>300</velocities>
    </initialize>
    <forces><force forcefield='mace'/></forces>
    {motion}
    <ensemble><temperature units='kelvin'>300</temperature></ensemble>
  </system>
</simulation>"""


def step_time(case: Case, client: str, tables: str = "", motion: str = NVE) -> float:
    """Median seconds of a step; the arguments are those of :func:`step_times`."""
    return float(np.median(step_times(case, client, tables, motion)))


def step_times(case: Case, client: str, tables: str = "", motion: str = NVE) -> Array:
    """Seconds of each step after the first few; runs in the current folder.

    Args:
        case: the system.
        client: who serves i-PI.
        tables: what our client file has beside its potential.
        motion: of i-PI's input.
    """
    with Simulation(case, client, tables, motion) as simulation:
        return simulation.advance(case.n_steps)[WARM_UP:]


class Simulation:
    """i-PI and a client, started in the current folder.

    Args:
        case: the system.
        client: who serves i-PI.
        tables: what our client file has beside its potential.
        motion: of i-PI's input.
        checkout: whose client, where it is ours.
    """

    def __init__(
        self,
        case: Case,
        client: str,
        tables: str = "",
        motion: str = NVE,
        checkout: Path = ROOT,
    ) -> None:
        self._name = f"{client} of {checkout}, {case.name}"
        self._log = Path.cwd() / "client.log"
        address = f"mlobs-bench-{os.getpid()}-{time.time_ns()}"
        batch_size = 1 if client == ASE else case.beads
        environment = os.environ | {"PYTHONPATH": str(checkout)}
        xml = prepare(case, client, address, batch_size, tables, motion, environment)
        with Path("ipi.log").open("w") as server_log, self._log.open("w") as client_log:
            self._server = subprocess.Popen(
                [sys.executable, "-c", SERVER, xml],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=server_log,
                text=True,
            )
            wait_for(Path(f"/tmp/ipi_{address}"), self._server)
            self._client = subprocess.Popen(
                commands(case, address)[client.split(",")[0]],
                stdout=client_log,
                stderr=client_log,
                env=environment,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Give both a moment to end by themselves."""
        self._server.communicate()
        for process in (self._server, self._client):
            try:
                process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def begin(self, n_steps: int) -> None:
        """Run so many steps; :meth:`end` returns their times."""
        assert self._server.stdin is not None
        self._server.stdin.write(f"{n_steps}\n")
        self._server.stdin.flush()

    def end(self) -> Array:
        """Wait for the steps and return the seconds of each after the first."""
        assert self._server.stdout is not None
        answers = self._server.stdout
        while not select.select([answers], [], [], 0.2)[0] and self._client.poll() is None:
            pass
        if self._client.poll() is not None or not (answer := answers.readline()):
            self._server.kill()
            raise SystemExit(f"{self._name} failed:\n{self._log.read_text()}")
        return np.diff(json.loads(answer))

    def advance(self, n_steps: int) -> Array:
        """Run so many steps and return the seconds of each after the first."""
        self.begin(n_steps)
        return self.end()


def wait_for(socket: Path, server: subprocess.Popen[str]) -> None:
    """Wait until i-PI listens."""
    deadline = time.monotonic() + 60.0
    while not socket.exists() and server.poll() is None:
        if time.monotonic() > deadline:
            server.kill()
        time.sleep(0.05)


def program_times(case: Case, n_steps: int) -> Array:
    """Seconds that the compiled programs took of each of the last steps, in the run of this folder.

    Counted from the end, for at the start all beads are one structure.
    """
    seconds = np.array(json.loads(Path("programs.json").read_text()))
    return np.asarray(seconds[-n_steps * case.beads :].reshape(n_steps, case.beads).sum(1))


class Timed(NamedTuple):
    """Medians over steps, seconds.

    Attributes:
        step: from one output of i-PI to the next.
        programs: what our compiled programs took of it.
        beside: what it took beside them, step by step, as a machine is not always as fast.
    """

    step: float
    programs: float
    beside: float


def timed(case: Case, client: str) -> Timed:
    """Time a client in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        Path("bare.py").write_text(BARE_DRIVER.replace("BEADS", str(case.beads)))
        steps = step_times(case, client)
        compiled = is_compiled(client)
        programs = program_times(case, len(steps)) if compiled else np.zeros(len(steps))
        return Timed(*(float(np.median(x)) for x in (steps, programs, steps - programs)))


def figures_of(case: Case) -> list[Figure]:
    """Time every client of one case."""
    of_overhead = ("mlobs", DUMMY, BARE)
    rounds = np.array(  # [round, client, Timed]
        [[timed(case, client) for client in of_overhead] for _ in range(ROUNDS)]
    )
    seconds = {"mlobs": float(np.median(rounds[:, 0, 0]))}
    seconds |= {client: timed(case, client).step for client in case.others}
    figures = []
    for ours in (client for client in seconds if client.startswith("mlobs")):
        name = f"{case.name}: {ours}"
        figures.append(Figure(name, 1e3 * seconds[ours], None, "ms/step", "", None))
        for other in (IPI, ASE):
            ratio, limit = seconds[ours] / seconds[other], case.limit(ours, other)
            reference = f"at most {limit:.3g}; {other} takes {1e3 * seconds[other]:.1f} ms"
            figures.append(Figure(f"{name} / {other}", ratio, None, "1", reference, ratio <= limit))
    return figures + overheads(case, rounds)


def overheads(case: Case, rounds: Array) -> list[Figure]:
    """What our step takes beyond that of a dummy and our programs, and beyond a bare client.

    Mean over the rounds, with its standard error.

    Args:
        case: the system.
        rounds: of our client, the dummy and the bare client, shape ``(n_rounds, 3, 3)``, seconds.
    """
    (step, programs, ours), (dummy, *_), (bare, _, least) = 1e3 * rounds.transpose(1, 2, 0)
    limit = 0.3 + 0.05 * float(step.mean())
    reference = (
        f"at most {limit:.2f}; programs {programs.mean():.2f}, dummy {dummy.mean():.2f}, bare "
        f"client {bare.mean():.2f} ms"
    )
    figures = []
    for name, beyond in (
        ("our overhead", ours - dummy),
        ("our overhead beyond a bare client", ours - least),
    ):
        value, error = float(beyond.mean()), float(beyond.std(ddof=1)) / len(beyond) ** 0.5
        full_name = f"{case.name}: {name}"
        figures.append(Figure(full_name, value, error, "ms/step", reference, value <= limit))
    return figures


def compare(case: Case, other: Path) -> list[Figure]:
    """Time our client against that of another checkout, both alive and advancing in turn.

    The ratio is the mean over starts of that of the median times of a step; its error is the
    standard error over starts.
    """
    seconds = np.array([in_turn(case, (ROOT, other)) for _ in range(STARTS_OF_SHORT)])
    ratios = seconds[:, 0] / seconds[:, 1]
    ratio, error = float(ratios.mean()), float(ratios.std(ddof=1)) / len(ratios) ** 0.5
    ours, theirs = 1e3 * np.median(seconds, axis=0)
    reference = f"at most {SLOWER:g}; {ours:.2f} ms now, {theirs:.2f} ms in the other checkout"
    return [Figure(f"{case.name}: now / before", ratio, error, "1", reference, ratio <= SLOWER)]


def in_turn(case: Case, checkouts: tuple[Path, Path]) -> tuple[float, float]:
    """Return the median seconds of a step of the client of each checkout."""
    with contextlib.ExitStack() as stack:
        simulations = [stack.enter_context(simulation_of(case, checkout)) for checkout in checkouts]
        for simulation in simulations:  # the clients start side by side
            simulation.begin(WARM_UP)
        for simulation in simulations:
            simulation.end()
        seconds: tuple[list[float], list[float]] = ([], [])
        for turn in range(TURNS_OF_SHORT):
            for k in (0, 1) if turn % 2 else (1, 0):
                seconds[k].extend(simulations[k].advance(case.steps_of_turn))
    return float(np.median(seconds[0])), float(np.median(seconds[1]))


@contextlib.contextmanager
def simulation_of(case: Case, checkout: Path) -> Iterator[Simulation]:
    """Start the client of a checkout in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        with contextlib.chdir(folder):
            simulation = Simulation(case, UNTIMED, checkout=checkout)
        with simulation:
            yield simulation


def main() -> int:
    """Measure every case; 1 if a ratio does not hold."""
    if sys.argv[1:2] == ["--short"]:
        _, _, checkout = sys.argv  # a shorter or longer line is no use
        del sys.argv[1:]
        alone = [Case(molecules, beads, 1) for molecules, beads in product(MOLECULES, BEADS)]
        studies = {case.name: partial(compare, case, Path(checkout).resolve()) for case in alone}
        return run("bench_short", studies)
    cases = [Case(*sizes) for sizes in (*product(MOLECULES, BEADS, MEMBERS), *MORE)]
    return run("bench", {case.name: partial(figures_of, case) for case in cases})


if __name__ == "__main__":
    sys.exit(main())
