"""``make bench``: the time of one MD step, ours against the other ways to put MACE into i-PI.

The same i-PI (in this process, NVE, unix socket) is served in turn by three clients with the same
model files in double precision on one thread: ours, i-PI's own ``-m mace`` driver (batched), and
ASE's MACECalculator through ASE's socket client. A step's time is the median over steps of the
wall-clock difference between i-PI's outputs. Ratios are made of figures of one run.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib.resources import files
from itertools import product
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms
from report import Figure, write
from rich.progress import track

MODELS = sorted(Path(str(files("mlobs_client") / "models/water")).glob("potential-*.model"))
MOLECULES = (1, 8, 64)
BEADS = (1, 8)
MEMBERS = (1, 4)
CLIENTS = ("mlobs", "i-PI -m mace", "ASE MACECalculator")
WARM_UP = 4
LIMIT = 1.1

# i-PI itself, with the wall clock as a property: differences between outputs are times of steps.
SERVER = """
import sys, time
from ipi.scripting import InteractiveSimulation
simulation = InteractiveSimulation(sys.argv[1], {"wall": lambda self: time.perf_counter()})
simulation.run(simulation.tsteps)
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


@dataclass(frozen=True)
class Case:
    """One system of the table."""

    molecules: int
    beads: int
    members: int

    @property
    def name(self) -> str:
        return f"{3 * self.molecules} atoms, {self.beads} beads, committee of {self.members}"

    @property
    def models(self) -> list[str]:
        return [str(path) for path in MODELS[: self.members]]

    @property
    def n_steps(self) -> int:
        return WARM_UP + (30 if self.molecules * self.beads < 64 else 10)


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
    return {
        "mlobs": [sys.executable, "-m", "mlobs_client", "client", "client.toml"],
        "i-PI -m mace": [
            *(str(Path(sys.executable).with_name("i-pi-driver-py")), "-u", "-a", address),
            *("-m", "mace", "-o", f"template=init.xyz,model={model}"),
        ],
        "ASE MACECalculator": [sys.executable, "-c", ASE_CLIENT, address, *case.models],
    }


def prepare(case: Case, address: str, batch_size: int) -> str:
    """Write what the clients read into the current folder; return i-PI's input."""
    box = water_box(case.molecules)
    ase.io.write("init.xyz", box, format="extxyz")
    models = ", ".join(f'"{model}"' for model in case.models)
    Path("client.toml").write_text(
        f'structure = "init.xyz"\n[socket]\naddress = "{address}"\n'
        f'[potential]\nkind = "mace"\nmodels = [{models}]\n'
    )
    length = box.cell[0, 0]
    return f"""<simulation verbosity='quiet' threading='false'>
  <output prefix='bench'><properties filename='out'>[step, wall]</properties></output>
  <total_steps>{case.n_steps}</total_steps>
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
    <motion mode='dynamics'><dynamics mode='nve'><timestep units='femtosecond'>0.25</timestep>
    </dynamics></motion>
    <ensemble><temperature units='kelvin'>300</temperature></ensemble>
  </system>
</simulation>"""


def step_time(case: Case, client: str) -> float:
    """Median seconds of a step; runs in the current folder."""
    address = f"mlobs-bench-{os.getpid()}-{time.time_ns()}"
    xml = prepare(case, address, 1 if client.startswith("ASE") else case.beads)
    with Path("ipi.log").open("w") as server_log, Path("client.log").open("w") as client_log:
        server = subprocess.Popen(
            [sys.executable, "-c", SERVER, xml], stdout=server_log, stderr=server_log
        )
        deadline = time.monotonic() + 60.0
        while not Path(f"/tmp/ipi_{address}").exists() and server.poll() is None:
            if time.monotonic() > deadline:
                server.kill()
            time.sleep(0.05)
        process = subprocess.Popen(
            commands(case, address)[client], stdout=client_log, stderr=client_log
        )
        while server.poll() is None and process.poll() is None:
            time.sleep(0.2)
        stop(process, server)
    if not Path("bench.out").exists() or len(wall := np.loadtxt("bench.out")) <= WARM_UP:
        raise SystemExit(f"{client} failed for {case.name}:\n{Path('client.log').read_text()}")
    return float(np.median(np.diff(wall[WARM_UP:, 1])))


def stop(client: subprocess.Popen[bytes], server: subprocess.Popen[bytes]) -> None:
    """Give both a moment to end by themselves."""
    for process in (server, client):
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def main() -> None:
    """Measure every case, write the figures, say whether each ratio holds."""
    figures: list[Figure] = []
    cases = [Case(*sizes) for sizes in product(MOLECULES, BEADS, MEMBERS)]
    for case in track(cases, description="timing"):
        seconds = {}
        for client in CLIENTS:
            with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
                seconds[client] = step_time(case, client)
        ours = seconds.pop("mlobs")
        figures.append(Figure(f"{case.name}: mlobs", 1e3 * ours, None, "ms/step", "", None))
        for other, theirs in seconds.items():
            name = f"{case.name}: mlobs / {other}"
            reference = f"at most {LIMIT}; {other} takes {1e3 * theirs:.1f} ms"
            figures.append(
                Figure(name, ours / theirs, None, "1", reference, ours <= LIMIT * theirs)
            )
    print(write("bench", figures))
    for figure in figures:
        print(f"{figure.name:60s} {figure.value:9.3f} {figure.unit:8s} {figure.reference}")


if __name__ == "__main__":
    main()
