"""A finished run of the real i-PI that several tests read."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CLIENT = """
structure = "init.xyz"
virial = "none"
[potential]
kind = "toy"
name = "qtip4pf"
[observables]
extras = ["dipole"]
"""
WATER = """3
Lattice="12.0 0.0 0.0 1.0 11.0 0.0 -0.5 0.7 12.5" Properties=species:S:1:pos:R:3 pbc="F F F"
O 0.0 0.0 0.0
H 0.757 0.586 0.0
H -0.757 0.586 0.1
"""
INPUT = f"""<simulation verbosity='quiet'>
  <output prefix='simulation'>
    <properties filename='out' stride='2'>[step, time, conserved, temperature]</properties>
    <trajectory filename='pos' stride='2'>positions{{angstrom}}</trajectory>
    <trajectory filename='vel' stride='2'>v_centroid</trajectory>
    <trajectory filename='dipole' stride='2' extra_type='dipole'>extras</trajectory>
  </output>
  <total_steps>400</total_steps>
  <prng><seed>4</seed></prng>
  <ffdirect name='toy' pbc='False'><pes>custom</pes>
    <pes_path>{ROOT / "drivers" / "mlobs_pes.py"}</pes_path>
    <parameters>{{client: client.toml}}</parameters><batch_size>2</batch_size></ffdirect>
  <system>
    <initialize nbeads='2'><file mode='ase'>init.xyz</file>
      <velocities mode='thermal' units='kelvin'>300</velocities></initialize>
    <forces><force forcefield='toy'/></forces>
    <ensemble><temperature units='kelvin'>300</temperature></ensemble>
    <motion mode='dynamics'><dynamics mode='nve'>
      <timestep units='femtosecond'>0.5</timestep></dynamics></motion>
  </system>
</simulation>
"""


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of 400 steps (200 fs) of one q-TIP4P/F molecule with two beads; read only."""
    folder = tmp_path_factory.mktemp("finished")
    for name, content in (("client.toml", CLIENT), ("init.xyz", WATER), ("input.xml", INPUT)):
        (folder / name).write_text(content)
    command = [Path(sys.executable).with_name("i-pi"), "input.xml"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return folder
