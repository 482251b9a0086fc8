"""Inputs of i-PI, two small systems for them, and i-PI itself, for tests that need real files."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

DRIVER = Path(__file__).parents[1] / "drivers" / "mlobs_pes.py"
WATER = """3
Lattice="20 0 0 3 21 0 -2 4 22" Properties=species:S:1:pos:R:3 pbc="F F F"
O 0.0 0.0 0.0
H 0.757 0.586 0.0
H -0.757 0.586 0.1
"""
OSCILLATORS = """3
Lattice="10.0 0.0 0.0 1.0 11.0 0.0 0.5 0.7 12.0" Properties=species:S:1:pos:R:3 pbc="T T T"
O 0.1 0.2 0.3
H 1.0 0.3 0.2
H -0.2 1.1 -12.3
"""
"""The last atom is outside its cell."""
OSCILLATORS_CLIENT = """structure = "init.xyz"
virial = "none"
[potential]
kind = "toy"
name = "charged_oscillators"
parameters = {sites = [[0, 0, 0], [2, 1, 0], [0, 2, -23]], charges = [-2, 1, 1], cubic = 0.01, \
polarizability_slope = [[[1,2,3],[4,5,6],[7,8,9]], [[1,3,2],[0,1,0],[2,0,1]], \
[[5,1,4],[9,8,7],[0,0,6]]]}
"""
SLOW_SPRING = '''
import time
from pathlib import Path
import numpy as np
from ase.calculators.calculator import Calculator, all_changes

HOLD = Path(__file__).with_name("hold")

class Spring(Calculator):
    """Springs to the origin, as slow as asked, and NaN in the end.

    While there is a file "hold", no more are evaluated than it says.
    """

    implemented_properties = ("energy", "forces")

    def __init__(self, seconds, fails_after):
        super().__init__()
        self.seconds, self.left, self.done = seconds, fails_after, 0

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        while HOLD.exists() and self.done >= int(HOLD.read_text()):
            time.sleep(0.02)
        time.sleep(self.seconds)
        self.left -= 1
        self.done += 1
        energy = 0.5 * float(np.sum(atoms.positions**2)) if self.left != 0 else float("nan")
        self.results = {"energy": energy, "forces": -atoms.positions}
'''
"""A calculator, ``slow_spring.Spring``, to be written into the folder of a run."""
ROUNDING = 1e-11
"""A RESTART has beads, i-PI propagates normal modes: what goes on differs by rounding."""
THERMOSTAT = "<thermostat mode='pile_g'><tau units='femtosecond'> 50 </tau></thermostat>"


def make_input(
    output: str,
    forcefield: str,
    steps: int = 10,
    beads: int = 2,
    timestep: float = 0.25,
    mode: str = "nve",
) -> str:
    """An input for ``init.xyz`` and a force field that is called ``mlobs``, at 300 K.

    A RESTART has nine digits by default, and what goes on from it is another trajectory.
    """
    return f"""<simulation verbosity='low' floatformat='%25.17e'>
  {output}
  <total_steps> {steps} </total_steps>
  <prng><seed> 4 </seed></prng>
  {forcefield}
  <system>
    <initialize nbeads='{beads}'>
      <file mode='ase'> init.xyz </file>
      <velocities mode='thermal' units='kelvin'> 300 </velocities>
    </initialize>
    <forces> <force forcefield='mlobs'/> </forces>
    <ensemble> <temperature units='kelvin'> 300 </temperature> </ensemble>
    <motion mode='dynamics'>
      <dynamics mode='{mode}'>
        <timestep units='femtosecond'> {timestep} </timestep>
        {THERMOSTAT if mode == "nvt" else ""}
      </dynamics>
    </motion>
  </system>
</simulation>
"""


def ffsocket(address: str, batch_size: int = 1) -> str:
    """A unix socket, from which a client that vanishes is missed after five seconds."""
    return f"""<ffsocket name='mlobs' mode='unix' pbc='False'>
    <address> {address} </address> <latency> 1e-4 </latency> <timeout> 5 </timeout>
    <batch_size> {batch_size} </batch_size>
  </ffsocket>"""


def write_oscillators(folder: Path, address: str, tables: str) -> None:
    """``init.xyz``, and a ``client.toml`` with more tables for a unix socket."""
    socket = f'[socket]\naddress = "{address}"\n'
    (folder / "init.xyz").write_text(OSCILLATORS)
    (folder / "client.toml").write_text(OSCILLATORS_CLIENT + socket + tables)


def ffdirect(batch_size: int = 1) -> str:
    """The client file ``client.toml`` within i-PI's own process."""
    return f"""<ffdirect name='mlobs' pbc='False'>
    <pes> custom </pes> <pes_path> {DRIVER} </pes_path>
    <parameters> {{client: client.toml}} </parameters> <batch_size> {batch_size} </batch_size>
  </ffdirect>"""


def run_ipi(folder: Path, name: str = "input.xml") -> None:
    """Run i-PI to its end."""
    command = [Path(sys.executable).with_name("i-pi"), name]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def run_ipi_in_this_process(folder: Path) -> None:
    """Run ``input.xml`` in this process, which then can run the next one."""
    from ipi.engine.simulation import Simulation
    from ipi.utils.softexit import softexit

    os.chdir(folder)
    simulation = Simulation.load_from_xml(Path("input.xml").read_text())
    simulation.run()
    simulation.softexit()  # writes RESTART
    simulation.stop()
    softexit.reset()
